"""Image files: which there are, which are read, and the levels that they store."""
