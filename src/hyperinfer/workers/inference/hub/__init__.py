"""Fetching models: from a model hub into the models' folder, or by Ollama into its own; and what the folder holds."""
