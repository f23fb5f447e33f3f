"""The live view of `hyperinfer top`: what is seen, how it is drawn, and the terminal that it is drawn on."""
