"""The echo backend: an answer without a model, for tests and benchmarks."""
