"""Plates of samples, as the list of runs shows them."""

import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_jax.apps.serve.models.photographs import preview
from gan_jax.data.decode import BrokenImageError, decode
from gan_jax.report.files import encode_png
from gan_jax.report.grids import tile

SAMPLES = 16
"""Samples of a plate."""

_BEST = "best.png"
_OF_STEP = re.compile(r"\d{8}\.png$")
_PIXELS = 2**24  # of a plate that is read, at most


def plate_of(images: UInt8[np.ndarray, "count height width channels"]) -> bytes:
    """Return a plate of samples (PNG), as nearly square as they can be laid."""
    columns = math.isqrt(len(images))
    rows = len(images) // columns
    cells = images[: rows * columns].reshape(rows, columns, *images.shape[1:])
    return encode_png(tile(cells))


def kept_plate(workdir: Path) -> bytes | None:
    """Return the plate of samples that a training run has kept (PNG), reduced.

    It is that of the best step, else that of the last. What lies at its place is
    decoded as users' images are. None where there is none that can be read.
    """
    folder = workdir / "samples"
    try:
        steps = [
            path.name for path in folder.iterdir() if _OF_STEP.fullmatch(path.name)
        ]
    except OSError:
        return None
    for name in [_BEST, *sorted(steps, reverse=True)]:
        try:
            return encode_png(preview(decode(folder / name, _PIXELS)))
        except BrokenImageError:
            continue
    return None
