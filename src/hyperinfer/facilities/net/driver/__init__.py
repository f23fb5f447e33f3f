"""The swarm driver: the official Hyperswarm stack in a child process, and the socket to it."""
