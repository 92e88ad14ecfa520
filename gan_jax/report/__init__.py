"""Reports of runs: files, journal, progress, image grids, plots and the page."""
