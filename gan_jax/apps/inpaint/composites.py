"""Completed images at their own size: holes filled, and blended into what is known."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_jax.apps.inpaint.masked_images import (
    Image8,
    Known,
    MaskedImage,
    central_square,
)
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.decode import AT_WORK, to_float_numpy, undo_resize
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.search.blending import poisson_blend

BLEND_LIMIT = 2**22
"""Largest number of pixels of a square, or of a hole's bounding box in a larger square,
that are blended."""


def restored(
    masked: MaskedImage,
    generated: UInt8[np.ndarray, "size size channels"],
    blend: bool = False,
) -> Image8:
    """Return an image with its holes filled, at its own size.

    Known pixels keep their values. `generated` is the square that the prior sees; with
    `blend` its edges are made invisible (Poisson).
    """
    place = central_square(*masked.known.shape)
    image, known = masked.image[place], masked.known[place]
    with AT_WORK.holding(masked.known.size):
        inside = undo_resize(generated, len(known))
        if blend:
            box = _blended_box(known)
            floats = to_float_numpy(inside[box]), to_float_numpy(image[box])
            mask = known[box][..., None].astype(np.float32)
            inside = inside.copy()
            inside[box] = to_uint8(np.asarray(blending()(*floats, mask)))
        whole = masked.image.copy()
        np.copyto(whole[place], inside, where=~known[..., None])
    return whole


def blendable(
    images: Sequence[MaskedImage],
) -> tuple[list[MaskedImage], list[Skipped]]:
    """Return the images whose holes are small enough to be blended, and the others."""
    small: list[MaskedImage] = []
    large: list[Skipped] = []
    for masked in images:
        known = masked.known[central_square(*masked.known.shape)]
        height, width = known[_blended_box(known)].shape
        if height * width <= BLEND_LIMIT:
            small.append(masked)
            continue
        reason = (
            f"its hole extends over {width}x{height} pixels, and at most {BLEND_LIMIT} "
            "are blended: give --config.blend=false"
        )
        large.append(Skipped(masked.source, reason))
    return small, large


def _blended_box(known: Known) -> tuple[slice, ...]:
    """Return the part of a square that is blended: all of it, if it is not large.

    Of a large one it is the bounding box of the hole and of the pixels around it. The
    solution depends on them alone.
    """
    if known.size <= BLEND_LIMIT:
        return slice(None), slice(None)
    missing = (np.flatnonzero(~known.all(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, at[0] - 1), at[-1] + 2) for at in missing)


@functools.cache
def blending() -> Callable[..., Any]:
    """Return the compiled Poisson blending, one for all sizes."""
    blend: Callable[..., Any] = compiled(poisson_blend)
    return blend
