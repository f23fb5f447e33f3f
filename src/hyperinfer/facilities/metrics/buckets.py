"""Upper bounds of histograms, fit for inference. In seconds."""

DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Of whole calls: from what is answered out of memory to the longest answer."""
FIRST_TOKENS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 60, 120)
"""Until a first token, and of waiting for a turn: from a prompt that is cached to one that is long, on a processor alone."""
STEPS_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
"""From one token to the next."""
