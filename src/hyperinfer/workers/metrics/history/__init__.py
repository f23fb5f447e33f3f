"""Figures of the last month, in a small database of the metrics worker's own."""
