"""Training: methods, the state, one step for every method, checkpoints."""
