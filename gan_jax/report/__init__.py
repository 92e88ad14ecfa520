"""The page, plots, grids, journal, files and terminal output of a run."""
