"""Residual networks of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, appendix F).

Blocks of two 3x3 convolutions around which the image is passed on, enlarged by
repetition or reduced by averaging.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.layers.modules import Conv
from gan_jax.networks.layers.normalisation import normalise, weighted
from gan_jax.networks.stages import Generator, joined, seen, smallest

_MOST = 8  # times the width: no layer has more filters


def _enlarge(image: Array) -> Array:
    return image.repeat(2, axis=1).repeat(2, axis=2)


def _reduce(image: Array) -> Array:
    batch, height, width, channels = image.shape
    blocks = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.mean(axis=(2, 4))


def _second(normalisation: str) -> nn.initializers.Initializer:
    """Let a block that nothing normalises begin as the image it is given.

    Zhang et al. 2019, arXiv 1901.09321: activations would grow with depth otherwise.
    """
    zero = normalisation == "none"
    return nn.initializers.zeros if zero else nn.initializers.he_normal()


class Begin(nn.Module):
    """Latent to the smallest image: dense alone, as the first block normalises."""

    size: int
    features: int

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latent"], condition: PyTree, train: bool
    ) -> Float[Array, "batch size size features"]:
        """Project a batch of latents."""
        layer = nn.Dense(self.size**2 * self.features, dtype=latent.dtype)
        return layer(latent).reshape(-1, self.size, self.size, self.features)


class Enlarge(nn.Module):
    """Twice the size: normalised, rectified, repeated, convolved; twice over."""

    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Float[Array, "batch new_height new_width features"]:
        """Enlarge a batch of activations."""
        kind = self.normalisation
        start = nn.initializers.he_normal()
        inner = _enlarge(nn.relu(normalise(image, kind, train)))
        inner = Conv(self.features, 3, kernel_init=start)(inner)
        inner = nn.relu(normalise(inner, kind, train))
        inner = Conv(self.features, 3, kernel_init=_second(kind))(inner)
        if image.shape[-1] != self.features:
            # A 1x1 convolution of repeated pixels is repeated, and cheaper before.
            image = Conv(self.features, 1)(image)
        return _enlarge(image) + inner


class Paint(nn.Module):
    """The last stage: normalised, rectified, convolved to the channels, then tanh.

    A condition is joined to what is convolved.
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
        """Paint a batch of images in [-1, 1]."""
        kind = self.normalisation
        image = nn.relu(normalise(image, kind, train))
        if self.conditional:
            maps = joined(condition).astype(image.dtype)
            inner = Conv(image.shape[-1], 3, kernel_init=nn.initializers.he_normal())
            image = nn.relu(normalise(inner(image, maps), kind, train))
        return nn.tanh(Conv(self.channels, 3)(image))


class Reduce(nn.Module):
    """Half the size: normalised, rectified, convolved twice, averaged."""

    features: int
    normalisation: str = "layer"

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch new_height new_width features"]:
        """Reduce a batch of activations."""
        kind = self.normalisation
        start = nn.initializers.he_normal()
        inner = nn.relu(normalise(image, kind, train))
        first = Conv(image.shape[-1], 3, kernel_init=start)
        inner = nn.relu(normalise(weighted(first, kind, train, inner), kind, train))
        # To convolve before averaging doubles the work of a strided convolution, and
        # is what the paper does.
        second = Conv(self.features, 3, kernel_init=_second(kind))
        inner = _reduce(weighted(second, kind, train, inner))
        shortcut = _reduce(image)
        if image.shape[-1] != self.features:
            shortcut = weighted(Conv(self.features, 1), kind, train, shortcut)
        return shortcut + inner


class Critic(nn.Module):
    """A convolution, blocks that halve the size, one linear score per image."""

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
        """Score a batch of images; a higher score is more real."""
        kind = self.normalisation
        image = seen(image, condition if self.conditional else None, self.dtype)
        image = weighted(Conv(self.width, 3), kind, train, image)
        for features in _filters(self.width, self.depth)[1:]:
            image = Reduce(features, kind)(image, train)
        flat = image.reshape(image.shape[0], -1)
        layer = nn.Dense(1, dtype=self.dtype)
        return weighted(layer, kind, train, flat).squeeze(-1).astype(jnp.float32)


def generator(
    size: int,
    channels: int,
    width: int = 64,
    depth: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of square images.

    Args:
        size: height and width of the image, base * 2^depth.
        channels: 1 for grey, 3 for RGB.
        width: filters at full resolution; doubled at every halving, up to 8 times.
        depth: how many times the size doubles.
        conditional: join a condition at full resolution.
        normalisation: `batch` or `none`.
        dtype: of the computations.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    first, *others = reversed(_filters(width, depth))
    return Generator(
        [
            Begin(smallest(size, depth), first),
            *(Enlarge(features, normalisation) for features in others),
            Paint(channels, conditional, normalisation),
        ],
        dtype,
    )


def critic(
    size: int,
    width: int = 64,
    depth: int = 4,
    conditional: bool = False,
    normalisation: str = "layer",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build the critic that mirrors `generator`: `width` filters in its first layer.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    smallest(size, depth)
    return Critic(width, depth, conditional, normalisation, dtype)


def _filters(width: int, depth: int) -> list[int]:
    """Return the filters from full resolution to the smallest image."""
    return [width * min(_MOST, 2**level) for level in range(depth + 1)]
