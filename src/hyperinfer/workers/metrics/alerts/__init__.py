"""Alerts: what of the collected metrics is not well, for how long, and who is told of it."""
