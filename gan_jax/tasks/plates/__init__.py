"""Plates: pictures of generated images for each task."""
