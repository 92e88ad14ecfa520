"""Benchmarks of this package, and of PyTorch beside it."""
