"""Completed images at their own size: holes filled, and blended into what is known."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from gan_jax.apps.inpaint.masked_images import Image8
from gan_jax.apps.inpaint.placement import PlacedImage, windows_of_each
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.decode import AT_WORK, to_float_numpy, undo_resize
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.search.blending import poisson_blend

BLEND_LIMIT = 2**22
"""Largest number of pixels of a window, or of a hole's bounding box in a larger window,
that are blended."""


Finish = Callable[[PlacedImage, Image8], Image8]
"""`finish(placed, inside)` returns what is put into the holes of a window; `inside` is
what the prior makes of it, at the window's size."""


def restored(
    windows: Sequence[PlacedImage],
    generated: Sequence[UInt8[np.ndarray, "rows columns channels"]],
    blend: bool = False,
) -> Image8:
    """Return an image with its holes filled, at its own size.

    Known pixels keep their values. The image lies under some `windows`, of which
    `generated` holds what the prior makes of each, at its own size; with `blend` the
    edges of holes are made invisible (Poisson).
    """
    return filled(windows, generated, _blended if blend else _unchanged)


def filled(
    windows: Sequence[PlacedImage],
    generated: Sequence[UInt8[np.ndarray, "rows columns channels"]],
    finish: Finish,
) -> Image8:
    """Return an image as `restored` does, with windows that a function finishes."""
    masked = windows[0].masked
    whole = masked.image.copy()
    with AT_WORK.holding(masked.known.size):
        for placed, made in zip(windows, generated, strict=True):
            inside = finish(placed, undo_resize(made, placed.window.size))
            hole = placed.missing[..., None]
            np.copyto(whole[placed.window.at], inside, where=hole)
    return whole


def _unchanged(placed: PlacedImage, inside: Image8) -> Image8:
    return inside


def _blended(placed: PlacedImage, inside: Image8) -> Image8:
    at, box = placed.window.at, _blended_box(placed.missing)
    given = placed.masked.image[at][box]
    floats = to_float_numpy(inside[box]), to_float_numpy(given)
    known = placed.masked.known[at][box][..., None].astype(np.float32)
    blended = inside.copy()
    blended[box] = to_uint8(np.asarray(blending()(*floats, known)))
    return blended


def blendable(
    images: Sequence[PlacedImage],
) -> tuple[list[PlacedImage], list[Skipped]]:
    """Return the images whose holes are small enough to be blended, and the others."""
    small: list[PlacedImage] = []
    large: list[Skipped] = []
    for numbers in windows_of_each(images):
        windows = [images[number] for number in numbers]
        boxes = [each.missing[_blended_box(each.missing)].shape for each in windows]
        height, width = max(boxes, key=math.prod)
        if height * width <= BLEND_LIMIT:
            small += windows
            continue
        reason = (
            f"its hole extends over {width}x{height} pixels, and at most {BLEND_LIMIT} "
            "are blended: give --config.blend=false"
        )
        large.append(Skipped(windows[0].masked.source, reason))
    return small, large


def _blended_box(missing: Bool[np.ndarray, "height width"]) -> tuple[slice, ...]:
    """Return the part of a window that is blended: all of it, if it is not large."""
    if missing.size <= BLEND_LIMIT:
        return slice(None), slice(None)
    return hole_box(missing)


def hole_box(missing: Bool[np.ndarray, "height width"]) -> tuple[slice, ...]:
    """Return the bounding box of a hole and of the pixels around it.

    The blended hole depends on them alone.
    """
    places = (np.flatnonzero(missing.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, at[0] - 1), at[-1] + 2) for at in places)


@functools.cache
def blending() -> Callable[..., Any]:
    """Return the compiled Poisson blending, one for all sizes."""
    blend: Callable[..., Any] = compiled(poisson_blend)
    return blend
