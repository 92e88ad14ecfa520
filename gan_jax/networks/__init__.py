"""Generators, critics and classifiers as flax.linen modules."""
