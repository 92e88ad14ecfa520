"""The generator and critic of DCGAN (Radford et al. 2015, arXiv 1511.06434).

Images have any size base * 2^depth. A condition joins the generator at full resolution
(Ruffino et al. 2019, arXiv 1911.00689).
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.limits import Size
from gan_jax.networks.layers.convolutions import Conv, ConvTranspose
from gan_jax.networks.layers.normalisation import (
    apply_layer,
    apply_normalised,
    initial_weights,
    normalise,
    removes_mean,
)
from gan_jax.networks.stages import (
    Generator,
    base_size,
    concatenate_maps,
    filters,
    with_condition,
)


class Project(nn.Module):
    """First stage: a dense layer to the smallest image, normalisation and ReLU."""

    base: Size
    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latent"], condition: PyTree, train: bool
    ) -> Float[Array, "batch height width features"]:
        """Return the activations of a batch of latents."""
        kind = self.normalisation
        image = nn.Dense(
            self.base.pixels * self.features,
            use_bias=not removes_mean(kind),
            kernel_init=initial_weights(kind),
            dtype=latent.dtype,
        )(latent)
        image = image.reshape(-1, *self.base, self.features)
        return nn.relu(normalise(image, kind, train))


class Enlarge(nn.Module):
    """A stride-2 transposed convolution to twice the size, normalisation and ReLU."""

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
        """Return activations of twice the height and width."""
        kind = self.normalisation
        layer = partial(ConvTranspose, self.features, self.kernel, 2)
        return nn.relu(apply_normalised(layer, kind, train, image))


class Join(nn.Module):
    """A 3x3 convolution of activations and condition, normalisation and ReLU."""

    features: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Float[Array, "batch height width features"]:
        """Return the activations of a batch and its conditions."""
        kind = self.normalisation
        maps = concatenate_maps(condition).astype(image.dtype)
        layer = partial(Conv, self.features, 3)
        return nn.relu(apply_normalised(layer, kind, train, image, maps))


class ToImage(nn.Module):
    """Last stage: a convolution to the image's channels, then tanh."""

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
        """Return a batch of images in [-1, 1]."""
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
    """Apply stride-2 convolutions with LeakyReLU 0.2, inside a compact module.

    Args:
        image: Activations, or images with the maps of a condition as channels.
        features: Filters of each convolution; each halves the size.
        kernel: Height and width of the kernels.
        normalisation: Normalisation of every convolution but the first.
        train: Whether to normalise with the batch's own statistics.
    """
    for index, width in enumerate(features):
        layer = partial(Conv, width, kernel, 2)
        if index == 0:
            first = layer(kernel_init=initial_weights(normalisation))
            image = apply_layer(first, normalisation, train, image)
        else:
            image = apply_normalised(layer, normalisation, train, image)
        image = nn.leaky_relu(image, 0.2)
    return image


class Critic(nn.Module):
    """Stride-2 convolutions with LeakyReLU 0.2, and one linear score per image.

    Every convolution but the first is normalised. Layer normalisation acts on each
    image alone, so that a gradient penalty is defined per image. With spectral norm
    all weights are divided by their largest singular value instead.

    `critic` documents the attributes.
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
        """Return the score of each image; a higher score is more real."""
        kind = self.normalisation
        maps = condition if self.conditional else None
        image = with_condition(image, maps, self.dtype)
        image = contract(image, self.features, self.kernel, kind, train)
        flat = image.reshape(image.shape[0], -1)
        layer = nn.Dense(1, kernel_init=initial_weights(kind), dtype=self.dtype)
        score = apply_layer(layer, kind, train, flat)
        return score.squeeze(-1).astype(jnp.float32)


def generator(
    size: int | Size,
    channels: int,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of images.

    Args:
        size: Size of the images, base * 2^depth; a number is that of squares.
        channels: Channels of the images: 1 for grey, 3 for RGB.
        width: Filters at full resolution, doubled at every halving of the size.
        depth: Number of times that the size doubles.
        kernel: Height and width of the transposed convolutions' kernels.
        conditional: Whether a condition joins at full resolution. Two 3x3 convolutions
            then follow the `depth` transposed ones; otherwise the last transposed
            convolution returns the image.
        normalisation: `batch` or `none`.
        dtype: Type of the computations.

    Raises:
        InputError: If a side is not base * 2^depth with a base of 2 or more.
    """
    base = base_size(size, depth)
    first, *others = reversed(filters(width, depth + conditional))
    stages: list[nn.Module] = [Project(base, first, normalisation)]
    stages += [Enlarge(features, kernel, normalisation) for features in others]
    if conditional:
        stages += [Join(width, normalisation), ToImage(channels, 3, 1, normalisation)]
    else:
        stages += [ToImage(channels, kernel, 2, normalisation)]
    return Generator(stages, dtype)


def critic(
    size: int | Size,
    width: int = 64,
    depth: int = 2,
    kernel: int = 5,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build the critic that mirrors `generator`.

    Args:
        size: Size of the images, base * 2^depth; a number is that of squares.
        width: Filters of the first layer, doubled in every further one.
        depth: Number of stride-2 convolutions.
        kernel: Height and width of the kernels.
        conditional: Whether the critic takes the condition's maps as channels.
        normalisation: One of `normalisation.NORMALISATIONS`.
        dtype: Type of the computations.

    Raises:
        InputError: If a side is not base * 2^depth with a base of 2 or more.
    """
    base_size(size, depth)
    return Critic(filters(width, depth), kernel, conditional, normalisation, dtype)
