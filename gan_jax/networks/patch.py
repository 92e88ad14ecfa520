"""The patch critic of pix2pix (Isola et al. 2016, arXiv 1611.07004, appendix 6.1.2)."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.limits import Size
from gan_jax.networks.dcgan import contract
from gan_jax.networks.layers.convolutions import Conv
from gan_jax.networks.layers.normalisation import (
    apply_layer,
    apply_normalised,
    initial_weights,
)
from gan_jax.networks.stages import base_size, filters, with_condition


class Critic(nn.Module):
    """Stride-2 convolutions, one of stride 1, and one to a map of scores.

    Each score depends on a patch of the image only.

    `critic` documents the attributes.
    """

    features: Sequence[int]
    kernel: int = 4
    conditional: bool = False
    normalisation: str = "batch"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch rows columns"]:
        """Return a map of scores per image; a higher score is more real."""
        kind = self.normalisation
        maps = condition if self.conditional else None
        image = with_condition(image, maps, self.dtype)
        *halving, last = self.features
        image = contract(image, halving, self.kernel, kind, train)
        layer = partial(Conv, last, self.kernel)
        image = nn.leaky_relu(apply_normalised(layer, kind, train, image), 0.2)
        head = Conv(1, self.kernel, kernel_init=initial_weights(kind))
        scores = apply_layer(head, kind, train, image)
        return scores.squeeze(-1).astype(jnp.float32)


def critic(
    size: int | Size,
    width: int = 64,
    depth: int = 3,
    kernel: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build a critic whose map of scores is 2^depth times smaller than the image.

    With the defaults each score depends on 70x70 pixels. Arguments and errors are those
    of `dcgan.critic`.
    """
    base_size(size, depth)
    features = filters(width, depth + 1)
    return Critic(features, kernel, conditional, normalisation, dtype)
