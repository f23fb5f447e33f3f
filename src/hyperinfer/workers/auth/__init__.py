"""The auth worker: people, their sessions and their API keys."""
