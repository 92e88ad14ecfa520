"""Tasks of a prior: its conditions, loss terms, metrics and pictures."""
