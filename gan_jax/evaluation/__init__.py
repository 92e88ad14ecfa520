"""Metrics of results: functions from NumPy arrays to numbers."""
