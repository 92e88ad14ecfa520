"""ChromaGAN's generator: colours, and what the image is taken for.

Vitoria, Raad & Ballester 2020, arXiv 1907.09837, section 3.1. A trunk at an eighth of
the size feeds a branch that looks at the whole image and one that looks at places; the
decoder sees both. Another branch names the image's class, by which the trunk learns
what things are.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.errors import InputError
from gan_jax.networks.layers.modules import Conv
from gan_jax.networks.layers.normalisation import normalised
from gan_jax.networks.stages import Generator, joined

_HALVINGS = 3  # to the trunk's size
_BRANCH_HALVINGS = 2  # further ones, where an image is looked at as a whole


class Coloured(NamedTuple):
    """What the generator gives."""

    image: Float[Array, "batch height width channels"]
    """In [-1, 1]: scaled ab."""
    logits: Float[Array, "batch classes"]
    """Of what the image is taken for; no class where none are asked for."""


class Seen(NamedTuple):
    """What the decoder is told."""

    features: Float[Array, "batch height width features"]
    logits: Float[Array, "batch classes"]


class Convolve(nn.Module):
    """A 3x3 convolution, rectified, normalised."""

    features: int
    stride: int = 1
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch new_height new_width features"]:
        """Convolve a batch of activations."""
        layer = partial(Conv, self.features, 3, self.stride)
        weights = nn.initializers.he_normal()
        kind = self.normalisation
        return nn.relu(normalised(layer, kind, train, image, weights=weights))


class Trunk(nn.Module):
    """Lightness to features at an eighth of the size; a latent is not looked at."""

    width: int
    normalisation: str = "batch"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        latent: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Float[Array, "batch new_height new_width features"]:
        """See a batch of conditions."""
        kind, width = self.normalisation, self.width
        maps = joined(condition).astype(self.dtype)
        image = Convolve(width, 1, kind)(maps, train)
        for level in range(1, _HALVINGS + 1):
            image = Convolve(width * 2**level, 2, kind)(image, train)
            image = Convolve(width * 2**level, 1, kind)(image, train)
        return image


class Branches(nn.Module):
    """The image as a whole and by places, joined; and what it is taken for."""

    width: int
    classes: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Seen:
        """Look at a batch of the trunk's features."""
        kind, width = self.normalisation, self.width
        whole = image
        for _ in range(_BRANCH_HALVINGS):
            whole = Convolve(8 * width, 2, kind)(whole, train)
            whole = Convolve(8 * width, 1, kind)(whole, train)
        flat = whole.reshape(whole.shape[0], -1)
        about = flat
        for features in (16 * width, 8 * width, 4 * width):
            about = nn.relu(nn.Dense(features, dtype=flat.dtype)(about))
        named = flat
        logits = jnp.zeros((flat.shape[0], 0), flat.dtype)
        if self.classes:
            for _ in range(2):
                named = nn.relu(nn.Dense(64 * width, dtype=flat.dtype)(named))
            logits = nn.Dense(self.classes, dtype=flat.dtype)(named)
        places = Convolve(8 * width, 1, kind)(image, train)
        places = Convolve(4 * width, 1, kind)(places, train)
        tiled = jnp.broadcast_to(
            about[:, None, None], (*places.shape[:3], about.shape[-1])
        )
        return Seen(jnp.concatenate([places, tiled], axis=-1), logits)


class Paint(nn.Module):
    """The decoder: to colours at half the size, then smoothly to the whole."""

    channels: int
    width: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(self, seen: Seen, condition: PyTree, train: bool) -> Coloured:
        """Paint a batch of images in [-1, 1]."""
        kind, width = self.normalisation, self.width
        image = Convolve(4 * width, 1, kind)(seen.features, train)
        image = Convolve(2 * width, 1, kind)(image, train)
        image = image.repeat(2, axis=1).repeat(2, axis=2)
        image = Convolve(width, 1, kind)(image, train)
        image = Convolve(width, 1, kind)(image, train)
        image = image.repeat(2, axis=1).repeat(2, axis=2)
        image = Convolve(max(1, width // 2), 1, kind)(image, train)
        # It begins near grey: where tanh is saturated, nothing would be learned.
        last = Conv(self.channels, 3, kernel_init=nn.initializers.normal(0.02))
        colours = nn.tanh(last(image))
        batch, height, width, channels = colours.shape
        shape = (batch, 2 * height, 2 * width, channels)
        return Coloured(jax.image.resize(colours, shape, "bilinear"), seen.logits)


def generator(
    size: int,
    channels: int,
    classes: int = 0,
    width: int = 64,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of square images from square conditions.

    Args:
        size: height and width of both, a multiple of 32.
        channels: of the images made.
        classes: that the generator tells apart; 0 leaves that branch out.
        width: filters at full size; published are 64.
        normalisation: `batch` or `none`.
        dtype: of the computations.

    Raises:
        InputError: where `size` is no such multiple.
    """
    multiple = 2 ** (_HALVINGS + _BRANCH_HALVINGS)
    if size % multiple:
        raise InputError(
            f"images of {size}x{size} do not fit the chroma generator: data.size must "
            f"be a multiple of {multiple}"
        )
    stages: list[nn.Module] = [
        Trunk(width, normalisation, dtype),
        Branches(width, classes, normalisation),
        Paint(channels, width, normalisation),
    ]
    return Generator(stages, dtype)
