"""The metrics worker: what every other worker shows, gathered, kept for a while, watched over and told."""
