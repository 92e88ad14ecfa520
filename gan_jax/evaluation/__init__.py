"""Measures of results: arrays in, numbers out."""
