"""Data: datasets and their splits, image files, masks, degradations, batches."""
