"""A run on disk and in memory: its workdir, its summary, its trained networks."""
