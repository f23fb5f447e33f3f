"""Asking every worker of the swarm what it counts, and remembering the answers for a while."""
