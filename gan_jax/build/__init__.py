"""Construction of datasets, tasks, networks, methods and searches from a config."""
