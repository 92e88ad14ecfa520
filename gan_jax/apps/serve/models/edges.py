"""Edges of holes at a photograph's own size, blended in programs of a few sizes."""

import functools

import numpy as np
from jaxtyping import Bool

from gan_jax.apps.inpaint.composites import hole_box
from gan_jax.apps.inpaint.placement import PlacedImage
from gan_jax.data.decode import to_float_numpy
from gan_jax.data.user_images import Image8
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.search.blending import poisson_blend

SIDES = (64, 128, 256, 512)
"""Sides of the squares to which the surroundings of a hole are padded, in pixels."""

QUICK = 128
"""The side up to which a hole is blended while a search goes on."""

# What is left of a step after the blending at the prior's size is fine: it fades within
# a few pixels of the edge, and so do the differences that more iterations would make.
_TOLERANCE, _ITERATIONS = 1e-3, 100


class Edges:
    """Blends the edges of holes, compiled once for all photographs."""

    def __init__(self, channels: int):
        """Prepare to blend images of so many channels; nothing is compiled yet."""
        self._channels = channels
        self._blend = compiled(
            functools.partial(
                poisson_blend, tolerance=_TOLERANCE, iterations=_ITERATIONS
            )
        )

    def compile(self) -> None:
        """Blend an empty square of every size."""
        for side in SIDES:
            empty = np.zeros((1, 1, self._channels), np.uint8)
            self._blended(side, empty, empty, np.ones((1, 1), bool))

    def blended(
        self, placed: PlacedImage, inside: Image8, largest: int = SIDES[-1]
    ) -> Image8:
        """Return a window whose holes continue what is around them.

        Args:
            placed: The window.
            inside: What the prior makes of it, at the window's size.
            largest: Longest side of a hole that is blended, its edges included; a
                larger one stays as it is.
        """
        box = hole_box(placed.missing)
        longest = max(placed.missing[box].shape)
        side = next((side for side in SIDES if longest <= side <= largest), None)
        if side is None:
            return inside
        at = placed.window.at
        given, known = placed.masked.image[at][box], placed.masked.known[at][box]
        blended = inside.copy()
        blended[box] = self._blended(side, inside[box], given, known)
        return blended

    def _blended(
        self,
        side: int,
        generated: Image8,
        given: Image8,
        known: Bool[np.ndarray, "height width"],
    ) -> Image8:
        """Return a part of a window, blended in a square of a side."""
        height, width = known.shape

        def padded(values: np.ndarray) -> np.ndarray:
            return np.pad(values, ((0, side - height), (0, side - width), (0, 0)))

        mask = known[..., None].astype(np.float32)
        arrays = (to_float_numpy(generated), to_float_numpy(given), mask)
        inside = padded(np.ones_like(mask))
        blended = np.asarray(self._blend(*map(padded, arrays), inside=inside))
        return to_uint8(blended[:height, :width])
