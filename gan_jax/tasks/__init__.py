"""Tasks of a prior: conditions, loss terms, measures and plates."""
