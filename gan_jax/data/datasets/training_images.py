"""Training images of geostatistics: one large image, of which crops are the dataset.

A training image shows the expected patterns of the underground, drawn by hand or
from an outcrop (Strebelle 2002, Math. Geology 34(1)).
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.memory import (
    FILE_LIMIT,
    UnreadableFileError,
    check_fits,
    open_file,
)

SUFFIXES = (".sgems", ".gslib", ".gslibs")

_NO_DATA = -9999.0  # largest value for "no data"; -9966699 in SGeMS, -1e21 in GSLIB
_LINE = 10_000  # characters of a line of the header
_COUNT = 8000  # training crops
_MARGIN = 16  # least number of columns of each part beyond the width of a crop


def read_training_image(path: str) -> Float[np.ndarray, "height width"]:
    """Read the first variable of a grid in the format of GSLIB and SGeMS.

    The first line holds the numbers of cells along x, y and, optionally, z, the second
    line the number of variables. Their names follow, one per line, and then the values
    from the lower left corner, with x varying fastest.

    Returns:
        The values, from the upper left corner.

    Raises:
        InputError: If the file is not such a grid, is too large, has several layers, or
            cells without a value.
    """
    try:
        with open_file(Path(path).expanduser(), FILE_LIMIT) as stream:
            size = stream.seek(0, os.SEEK_END)
            # At worst every second byte is a value: twice in float64, once in 8 bits.
            check_fits(f"--config.data.path {path}", 9 * size, "give a smaller grid")
            stream.seek(0)
            text = io.TextIOWrapper(stream)
            head = text.readline(_LINE).split()
            width, height, *layers = (int(float(word)) for word in head[:3])
            variables = int(text.readline(_LINE).split()[0])
            for _ in range(variables):
                if not text.readline(_LINE):
                    raise ValueError("it ends among the names of its variables")
            numbers = _numbers(text.read())
        values = numbers.reshape(-1, variables)[:, 0]
    except (
        UnreadableFileError,
        OSError,
        ValueError,
        IndexError,
        OverflowError,
    ) as error:
        raise InputError(
            f"--config.data.path {path} is not a GSLIB or SGeMS grid ({error}): its "
            "first lines must hold the numbers of cells, the number of variables, and "
            "their names"
        ) from None
    if any(layer > 1 for layer in layers):
        raise InputError(
            f"--config.data.path {path} has {layers[0]} layers: give a grid of one "
            "layer"
        )
    if min(width, height) < 1:
        raise InputError(
            f"--config.data.path {path} is a grid of {width}x{height} cells: it must "
            "have at least one along x and along y"
        )
    if len(values) != width * height or not np.isfinite(values).all():
        raise InputError(
            f"--config.data.path {path} has {len(values)} values for {width}x{height} "
            "cells, or values that are not finite: give one finite value per cell"
        )
    if values.min() <= _NO_DATA or values.min() == values.max():
        raise InputError(
            f"--config.data.path {path} has cells without a value ({values.min():g}), "
            "or the same value in all cells: give a complete grid that has a pattern"
        )
    return values.reshape(height, width)[::-1]


def _numbers(text: str) -> Float[np.ndarray, " count"]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, np.float64, sep=" ")
        except DeprecationWarning:  # so far it warns of words, and ignores what follows
            raise ValueError("not all of its values are numbers") from None


def read_crops(path: str, size: int, count: int = _COUNT) -> Dataset:
    """Return random square crops of a training image, in grey with its minimum black.

    `count` training crops are from the left part of the image, a quarter as many test
    crops from the right one, so that they do not overlap. The same size and count
    always return the same crops.

    Raises:
        InputError: If the file is not a grid, or too small for the crops.
    """
    image = read_training_image(path)
    height, width = image.shape
    low, high = image.min(), image.max()
    scaled = image - low  # in place from here on, as grids are large
    scaled *= 255
    scaled /= max(high - low, 1e-12)
    levels = np.rint(scaled, out=scaled).astype(np.uint8)
    edge = width - max(size + _MARGIN, width // 4)
    if edge < size + _MARGIN or height < size:
        raise InputError(
            f"--config.data.path {path} has {width}x{height} cells, too small for "
            f"training and test crops of {size}x{size}: choose a smaller "
            "--config.data.size"
        )
    generator = np.random.Generator(np.random.Philox(0))
    name = Path(path).stem
    parts = [
        ArraySource(name, _cut(part, size, number, generator))
        for part, number in ((levels[:, :edge], count), (levels[:, edge:], count // 4))
    ]
    return Dataset(*parts)


def _cut(
    image: UInt8[np.ndarray, "_ _"],
    size: int,
    count: int,
    generator: np.random.Generator,
) -> UInt8[np.ndarray, "count size size 1"]:
    height, width = image.shape
    tops = generator.integers(height - size + 1, size=count)
    lefts = generator.integers(width - size + 1, size=count)
    squares = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return squares[tops, lefts][..., None].copy()
