"""Images in: sources, their splits, masks, and the feed of batches."""
