"""A critic of patches (Isola et al. 2016, arXiv 1611.07004, appendix 6.1.2)."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.dcgan import contract, filters
from gan_jax.networks.layers.modules import Conv
from gan_jax.networks.layers.normalisation import initial_weights, normalised, weighted
from gan_jax.networks.stages import seen, smallest


class Critic(nn.Module):
    """Stride-2 convolutions, one of stride 1, and one to a map of scores.

    A score sees a patch of the image only. A conditional critic sees the condition's
    maps as further channels.
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
        """Score the patches of a batch of images; a higher score is more real."""
        kind = self.normalisation
        image = seen(image, condition if self.conditional else None, self.dtype)
        *halving, last = self.features
        image = contract(image, halving, self.kernel, kind, train)
        layer = partial(Conv, last, self.kernel)
        image = nn.leaky_relu(normalised(layer, kind, train, image), 0.2)
        head = Conv(1, self.kernel, kernel_init=initial_weights(kind))
        scores = weighted(head, kind, train, image)
        return scores.squeeze(-1).astype(jnp.float32)


def critic(
    size: int,
    width: int = 64,
    depth: int = 3,
    kernel: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build a critic whose map of scores is 2^depth times smaller than the image.

    With the defaults a score sees 70x70 pixels.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    smallest(size, depth)
    features = filters(width, depth + 1)
    return Critic(features, kernel, conditional, normalisation, dtype)
