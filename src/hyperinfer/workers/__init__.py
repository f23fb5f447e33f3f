"""The worker types; they never import each other."""
