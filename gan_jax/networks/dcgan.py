"""DCGAN's generator and critic (Radford et al. 2015, arXiv 1511.06434).

For any image size base * 2^depth, and with a condition joined at full resolution
(Ruffino et al. 2019, arXiv 1911.00689).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from gan_jax.errors import InputError
from gan_jax.networks.layers import Conv, ConvTranspose
from gan_jax.networks.stages import Generator

_weights = nn.initializers.normal(0.02)


def _normalise(activation: Array, train: bool) -> Array:
    normalise = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        # E[x^2] - E[x]^2 loses the digits that mostly constant images need.
        use_fast_variance=False,
        scale_init=lambda key, shape, dtype=jnp.float32: (
            1 + 0.02 * jax.random.normal(key, shape, dtype)
        ),
    )
    return normalise(activation)


def _maps(condition: PyTree[Array]) -> Array:
    return jnp.concatenate(jax.tree.leaves(condition), axis=-1)


class Project(nn.Module):
    """Latent to the smallest image: dense, normalised, rectified."""

    size: int
    features: int

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latent"], condition: PyTree, train: bool
    ) -> Float[Array, "batch size size features"]:
        """Project a batch of latents."""
        width = self.size**2 * self.features
        image = nn.Dense(width, use_bias=False, kernel_init=_weights)(latent)
        image = image.reshape(-1, self.size, self.size, self.features)
        return nn.relu(_normalise(image, train))


class Enlarge(nn.Module):
    """Twice the size: stride-2 transposed convolution, normalised, rectified."""

    features: int
    kernel: int

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Float[Array, "batch new_height new_width features"]:
        """Enlarge a batch of activations."""
        image = ConvTranspose(
            self.features, self.kernel, 2, use_bias=False, kernel_init=_weights
        )(image)
        return nn.relu(_normalise(image, train))


class Join(nn.Module):
    """Where the condition enters: joined as channels, 3x3 convolution, rectified."""

    features: int

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Float[Array, "batch height width features"]:
        """Join the condition's maps to a batch of activations."""
        image = Conv(self.features, 3, use_bias=False, kernel_init=_weights)(
            image, _maps(condition)
        )
        return nn.relu(_normalise(image, train))


class Paint(nn.Module):
    """The last stage: a convolution to the image's channels, then tanh."""

    channels: int
    kernel: int
    stride: int

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Float[Array, "batch new_height new_width channels"]:
        """Paint a batch of images in [-1, 1]."""
        layer = Conv if self.stride == 1 else ConvTranspose
        return nn.tanh(
            layer(self.channels, self.kernel, self.stride, kernel_init=_weights)(image)
        )


class Critic(nn.Module):
    """Stride-2 convolutions, LeakyReLU 0.2, one linear score per image.

    Batch normalisation follows every convolution but the first. A conditional critic
    sees the condition's maps as further channels.
    """

    features: Sequence[int]
    kernel: int = 5
    conditional: bool = False

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Score a batch of images; a higher score is more real."""
        if self.conditional:
            image = jnp.concatenate([image, _maps(condition)], axis=-1)
        for index, features in enumerate(self.features):
            image = Conv(
                features, self.kernel, 2, use_bias=index == 0, kernel_init=_weights
            )(image)
            if index > 0:
                image = _normalise(image, train)
            image = nn.leaky_relu(image, 0.2)
        flat = image.reshape(image.shape[0], -1)
        return nn.Dense(1, kernel_init=_weights)(flat).squeeze(-1)


def generator(
    size: int,
    channels: int,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
) -> Generator:
    """Build a generator of square images.

    Args:
        size: height and width of the image, base * 2^depth.
        channels: 1 for grey, 3 for RGB.
        width: filters at full resolution; doubled at every halving of the size.
        depth: how many times the size doubles.
        kernel: width of the transposed convolutions' kernels.
        conditional: join a condition at full resolution; then `depth` layers enlarge
            and two 3x3 convolutions follow. Without one the last of the enlarging
            layers paints the image.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    base = _base(size, depth)
    filters = [width * 2**level for level in reversed(range(depth + 1))]
    if not conditional:
        filters = filters[:-1]
    stages: list[nn.Module] = [Project(base, filters[0])]
    stages += [Enlarge(features, kernel) for features in filters[1:]]
    if conditional:
        stages += [Join(width), Paint(channels, 3, 1)]
    else:
        stages += [Paint(channels, kernel, 2)]
    return Generator(stages)


def critic(
    size: int,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
) -> Critic:
    """Build the critic that mirrors `generator`: `width` filters in its first layer.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    _base(size, depth)
    return Critic([width * 2**level for level in range(depth)], kernel, conditional)


def _base(size: int, depth: int) -> int:
    base, rest = divmod(size, 2**depth)
    if depth < 1 or rest or base < 2:
        sizes = ", ".join(str(known * 2**depth) for known in (3, 4, 5, 6, 7, 8))
        raise InputError(
            f"images of {size}x{size} do not fit networks of depth {depth}: the size "
            f"must be base * 2^depth with a base of 2 or more, e.g. {sizes}; change "
            "data.size or network.depth"
        )
    return base
