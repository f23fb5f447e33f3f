"""The ollama backend: the models of an Ollama server, by its native API."""
