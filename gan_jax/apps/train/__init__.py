"""Train a prior: the loop, its checkpoints, its evaluation, its report."""
