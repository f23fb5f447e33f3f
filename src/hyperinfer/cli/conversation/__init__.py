"""A conversation on the terminal: what is typed, what is shown, what is kept."""
