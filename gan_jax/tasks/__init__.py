"""What a trained prior is for: conditions, loss terms, measures and pictures."""
