"""Runs on disk and in memory: workdir, summary, trained networks and their use."""
