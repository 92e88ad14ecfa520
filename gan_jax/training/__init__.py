"""Training: the state, one step for every method, and checkpoints."""
