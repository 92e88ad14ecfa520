"""The critic of energy-based GANs: an autoencoder (Zhao et al. 2016, arXiv 1609.03126).

Its score is an energy, the error with which it reproduces an image: low for real ones.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.dcgan import contract, filters
from gan_jax.networks.layers.modules import ConvTranspose
from gan_jax.networks.layers.normalisation import initial_weights, normalised, weighted
from gan_jax.networks.stages import seen, smallest


class Critic(nn.Module):
    """Convolutions to a code, transposed ones back to the image.

    The code is left in the collection `codes`. A conditional critic sees the
    condition's maps as further channels, and reproduces the image alone.
    """

    width: int
    depth: int
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
    ) -> Float[Array, "batch"]:
        """Return the energies of a batch: mean squared errors of reproduction."""
        kind = self.normalisation
        maps = condition if self.conditional else None
        widths = filters(self.width, self.depth)
        activation = seen(image, maps, self.dtype)
        activation = contract(activation, widths, self.kernel, kind, train)
        code = activation.reshape(activation.shape[0], -1)
        self.sow("codes", "code", code.astype(jnp.float32))
        for features in reversed(widths[:-1]):
            layer = partial(ConvTranspose, features, self.kernel, 2)
            activation = nn.relu(normalised(layer, kind, train, activation))
        last = ConvTranspose(
            image.shape[-1], self.kernel, 2, kernel_init=initial_weights(kind)
        )
        reproduced = nn.tanh(weighted(last, kind, train, activation))
        reproduced = reproduced.astype(jnp.float32)
        return jnp.square(reproduced - image).mean(axis=(1, 2, 3))


def critic(
    size: int,
    width: int = 64,
    depth: int = 3,
    kernel: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build an autoencoder whose code is an image 2^depth times smaller.

    Raises:
        InputError: where `size` is not base * 2^depth with a base of 2 or more.
    """
    smallest(size, depth)
    return Critic(width, depth, kernel, conditional, normalisation, dtype)
