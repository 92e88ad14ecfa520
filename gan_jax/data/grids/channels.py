"""The embedded training image: sinuous channels of sand in mud, made by a recipe.

It is of the kind of the image of Strebelle 2002 (Math. Geology 34(1)), which may not be
distributed here. Channels cross the field from left to right. The centre line of each
is a sum of three sines of random wavelengths and phases, so that it meanders, and
channels meet and part. A cell belongs to a channel if its distance across from the
centre line, over the width of the channel, is small; the limit is chosen so that the
channels fill their share of the field.
"""

import functools

import numpy as np
from jaxtyping import Float, UInt8

SIDE = 250
"""Height and width in cells."""
SHARE = 0.28
"""Share of the cells that are channel."""

_SEED = 28
_CHANNELS = 10
_WAVELENGTHS = ((160, 260), (80, 130), (35, 60))  # of the three sines, in cells
_SLOPES = (0.4, 0.45, 0.2)  # the steepest rise of each, in cells a cell
_WIDTHS = (0.85, 1.15)  # of channels, over their mean
_SHIFT = 0.6  # of a channel from its even place, over the distance of two


@functools.cache
def channels() -> UInt8[np.ndarray, "height width"]:
    """Return the image: 1 in channels, 0 elsewhere, always the same."""
    distances = _distances(_SEED)
    count = round(SHARE * distances.size)
    limit = np.sort(distances, axis=None)[count - 1]
    image = (distances <= limit).astype(np.uint8)
    image.setflags(write=False)
    return image


def _distances(seed: int) -> Float[np.ndarray, "height width"]:
    """Return the distance of each cell from the nearest channel, over its width."""
    x, y = np.arange(SIDE), np.arange(SIDE)[:, None]
    nearest = np.full((SIDE, SIDE), np.inf)
    drawn = iter(_uniform(seed, _CHANNELS * (2 + 2 * len(_SLOPES))))
    for number in range(_CHANNELS):
        shift = _SHIFT * (next(drawn) - 0.5)
        centre = np.full(SIDE, SIDE * (number + 0.5 + shift) / _CHANNELS)
        slope = np.zeros(SIDE)
        low, high = _WIDTHS
        width = low + (high - low) * next(drawn)
        for (least, most), steepest in zip(_WAVELENGTHS, _SLOPES, strict=True):
            frequency = 2 * np.pi / (least + (most - least) * next(drawn))
            angle = frequency * x + 2 * np.pi * next(drawn)
            centre += steepest / frequency * np.sin(angle)
            slope += steepest * np.cos(angle)
        across = np.abs(y - centre) / np.sqrt(1 + slope**2)
        np.minimum(nearest, across / width, out=nearest)
    return nearest


def _uniform(seed: int, count: int) -> Float[np.ndarray, " count"]:
    """Return numbers in [0, 1) that no version of NumPy changes."""
    return (np.random.Philox(seed).random_raw(count) >> np.uint64(11)) * 2.0**-53
