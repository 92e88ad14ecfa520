"""Photographs that are dropped on the page."""

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images


def png(pixels):
    """Return levels as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(content, "PNG")
    return content.getvalue()


def digit(number, size=28):
    """Return a handwritten digit in the middle of a black image."""
    levels = load_digits().images[number] * (255 / 16)
    shown = Image.fromarray(levels.astype(np.uint8)).resize((20, 20))
    image = np.zeros((size, size), np.uint8)
    image[4:24, 4:24] = shown
    return image


def grey_photograph(height=96, width=128):
    """Return a grey photograph."""
    image = Image.fromarray(load_sample_images().images[0]).convert("L")
    return np.asarray(image.resize((width, height)))
