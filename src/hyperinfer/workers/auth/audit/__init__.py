"""The audit log: every sensitive operation, chained, so that what was altered or removed is found."""
