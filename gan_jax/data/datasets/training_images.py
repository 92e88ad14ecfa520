"""A training image of geostatistics: one large image that stands for many small ones.

What is known of the underground is drawn once, by hand or from an outcrop; whoever
simulates takes its patterns from there (Strebelle 2002, Math. Geology 34(1)).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource, Dataset

SUFFIXES = (".sgems", ".gslib", ".gslibs")

_NO_DATA = -9999.0  # and what is below: -9966699 in SGeMS, -1e21 in GSLIB
_COUNT = 8000  # training crops
_APART = 16  # columns beyond the width of a crop that either part has, at least


def read_training_image(path: str) -> Float[np.ndarray, "height width"]:
    """Read a grid of one layer as GSLIB and SGeMS write it.

    The first line holds the numbers of cells along x, y and, perhaps, z; the second how
    many variables there are; then follow their names, and the values, x fastest, from
    the lower left corner. The first variable is taken.

    Raises:
        InputError: the file is no such grid, has several layers, or gaps.
    """
    place = Path(path).expanduser()
    try:
        lines = place.read_text().splitlines()
        width, height, *layers = (int(float(word)) for word in lines[0].split()[:3])
        variables = int(lines[1].split()[0])
        text = "\n".join(lines[2 + variables :])
        values = np.array(text.split(), np.float64).reshape(-1, variables)[:, 0]
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise InputError(
            f"data.path {path} is no grid of GSLIB or SGeMS ({error}): its first lines "
            "give the numbers of cells, the number of variables, and their names"
        ) from None
    if any(layer > 1 for layer in layers):
        raise InputError(f"data.path {path} has {layers[0]} layers: give a grid of one")
    if min(width, height) < 1:
        raise InputError(f"data.path {path} is a grid of {width}x{height} cells")
    if len(values) != width * height or not np.isfinite(values).all():
        raise InputError(
            f"data.path {path} has {len(values)} values for {width}x{height} cells, or "
            "some that are no finite numbers"
        )
    if values.min() <= _NO_DATA or values.min() == values.max():
        raise InputError(
            f"data.path {path} has cells without a value ({values.min():g}), or one "
            "value everywhere: give a grid that is full and has a pattern"
        )
    return values.reshape(height, width)[::-1]


def crops(path: str, size: int, count: int = _COUNT) -> Dataset:
    """Cut random squares out of a training image, grey, black its lowest value.

    Test crops lie beyond a line that no training crop reaches. The same size and count
    always give the same crops.

    Args:
        path: of the grid.
        size: height and width of the crops, in cells.
        count: of training crops; test crops are a quarter as many.

    Raises:
        InputError: the file is no grid, or too small for crops of the size.
    """
    image = read_training_image(path)
    height, width = image.shape
    low, high = image.min(), image.max()
    levels = np.rint(255 * (image - low) / max(high - low, 1e-12)).astype(np.uint8)
    edge = width - max(size + _APART, width // 4)
    if edge < size + _APART or height < size:
        raise InputError(
            f"data.path {path} is {width}x{height}, too small for training and test "
            f"crops of {size}x{size}: choose a smaller --config.data.size"
        )
    draw = np.random.Generator(np.random.Philox(0))
    name = Path(path).stem
    parts = [
        ArraySource(name, _cut(part, size, number, draw))
        for part, number in ((levels[:, :edge], count), (levels[:, edge:], count // 4))
    ]
    return Dataset(*parts)


def _cut(
    image: UInt8[np.ndarray, "_ _"],
    size: int,
    count: int,
    draw: np.random.Generator,
) -> UInt8[np.ndarray, "count size size 1"]:
    height, width = image.shape
    tops = draw.integers(height - size + 1, size=count)
    lefts = draw.integers(width - size + 1, size=count)
    squares = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return squares[tops, lefts][..., None].copy()
