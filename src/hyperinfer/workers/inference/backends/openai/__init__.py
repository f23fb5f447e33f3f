"""Servers that speak OpenAI's API, as a backend: vLLM, SGLang, llama.cpp's server, LM Studio, OpenAI itself, and others."""
