"""Plates of samples, as the list of runs shows them."""

import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_jax.apps.serve.models.photographs import preview
from gan_jax.data.decode import BrokenImageError, decode
from gan_jax.report.files import encode_png
from gan_jax.report.grids import PAPER, tile

SAMPLES = 16
"""Samples of a plate."""

_OF_STEP = re.compile(r"\d{8}\.png$")
_PIXELS = 2**24  # of a plate that is read, at most


def plate_of(images: UInt8[np.ndarray, "count height width channels"]) -> bytes:
    """Return a plate of samples (PNG), as nearly square as they can be laid."""
    columns = math.isqrt(len(images))
    rows = len(images) // columns
    cells = images[: rows * columns].reshape(rows, columns, *images.shape[1:])
    return encode_png(tile(cells))


def kept_plate(workdir: Path, first: str = "best.png") -> bytes:
    """Return the plate of samples that a run has kept (PNG), reduced.

    It is that of the name `first`, else that of the last step. What lies at its place
    is decoded as users' images are. An empty one stands for a plate that is missing.
    """
    folder = workdir / "samples"
    try:
        steps = [each.name for each in folder.iterdir() if _OF_STEP.match(each.name)]
    except OSError:
        steps = []
    for name in [first, *sorted(steps, reverse=True)]:
        try:
            return encode_png(preview(decode(folder / name, _PIXELS)))
        except BrokenImageError:
            continue
    blank = np.full((1, 1, 104, 208, 3), PAPER, np.uint8)
    return encode_png(tile(blank, 1, column_titles=["the run has kept no samples"]))
