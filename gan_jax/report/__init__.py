"""What a run leaves to be read: files, journal, progress, grids, plots, one page."""
