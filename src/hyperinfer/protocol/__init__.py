"""Decisions and formats without I/O: bytes in, events out."""
