"""A trained colorizer as a function of an image of any size."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.data import color
from gan_jax.data.decode import to_float_numpy, with_channels
from gan_jax.data.user_images import Image8
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.runs.inference import images_of, in_chunks
from gan_jax.runs.prior import Prior

_PIXELS = 2**16  # pixels of an image converted at once


class Colored(NamedTuple):
    """An image in new colours, with the lightness and colours of the given one."""

    image: Image8
    lightness: Float[np.ndarray, "height width 1"]
    """Lightness of the given image, scaled to [-1, 1]."""
    true_ab: Float[np.ndarray, "height width 2"]
    """Scaled ab of the given image; zeros if it is grey."""


class Colorizer:
    """A prior as a function of an image that returns it in colour."""

    def __init__(self, prior: Prior):
        """Compile the network and the colour conversions, once for all sizes."""
        self._size: int = prior.config.data.size
        self._variables = prior.networks.generator
        self._paint = compiled(images_of(prior.method))
        self._split = compiled(lambda rgb: jnp.concatenate(color.split(rgb), axis=-1))
        self._merge = compiled(color.merge)

    def __call__(self, image: Image8) -> Colored:
        """Return an image of 1 or 3 channels colorized at its own size.

        The generator sees the lightness at its own square size. Its colours are
        resized to the image's size; the lightness is unchanged.
        """
        lightness, true_ab = self.split(image)
        small = _resized(lightness[..., 0], self._size, self._size)
        ab = np.asarray(self._paint(self._variables, None, small[None, ..., None]))[0]
        return Colored(self._painted(lightness, ab), lightness, true_ab)

    def split(
        self, image: Image8
    ) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w 2"]]:
        """Return the scaled lightness and the scaled ab of an image."""
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
        """Return a compiled function of pixels, applied in pieces of one size."""
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
    """Return a plane of numbers at another size, antialiased (Lanczos)."""
    from PIL import Image

    if plane.shape == (height, width):
        return plane
    resized = Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    return np.asarray(resized)
