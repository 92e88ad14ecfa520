"""A trained colorizer as a function from an image of any size to its colours."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.data import color
from gan_jax.data.decode import to_float_numpy, with_channels
from gan_jax.data.user_images import Image8
from gan_jax.networks.compilation import compiled
from gan_jax.networks.stages import image_of
from gan_jax.report.grids import to_uint8
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior

_PIXELS = 2**16  # of an image, converted at once


class Colored(NamedTuple):
    """An image in new colours, and what it was."""

    image: Image8
    lightness: Float[np.ndarray, "height width 1"]
    """Of the image that was given, scaled to [-1, 1]."""
    true_ab: Float[np.ndarray, "height width 2"]
    """Of the same; zeros where it was grey."""


class Colorizer:
    """A prior as a function from an image to its colours."""

    def __init__(self, prior: Prior):
        """Compile what is needed, once for images of all sizes."""
        generator = prior.method.generator
        self._size: int = prior.config.data.size
        self._variables = prior.networks.generator
        self._paint = compiled(
            lambda variables, lightness: image_of(
                generator.apply(variables, None, lightness)
            )
        )
        self._split = compiled(lambda rgb: jnp.concatenate(color.split(rgb), axis=-1))
        self._merge = compiled(color.merge)

    def __call__(self, image: Image8) -> Colored:
        """Colorize an image of 1 or 3 channels at its size.

        The generator sees its lightness brought to its own square size; the colours
        that it makes are brought back, and the lightness stays as it was.
        """
        lightness, true_ab = self.split(image)
        small = _resized(lightness[..., 0], self._size, self._size)
        ab = np.asarray(self._paint(self._variables, small[None, ..., None]))[0]
        return Colored(self._painted(lightness, ab), lightness, true_ab)

    def split(
        self, image: Image8
    ) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w 2"]]:
        """Return the scaled lightness of an image, and its scaled ab."""
        rgb = to_float_numpy(with_channels(image, 3))
        both = self._by_pixels(self._split, rgb)
        return both[..., :1], both[..., 1:]

    def _painted(
        self,
        lightness: Float[np.ndarray, "height width 1"],
        ab: Float[np.ndarray, "size size 2"],
    ) -> Image8:
        height, width, _ = lightness.shape
        planes = [_resized(ab[..., at], height, width) for at in range(2)]
        rgb = self._by_pixels(self._merge, lightness, np.stack(planes, -1))
        return to_uint8(rgb)

    def _by_pixels(
        self, function: Callable[..., Array], *images: np.ndarray
    ) -> np.ndarray:
        """Apply a compiled function of pixels in pieces of one size."""
        height, width, _ = images[0].shape
        flat = [image.reshape(height * width, -1) for image in images]
        joined: np.ndarray = in_chunks(
            lambda at: function(*(pixels[at] for pixels in flat)),
            height * width,
            _PIXELS,
        )
        return joined.reshape(height, width, -1)


def _resized(
    plane: Float[np.ndarray, "_ _"], height: int, width: int
) -> Float[np.ndarray, "new_height new_width"]:
    """Bring numbers to another size, with antialiasing (Lanczos)."""
    from PIL import Image

    if plane.shape == (height, width):
        return plane
    resized = Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    return np.asarray(resized)
