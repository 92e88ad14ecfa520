"""A trained colorizer as a function of an image of any size."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.apps.colorize.hints import (
    NO_HINTS,
    Hints,
    check_hints,
    check_takes_hints,
    on_grid,
)
from gan_jax.config.limits import Size, size_of
from gan_jax.data import color
from gan_jax.data.datasets.dataset import threads
from gan_jax.data.decode import with_channels
from gan_jax.data.feed import to_float
from gan_jax.data.masks import Known
from gan_jax.data.user_images import Image8
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.runs.inference import chunks, images_of
from gan_jax.runs.prior import Prior
from gan_jax.tasks.hints import conditioned, takes_hints

Result = TypeVar("Result")

_PIXELS = 2**16  # pixels converted at once
_STRIP = 2**18  # pixels of a strip


class Strip(NamedTuple):
    """Some columns of an image in new colours, beside the given ones."""

    image: Image8
    given: Image8
    """The given columns, with 3 channels."""
    lightness: Float[np.ndarray, "height width 1"]
    """Lightness of the given columns, scaled to [-1, 1]."""
    true_ab: Float[np.ndarray, "height width 2"]
    """Scaled ab of the given columns; zeros if they are grey."""


class Colorizer:
    """A prior as a function of an image, and perhaps hints, that colorizes it."""

    def __init__(self, prior: Prior):
        """Compile the network and the colour conversions, once for all sizes."""
        self._size = size_of(prior.config.data.size)
        self._prior = prior
        self._paint = compiled(images_of(prior.method))
        self._split = compiled(
            lambda levels: jnp.concatenate(color.split(to_float(levels)), axis=-1)
        )
        self._merge = compiled(color.merge)
        self._condition = compiled(conditioned)

    def __call__(
        self, image: Image8, hints: Hints = NO_HINTS
    ) -> Callable[[slice], Strip]:
        """Return the function that colorizes columns of an image at its own size.

        The generator sees the lightness of the whole image, of 1 or 3 channels, and the
        hints at its own size. Its colours are resized to the image's size; the
        lightness is unchanged. Of the colour of a hint only the ab counts. The mean is
        taken of hints that lie in one pixel of the generator's.

        Raises:
            InputError: If a hint lies outside the image or is no colour, or the prior
                takes no hints.
        """
        height, width, _ = image.shape
        given = self._on_grid(hints, Size(height, width))
        whole = np.empty((height, width), np.float32)

        def read(columns: slice) -> None:
            lightness, _ = self.split(image[:, columns])
            whole[:, columns] = lightness[..., 0]

        in_strips(read, height, width)
        small = jnp.asarray(_resized(whole, *self._size)[None, ..., None])
        del whole
        condition = small if given is None else self._condition(small, given)
        ab = np.asarray(self._paint(self._prior.networks.generator, None, condition))[0]
        # Where an image gets more rows, Pillow first makes them longer: columns are
        # then independent of each other.
        rows = min(self._size.height, height)
        wide = [_resized(ab[..., at], rows, width) for at in range(2)]

        def paint(columns: slice) -> Strip:
            given = with_channels(image[:, columns], 3)
            lightness, true_ab = self.split(given)
            planes = [_resized(plane[:, columns], *given.shape[:2]) for plane in wide]
            rgb = self._by_pixels(self._merge, lightness, np.stack(planes, -1))
            return Strip(to_uint8(rgb), given, lightness, true_ab)

        return paint

    def _on_grid(self, hints: Hints, size: Size) -> Known | None:
        """Return the hints of an image of a size; None if the prior takes none."""
        check_hints(hints, size)
        if len(hints):
            check_takes_hints(self._prior)
        elif not takes_hints(self._prior.task):
            return None
        ab = np.zeros((0, 2), np.float32)
        if len(hints):
            _, (ab,) = self.split(np.rint(hints[None, :, 2:]).astype(np.uint8))
        return on_grid(hints, ab, size, self._size)

    def split(
        self, image: Image8
    ) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w 2"]]:
        """Return the scaled lightness and the scaled ab of an image."""
        both = self._by_pixels(self._split, with_channels(image, 3))
        return both[..., :1], both[..., 1:]

    def _by_pixels(
        self, function: Callable[..., Array], *images: np.ndarray
    ) -> np.ndarray:
        """Return a compiled function of pixels, applied in pieces of one size."""
        height, width, _ = images[0].shape
        flat = [image.reshape(height * width, -1) for image in images]
        pieces = [
            np.asarray(function(*(pixels[at] for pixels in flat)))
            for at in chunks(height * width, _PIXELS)
        ]
        return np.concatenate(pieces)[: height * width].reshape(height, width, -1)


def in_strips(
    function: Callable[[slice], Result], height: int, width: int
) -> list[Result]:
    """Return the results of a function of columns, for all columns of an image.

    It is called in threads, for a few columns at a time, so that what it makes of them
    need not fit into memory for the whole image.
    """
    step = max(1, _STRIP // height)
    columns = [
        slice(first, min(first + step, width)) for first in range(0, width, step)
    ]
    with threads() as pool:
        return list(pool.map(function, columns))


def _resized(
    plane: Float[np.ndarray, "_ _"], height: int, width: int
) -> Float[np.ndarray, "new_height new_width"]:
    """Return a plane of numbers at another size, antialiased (Lanczos)."""
    from PIL import Image

    if plane.shape == (height, width):
        return plane
    resized = Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    return np.asarray(resized)
