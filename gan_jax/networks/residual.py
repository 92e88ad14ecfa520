"""The residual networks of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, app. F).

Residual blocks of two 3x3 convolutions, with nearest-neighbour upsampling or average
pooling.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.limits import Size
from gan_jax.networks.layers.convolutions import Conv
from gan_jax.networks.layers.normalisation import apply_layer, normalise
from gan_jax.networks.stages import (
    Generator,
    base_size,
    concatenate_maps,
    enlarge,
    filters,
    with_condition,
)

_MOST = 8  # largest number of filters of a layer, in multiples of the width


def _reduce(image: Array) -> Array:
    batch, height, width, channels = image.shape
    blocks = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.mean(axis=(2, 4))


def _second(normalisation: str) -> nn.initializers.Initializer:
    """Return the initialiser of a block's second convolution.

    Zeros make a block without normalisation begin as the identity. Otherwise
    activations would grow with depth (Zhang et al. 2019, arXiv 1901.09321).
    """
    zero = normalisation == "none"
    return nn.initializers.zeros if zero else nn.initializers.he_normal()


class Project(nn.Module):
    """First stage: a dense layer to the smallest image; the next block normalises."""

    base: Size
    features: int

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latent"], condition: PyTree, train: bool
    ) -> Float[Array, "batch height width features"]:
        """Return the activations of a batch of latents."""
        layer = nn.Dense(self.base.pixels * self.features, dtype=latent.dtype)
        return layer(latent).reshape(-1, *self.base, self.features)


class Enlarge(nn.Module):
    """Residual block that doubles the size.

    Two 3x3 convolutions, each after normalisation and ReLU.
    """

    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Float[Array, "batch new_height new_width features"]:
        """Return activations of twice the height and width."""
        kind = self.normalisation
        start = nn.initializers.he_normal()
        inner = enlarge(nn.relu(normalise(image, kind, train)))
        inner = Conv(self.features, 3, kernel_init=start)(inner)
        inner = nn.relu(normalise(inner, kind, train))
        inner = Conv(self.features, 3, kernel_init=_second(kind))(inner)
        if image.shape[-1] != self.features:
            # A 1x1 convolution commutes with repetition, and is cheaper before it.
            image = Conv(self.features, 1)(image)
        return enlarge(image) + inner


class ToImage(nn.Module):
    """Last stage: normalisation, ReLU, a convolution to the channels, then tanh.

    A conditional stage first convolves the activations with the condition's maps.
    """

    channels: int
    conditional: bool = False
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Float[Array, "batch height width channels"]:
        """Return a batch of images in [-1, 1]."""
        kind = self.normalisation
        image = nn.relu(normalise(image, kind, train))
        if self.conditional:
            maps = concatenate_maps(condition).astype(image.dtype)
            inner = Conv(image.shape[-1], 3, kernel_init=nn.initializers.he_normal())
            image = nn.relu(normalise(inner(image, maps), kind, train))
        return nn.tanh(Conv(self.channels, 3)(image))


class Reduce(nn.Module):
    """Residual block that halves the size by averaging; otherwise as `Enlarge`."""

    features: int
    normalisation: str = "layer"

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch new_height new_width features"]:
        """Return activations of half the height and width."""
        kind = self.normalisation
        start = nn.initializers.he_normal()
        inner = nn.relu(normalise(image, kind, train))
        first = Conv(image.shape[-1], 3, kernel_init=start)
        inner = nn.relu(normalise(apply_layer(first, kind, train, inner), kind, train))
        # As in the paper the convolution precedes the average; a strided convolution
        # would take half of the work.
        second = Conv(self.features, 3, kernel_init=_second(kind))
        inner = _reduce(apply_layer(second, kind, train, inner))
        shortcut = _reduce(image)
        if image.shape[-1] != self.features:
            shortcut = apply_layer(Conv(self.features, 1), kind, train, shortcut)
        return shortcut + inner


class Critic(nn.Module):
    """A convolution, residual blocks that halve the size, and one score per image.

    `critic` documents the attributes.
    """

    width: int
    depth: int
    conditional: bool = False
    normalisation: str = "layer"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Return the score of each image; a higher score is more real."""
        kind = self.normalisation
        maps = condition if self.conditional else None
        image = with_condition(image, maps, self.dtype)
        image = apply_layer(Conv(self.width, 3), kind, train, image)
        for features in filters(self.width, self.depth + 1, _MOST)[1:]:
            image = Reduce(features, kind)(image, train)
        flat = image.reshape(image.shape[0], -1)
        layer = nn.Dense(1, dtype=self.dtype)
        return apply_layer(layer, kind, train, flat).squeeze(-1).astype(jnp.float32)


def generator(
    size: int | Size,
    channels: int,
    width: int = 64,
    depth: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of images.

    Arguments and errors are those of `dcgan.generator`, but the filters grow up to 8
    times `width` only.
    """
    first, *others = reversed(filters(width, depth + 1, _MOST))
    return Generator(
        [
            Project(base_size(size, depth), first),
            *(Enlarge(features, normalisation) for features in others),
            ToImage(channels, conditional, normalisation),
        ],
        dtype,
    )


def critic(
    size: int | Size,
    width: int = 64,
    depth: int = 4,
    conditional: bool = False,
    normalisation: str = "layer",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build the critic that mirrors `generator`; each of its blocks halves the size.

    Arguments and errors are those of `dcgan.critic`, but the filters grow up to 8 times
    `width` only.
    """
    base_size(size, depth)
    return Critic(width, depth, conditional, normalisation, dtype)
