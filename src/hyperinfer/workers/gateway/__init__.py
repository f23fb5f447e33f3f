"""The gateway: the only way in. Authenticate, limit, choose a worker, forward, count."""
