"""Plates of colorized images, and published figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.report.grids import enlarge, mount, to_uint8
from gan_jax.report.page import Table, Value

_WIDE = 12  # columns of a plate, at most
_SIDE = 104  # screen pixels of an image

Images = Float[np.ndarray, "count height width 3"]

_PUBLISHED = (
    ("ChromaGAN", 24.98, 76.9),
    ("ChromaGAN without class", 25.04, 70.9),
    ("ChromaGAN without adversarial", 25.57, 61.4),
    ("Iizuka et al.", 23.69, 53.9),
    ("Larsson et al.", 24.93, 53.6),
    ("Zhang et al.", 22.04, 52.2),
    ("Isola et al.", 21.57, 27.6),
    ("real images", None, 87.1),
)
"""Vitoria, Raad & Ballester 2020 (arXiv 1907.09837), tables 1 and 2: PSNR in dB, and
the share of images that people took for real."""


def plate(columns: Mapping[str, Images], rows: int) -> UInt8[np.ndarray, "tall wide 3"]:
    """Draw several versions of the same images side by side.

    Args:
        columns: The versions by title, with the same images in the same order.
        rows: Number of images below each other; further ones follow beside them, as
            many as fit.
    """
    count = len(next(iter(columns.values())))
    groups = max(1, min(_WIDE // len(columns), count // rows))
    shown = np.stack([to_uint8(images) for images in columns.values()], axis=1)
    shown = shown[: groups * rows].reshape(groups, -1, *shown.shape[1:])
    cells = np.concatenate(list(shown), axis=1)
    breaks = [len(columns) * group for group in range(1, groups)]
    scale = max(1, round(_SIDE / max(cells.shape[2:4])))
    titles = [name.replace("_", " ") for name in columns] * groups
    canvas, _ = mount(enlarge(cells, scale), 6, titles, None, breaks)
    return np.array(canvas)


def published(psnr: Value) -> Table:
    """Return a table of published PSNRs and the run's own."""
    rows: list[Sequence[Value]] = [*_PUBLISHED, ("this run", psnr, None)]
    return Table(
        "Beside the published figures",
        ("method", "PSNR", "naturalness, %"),
        rows,
        "Vitoria, Raad & Ballester 2020 (arXiv 1907.09837), ImageNet photographs at "
        "224x224: other images, so only the order can be compared.",
    )
