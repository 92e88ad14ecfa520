"""DCGAN's generator and critic (Radford et al. 2015, arXiv 1511.06434).

For any image size base * 2^depth, and with a condition joined at full resolution
(Ruffino et al. 2019, arXiv 1911.00689).
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.layers.modules import Conv, ConvTranspose
from gan_jax.networks.layers.normalisation import (
    centres,
    initial_weights,
    normalise,
    normalised,
    weighted,
)
from gan_jax.networks.stages import Generator, joined, seen, smallest


class Project(nn.Module):
    """Latent to the smallest image: dense, normalised, rectified."""

    size: int
    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latent"], condition: PyTree, train: bool
    ) -> Float[Array, "batch size size features"]:
        """Project a batch of latents."""
        kind = self.normalisation
        image = nn.Dense(
            self.size**2 * self.features,
            use_bias=not centres(kind),
            kernel_init=initial_weights(kind),
            dtype=latent.dtype,
        )(latent)
        image = image.reshape(-1, self.size, self.size, self.features)
        return nn.relu(normalise(image, kind, train))


class Enlarge(nn.Module):
    """Twice the size: stride-2 transposed convolution, normalised, rectified."""

    features: int
    kernel: int
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
        layer = partial(ConvTranspose, self.features, self.kernel, 2)
        return nn.relu(normalised(layer, kind, train, image))


class Join(nn.Module):
    """Where the condition enters: joined as channels, 3x3 convolution, rectified."""

    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Float[Array, "batch height width features"]:
        """Join the condition's maps to a batch of activations."""
        kind = self.normalisation
        maps = joined(condition).astype(image.dtype)
        layer = partial(Conv, self.features, 3)
        return nn.relu(normalised(layer, kind, train, image, maps))


class Paint(nn.Module):
    """The last stage: a convolution to the image's channels, then tanh."""

    channels: int
    kernel: int
    stride: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Float[Array, "batch new_height new_width channels"]:
        """Paint a batch of images in [-1, 1]."""
        layer = Conv if self.stride == 1 else ConvTranspose
        weights = initial_weights(self.normalisation)
        return nn.tanh(
            layer(self.channels, self.kernel, self.stride, kernel_init=weights)(image)
        )


def contract(
    image: Float[Array, "batch height width channels"],
    features: Sequence[int],
    kernel: int,
    normalisation: str,
    train: bool,
) -> Float[Array, "batch new_height new_width features"]:
    """Halve the size with every convolution; LeakyReLU 0.2, inside a compact module.

    Every convolution but the first is normalised.
    """
    for index, width in enumerate(features):
        layer = partial(Conv, width, kernel, 2)
        if index == 0:
            first = layer(kernel_init=initial_weights(normalisation))
            image = weighted(first, normalisation, train, image)
        else:
            image = normalised(layer, normalisation, train, image)
        image = nn.leaky_relu(image, 0.2)
    return image


class Critic(nn.Module):
    """Stride-2 convolutions, LeakyReLU 0.2, one linear score per image.

    Every convolution but the first is normalised: by batch; by layer, over each image
    alone, so that a gradient penalty is one image's own; or not at all. With spectral
    norm all weights are divided by their largest singular value instead. A conditional
    critic sees the condition's maps as further channels.
    """

    features: Sequence[int]
    kernel: int = 5
    conditional: bool = False
    normalisation: str = "batch"
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
        image = contract(image, self.features, self.kernel, kind, train)
        flat = image.reshape(image.shape[0], -1)
        layer = nn.Dense(1, kernel_init=initial_weights(kind), dtype=self.dtype)
        score = weighted(layer, kind, train, flat)
        return score.squeeze(-1).astype(jnp.float32)


def generator(
    size: int,
    channels: int,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
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
        normalisation: `batch` or `none`.
        dtype: of the computations.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    base = smallest(size, depth)
    first, *others = reversed(filters(width, depth + conditional))
    stages: list[nn.Module] = [Project(base, first, normalisation)]
    stages += [Enlarge(features, kernel, normalisation) for features in others]
    if conditional:
        stages += [Join(width, normalisation), Paint(channels, 3, 1, normalisation)]
    else:
        stages += [Paint(channels, kernel, 2, normalisation)]
    return Generator(stages, dtype)


def critic(
    size: int,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build the critic that mirrors `generator`: `width` filters in its first layer.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    smallest(size, depth)
    return Critic(filters(width, depth), kernel, conditional, normalisation, dtype)


def filters(width: int, depth: int) -> list[int]:
    """Return the filters of `depth` layers: doubled at every halving of the size."""
    return [width * 2**level for level in range(depth)]
