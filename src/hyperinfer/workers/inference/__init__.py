"""The inference worker: runs models, several requests at once, a bounded number waiting."""
