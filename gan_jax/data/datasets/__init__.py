"""Datasets: embedded, prepared by TFDS, folders, arrays, training images."""
