"""Benchmarks of training, searches and refinement, with PyTorch for comparison."""
