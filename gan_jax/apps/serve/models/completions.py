"""Completions of a photograph by rank, as pictures and as files."""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gan_jax.apps.inpaint.composites import blending
from gan_jax.apps.inpaint.placement import PlacedImage
from gan_jax.apps.serve.models.photographs import Photograph
from gan_jax.report.grids import to_uint8

Images = Float[np.ndarray, "windows restarts height width channels"]


class Completions(NamedTuple):
    """The completions of a photograph, as far as they have been searched."""

    photograph: Photograph
    placed: list[PlacedImage]
    """The windows over its holes."""
    shown: list[PlacedImage]
    """The windows in the preview."""
    values: Float[np.ndarray, "windows height width channels"]
    """What is known of each window, at the prior's size, in [-1, 1]."""
    masks: Float[np.ndarray, "windows height width 1"]
    """1 where it is known."""
    latents: Float[np.ndarray, "windows restarts latent"]
    """The best latents that were visited, by rank: those of the smallest loss first."""
    losses: Float[np.ndarray, "windows restarts"]
    """Infinite where no loss was finite."""
    generated: Images
    """The images of the latents, in [-1, 1]."""
    iteration: int
    """Iterations that were made."""
    done: bool

    @property
    def plain(self) -> Images:
        """Return the images with what is known put over them."""
        known = self.masks[:, None] > 0
        composites: Images = np.where(known, self.values[:, None], self.generated)
        return composites

    @property
    def blended(self) -> Images:
        """Return the images, blended at the prior's size into what is known (Poisson).

        The blending is compiled once, for all restarts of a window.
        """
        blend = blending()
        return np.stack(
            [
                np.asarray(blend(images, *_repeated(len(images), values, mask)))
                for images, values, mask in zip(
                    self.generated, self.values, self.masks, strict=True
                )
            ]
        )

    def pictures(
        self, blended: bool
    ) -> UInt8[np.ndarray, "windows restarts height width channels"]:
        """Return all completions as levels."""
        return to_uint8(self.blended if blended else self.plain)

    @property
    def spread(self) -> Float[np.ndarray, "windows height width"]:
        """Return the standard deviation over the restarts, in levels of 8 bits."""
        deviation: np.ndarray = self.plain.std(axis=1).mean(axis=-1)
        return 127.5 * deviation

    @property
    def missing(self) -> Bool[np.ndarray, "height width"]:
        """Return the missing pixels of the photograph."""
        missing: np.ndarray = ~self.placed[0].masked.known
        return missing

    def archive(self) -> bytes:
        """Return all completions, at the prior's size, as the content of an NPZ file.

        It holds `plain` and `blended` (levels), `latents` and `losses`, by rank, and
        `windows` (top, left, height and width in the photograph).
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            plain=self.pictures(False),
            blended=self.pictures(True),
            latents=self.latents,
            losses=self.losses,
            windows=np.array([each.window for each in self.placed], np.int32),
        )
        return buffer.getvalue()


def _repeated(count: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays repeated along a new leading axis."""
    return [np.broadcast_to(array, (count, *array.shape)) for array in arrays]
