"""The generator that makes an image of an image: pix2pix's U-Net.

Isola et al. 2016, arXiv 1611.07004, appendix 6.1. It starts from the condition alone,
its noise being the dropout of training; or from a condition and a latent, which joins
it as maps of the size of the innermost layer.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.layers.modules import Conv, ConvTranspose
from gan_jax.networks.layers.normalisation import initial_weights, normalised
from gan_jax.networks.stages import Generator, joined, smallest

_MOST = 8  # times the width: no layer has more filters
_LATENT_MAPS = 8  # that a latent makes
_DROPPED = 0.5  # share of the first decoder's values, in training

Skips = tuple[Float[Array, "batch _ _ _"], ...]
"""The encoder's images from the largest to the one that is next."""


class Begin(nn.Module):
    """The condition to half its size; a latent, if any, joins it as coarse maps."""

    features: int
    kernel: int
    base: int
    """Height and width of the maps of a latent, before they are enlarged."""
    normalisation: str = "batch"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        latent: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Skips:
        """Encode the maps of a condition."""
        weights = initial_weights(self.normalisation)
        layer = Conv(self.features, self.kernel, 2, kernel_init=weights)
        maps = joined(condition).astype(self.dtype)
        if latent is None:
            return (layer(maps),)
        scale = maps.shape[1] // self.base
        drawn = nn.Dense(self.base**2 * _LATENT_MAPS, dtype=self.dtype)(latent)
        coarse = drawn.reshape(-1, self.base, self.base, _LATENT_MAPS)
        return (layer(maps, coarse.repeat(scale, axis=1).repeat(scale, axis=2)),)


class Encode(nn.Module):
    """Half the size: rectified, convolved, normalised; what came before is kept."""

    features: int
    kernel: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(self, images: Skips, condition: PyTree, train: bool) -> Skips:
        """Encode the smallest of the images."""
        layer = partial(Conv, self.features, self.kernel, 2)
        image = nn.leaky_relu(images[-1], 0.2)
        return (*images, normalised(layer, self.normalisation, train, image))


class Decode(nn.Module):
    """Twice the size: rectified, convolved, normalised, beside the encoder's image.

    The first of them drops half of what it makes while it trains.
    """

    features: int
    kernel: int
    normalisation: str = "batch"
    first: bool = False

    @nn.compact
    def __call__(self, images: Skips, condition: PyTree, train: bool) -> Skips:
        """Decode the last of the images; it and its counterpart come out as one."""
        *others, skip, image = images
        layer = partial(ConvTranspose, self.features, self.kernel, 2)
        image = normalised(layer, self.normalisation, train, nn.relu(image))
        if self.first:
            image = nn.Dropout(_DROPPED, deterministic=not train)(image)
        return (*others, jnp.concatenate([image, skip], axis=-1))


class Paint(nn.Module):
    """The last stage: twice the size, to the channels, then tanh."""

    channels: int
    kernel: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, images: Skips, condition: PyTree, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Paint a batch of images in [-1, 1]."""
        weights = initial_weights(self.normalisation)
        layer = ConvTranspose(self.channels, self.kernel, 2, kernel_init=weights)
        return nn.tanh(layer(nn.relu(images[-1])))


def generator(
    size: int,
    channels: int,
    width: int = 64,
    depth: int = 4,
    kernel: int = 4,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of square images from square conditions.

    Args:
        size: height and width of both.
        channels: of the images made.
        width: filters at half the size; doubled at every halving, up to 8 times.
        depth: how many times the size is halved, then doubled; to 2x2 pixels where it
            is one less than the logarithm of `size`.
        kernel: of the convolutions.
        normalisation: `batch` or `none`.
        dtype: of the computations.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    base = smallest(size, depth)
    first, *deeper = [width * min(_MOST, 2**level) for level in range(depth)]
    stages: list[nn.Module] = [Begin(first, kernel, base, normalisation, dtype)]
    stages += [Encode(features, kernel, normalisation) for features in deeper]
    stages += [
        Decode(features, kernel, normalisation, first=place == 0)
        for place, features in enumerate(reversed([first, *deeper][:-1]))
    ]
    stages += [Paint(channels, kernel, normalisation)]
    return Generator(stages, dtype)
