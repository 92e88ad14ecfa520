"""Training: method, state, step, checkpoints, several processes, populations."""
