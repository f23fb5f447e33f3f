"""The metrics worker's own port: one place from which Prometheus has everything."""
