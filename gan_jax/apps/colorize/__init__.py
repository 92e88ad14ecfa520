"""Train a colorizer, or colorize a folder of images with it."""
