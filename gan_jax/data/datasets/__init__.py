"""Datasets: embedded ones, TFDS, folders, arrays, training images, mixtures."""
