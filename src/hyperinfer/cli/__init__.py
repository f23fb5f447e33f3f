"""The hyperinfer command, one file per command group."""
