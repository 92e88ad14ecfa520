"""The U-Net generator of pix2pix, from an image or condition to an image.

Isola et al. 2016, appendix 6.1 (arXiv 1611.07004). The input is a condition alone, with
dropout as the only noise in training, or a condition and a latent. A latent joins the
condition as coarse maps, enlarged by repetition. A dense layer makes the maps of a
vector, at one size of images. A latent that is such maps itself needs none (Jetchev,
Bergmann & Vollgraf 2016, arXiv 1611.08207): every layer is then a convolution, and the
same parameters make images of any height and width that are multiples of 2^depth.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.networks.layers.convolutions import Conv, ConvTranspose
from gan_jax.networks.layers.cpu_convolutions import cut
from gan_jax.networks.layers.normalisation import apply_normalised, initial_weights
from gan_jax.networks.stages import (
    Generator,
    base_size,
    concatenate_maps,
    enlarge,
    filters,
)

_MOST = 8  # largest number of filters of a layer, in multiples of the width
_LATENT_MAPS = 8  # channels of the maps of a latent
_DROPOUT = 0.5  # rate in the first decoder, in training

Skips = tuple[Float[Array, "batch _ _ _"], ...]
"""Activations of the encoder, from the largest to the smallest one so far."""


class EncodeCondition(nn.Module):
    """First stage: a stride-2 convolution of the condition and the latent's maps.

    Attributes:
        features: Filters of the convolution.
        kernel: Height and width of the kernel.
        base: Size of the maps that are made of a latent vector; None = the latent is
            maps.
        margin: Pixels of unknown condition that are added on each side.
        normalisation: `batch` or `none`; it determines the initial weights.
        dtype: Type of the computations.
    """

    features: int
    kernel: int
    base: Size | None
    margin: int = 0
    normalisation: str = "batch"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        latent: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]],
        train: bool,
    ) -> Skips:
        """Return the activations of a batch of conditions and, perhaps, latents."""
        weights = initial_weights(self.normalisation)
        layer = Conv(self.features, self.kernel, 2, kernel_init=weights)
        maps = concatenate_maps(condition).astype(self.dtype)
        maps = _framed(maps, self.margin)
        if latent is None:
            return (layer(maps),)
        coarse = latent
        if self.base is not None:
            drawn = nn.Dense(self.base.pixels * _LATENT_MAPS, dtype=self.dtype)(latent)
            coarse = drawn.reshape(-1, *self.base, _LATENT_MAPS)
        return (layer(maps, enlarge(coarse, maps.shape[1] // coarse.shape[1])),)


def _framed(maps: Array, margin: int) -> Array:
    """Return maps with a margin of zeros on each side.

    They are concatenated, because jax2onnx pads no array whose batch size is free.
    """
    for axis in (1, 2) if margin else ():
        shape = (*maps.shape[:axis], margin, *maps.shape[axis + 1 :])
        side = jnp.zeros(shape, maps.dtype)
        maps = jnp.concatenate([side, maps, side], axis)
    return maps


class Encode(nn.Module):
    """LeakyReLU 0.2, a stride-2 convolution to half the size, and normalisation."""

    features: int
    kernel: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(self, images: Skips, condition: PyTree, train: bool) -> Skips:
        """Append the convolution of the smallest activation to the others."""
        layer = partial(Conv, self.features, self.kernel, 2)
        image = nn.leaky_relu(images[-1], 0.2)
        return (*images, apply_normalised(layer, self.normalisation, train, image))


class Decode(nn.Module):
    """ReLU, a transposed convolution to twice the size, and normalisation.

    The first decoder has dropout in training.
    """

    features: int
    kernel: int
    normalisation: str = "batch"
    first: bool = False

    @nn.compact
    def __call__(self, images: Skips, condition: PyTree, train: bool) -> Skips:
        """Replace the last two activations by the decoded one and its skip, joined."""
        *others, skip, image = images
        layer = partial(ConvTranspose, self.features, self.kernel, 2)
        image = apply_normalised(layer, self.normalisation, train, nn.relu(image))
        if self.first:
            image = nn.Dropout(_DROPOUT, deterministic=not train)(image)
        return (*others, jnp.concatenate([image, skip], axis=-1))


class ToImage(nn.Module):
    """Last stage: ReLU, a transposed convolution to the channels, then tanh.

    Attributes:
        channels: Channels of the images.
        kernel: Height and width of the kernel.
        margin: Pixels that are cut off on each side.
        normalisation: `batch` or `none`; it determines the initial weights.
    """

    channels: int
    kernel: int
    margin: int = 0
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, images: Skips, condition: PyTree, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Return a batch of images in [-1, 1]."""
        weights = initial_weights(self.normalisation)
        layer = ConvTranspose(self.channels, self.kernel, 2, kernel_init=weights)
        image = nn.tanh(layer(nn.relu(images[-1])))
        rows, columns = ((self.margin, side - self.margin) for side in image.shape[1:3])
        return cut(image, rows, columns)


def generator(
    size: int | Size,
    channels: int,
    width: int = 64,
    depth: int = 4,
    kernel: int = 4,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
    latent_map: bool = False,
    margin: int = 0,
) -> Generator:
    """Build a generator of images from conditions of their size.

    Arguments and errors are those of `dcgan.generator`; `width` is that at half the
    size, doubled at every halving, up to 8 times. With `latent_map` a latent is an
    array of (height + 2 margin)/2^depth x (width + 2 margin)/2^depth cells and some
    channels, and images and conditions may have any height and width that are
    multiples of 2^depth.

    Images are made with a `margin` of pixels on each side that is cut off. Convolutions
    pad their input by zeros, by which a generator knows where an image ends. The larger
    the margin, the less the inside of a large field differs from the small images that
    the critic sees. It must be a multiple of 2^(depth - 1).
    """
    step = 2 ** (depth - 1)
    if margin % step:
        raise InputError(
            f"network.margin {margin} is no multiple of {step}, half a cell of the "
            f"innermost maps at depth {depth}: choose 0, {step}, {2 * step}, ... with "
            "--config.network.margin"
        )
    base_size(size, depth)  # refused by its own size, not by that with a margin
    base = base_size(Size(*(side + 2 * margin for side in size_of(size))), depth)
    first, *deeper = filters(width, depth, _MOST)
    stages: list[nn.Module] = [
        EncodeCondition(
            first, kernel, None if latent_map else base, margin, normalisation, dtype
        )
    ]
    stages += [Encode(features, kernel, normalisation) for features in deeper]
    stages += [
        Decode(features, kernel, normalisation, first=place == 0)
        for place, features in enumerate(reversed([first, *deeper][:-1]))
    ]
    stages += [ToImage(channels, kernel, margin, normalisation)]
    return Generator(stages, dtype)


def receptive_field(depth: int, kernel: int) -> int:
    """Return the largest distance of an input that a pixel of an image depends on.

    It is in pixels along either axis; a cell of a latent map lies where its pixels are.
    It holds where normalisation has fixed statistics, not in training. A convolution
    at a spacing of s pixels reaches (kernel - 1) * s further on both sides together, so
    that the way down the encoder and up the decoder reaches as far on each side.

    Args:
        depth: Number of halvings.
        kernel: Height and width of the kernels.
    """
    return (kernel - 1) * (2**depth - 1)
