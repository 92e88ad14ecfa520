"""Batch jobs, local processes, cluster scripts and benchmarks."""
