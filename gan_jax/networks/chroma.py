"""The generator of ChromaGAN: it predicts colours and the class of an image.

Vitoria, Raad & Ballester 2020, section 3.1 (arXiv 1907.09837). A trunk reduces the
image to an eighth of its size. One branch computes features of the whole image, one
features of every location; the decoder takes both. A third branch predicts the
image's class, through which the trunk learns semantics.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.networks.layers.convolutions import Conv
from gan_jax.networks.layers.normalisation import apply_normalised
from gan_jax.networks.stages import Generator, concatenate_maps, enlarge

_HALVINGS = 3  # of the size in the trunk
_BRANCH_HALVINGS = 2  # further ones in the branch of the whole image


class ColorOutput(NamedTuple):
    """Output of the generator."""

    image: Float[Array, "batch height width channels"]
    """Chromaticity (scaled ab) in [-1, 1]."""
    logits: Float[Array, "batch classes"]
    """Class logits; no columns for a generator without classes."""


class Encoded(NamedTuple):
    """Output of the branches and input of the decoder."""

    features: Float[Array, "batch height width features"]
    """Local features, with the features of the whole image at every location."""
    logits: Float[Array, "batch classes"]
    """Class logits."""


class Convolve(nn.Module):
    """A 3x3 convolution, normalisation and ReLU."""

    features: int
    stride: int = 1
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch new_height new_width features"]:
        """Return the activations of a batch."""
        layer = partial(Conv, self.features, 3, self.stride)
        weights = nn.initializers.he_normal()
        kind = self.normalisation
        return nn.relu(apply_normalised(layer, kind, train, image, weights=weights))


class Trunk(nn.Module):
    """Convolutions of the lightness to features at an eighth of the size.

    The latent is ignored.
    """

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
        """Return the features of a batch of conditions."""
        kind, width = self.normalisation, self.width
        maps = concatenate_maps(condition).astype(self.dtype)
        image = Convolve(width, 1, kind)(maps, train)
        for level in range(1, _HALVINGS + 1):
            image = Convolve(width * 2**level, 2, kind)(image, train)
            image = Convolve(width * 2**level, 1, kind)(image, train)
        return image


class Branches(nn.Module):
    """The branches of the whole image, of every location, and of the class."""

    width: int
    classes: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width inputs"],
        condition: PyTree,
        train: bool,
    ) -> Encoded:
        """Return the joined features and the class logits of a batch."""
        kind, width = self.normalisation, self.width
        whole = image
        for _ in range(_BRANCH_HALVINGS):
            whole = Convolve(8 * width, 2, kind)(whole, train)
            whole = Convolve(8 * width, 1, kind)(whole, train)
        flat = whole.reshape(whole.shape[0], -1)
        summary = flat
        for features in (16 * width, 8 * width, 4 * width):
            summary = nn.relu(nn.Dense(features, dtype=flat.dtype)(summary))
        hidden = flat
        logits = jnp.zeros((flat.shape[0], 0), flat.dtype)
        if self.classes:
            for _ in range(2):
                hidden = nn.relu(nn.Dense(64 * width, dtype=flat.dtype)(hidden))
            logits = nn.Dense(self.classes, dtype=flat.dtype)(hidden)
        local = Convolve(8 * width, 1, kind)(image, train)
        local = Convolve(4 * width, 1, kind)(local, train)
        tiled = jnp.broadcast_to(
            summary[:, None, None], (*local.shape[:3], summary.shape[-1])
        )
        return Encoded(jnp.concatenate([local, tiled], axis=-1), logits)


class ToImage(nn.Module):
    """The decoder: convolutions to half the size, tanh, then bilinear upsampling."""

    channels: int
    width: int
    normalisation: str = "batch"

    @nn.compact
    def __call__(self, encoded: Encoded, condition: PyTree, train: bool) -> ColorOutput:
        """Return a batch of images in [-1, 1]."""
        kind, width = self.normalisation, self.width
        image = Convolve(4 * width, 1, kind)(encoded.features, train)
        image = Convolve(2 * width, 1, kind)(image, train)
        image = enlarge(image)
        image = Convolve(width, 1, kind)(image, train)
        image = Convolve(width, 1, kind)(image, train)
        image = enlarge(image)
        image = Convolve(max(1, width // 2), 1, kind)(image, train)
        # Small initial weights begin near grey, where tanh is not saturated.
        last = Conv(self.channels, 3, kernel_init=nn.initializers.normal(0.02))
        colours = nn.tanh(last(image))
        batch, height, width, channels = colours.shape
        shape = (batch, 2 * height, 2 * width, channels)
        return ColorOutput(jax.image.resize(colours, shape, "bilinear"), encoded.logits)


def generator(
    size: int | Size,
    channels: int,
    classes: int = 0,
    width: int = 64,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of images from conditions of their size.

    Args:
        size: Size of images and conditions, each side a multiple of 32; a number is
            that of squares.
        channels: Channels of the generated images.
        classes: Number of classes; 0 leaves the class branch out.
        width: Filters at full size; the paper has 64.
        normalisation: `batch` or `none`.
        dtype: Type of the computations.

    Raises:
        InputError: If a side is not a multiple of 32.
    """
    multiple = 2 ** (_HALVINGS + _BRANCH_HALVINGS)
    whole = size_of(size)
    if any(side % multiple for side in whole):
        raise InputError(
            f"images of {whole} do not fit the chroma generator: "
            f"each side of --config.data.size must be a multiple of {multiple}"
        )
    stages: list[nn.Module] = [
        Trunk(width, normalisation, dtype),
        Branches(width, classes, normalisation),
        ToImage(channels, width, normalisation),
    ]
    return Generator(stages, dtype)
