"""Benchmark of the gateway's journal of usage."""
