"""The autoencoder critic of energy-based GANs (Zhao et al. 2016, arXiv 1609.03126).

Its score is an energy: the reconstruction error of an image, low for real images.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.limits import Size
from gan_jax.networks.dcgan import contract
from gan_jax.networks.layers.convolutions import ConvTranspose
from gan_jax.networks.layers.normalisation import (
    apply_layer,
    apply_normalised,
    initial_weights,
)
from gan_jax.networks.stages import base_size, filters, with_condition


class Critic(nn.Module):
    """Convolutional autoencoder whose score is the reconstruction error.

    The code is sown into the collection `codes`. A conditional critic takes the maps
    of the condition as additional input channels; it reconstructs the image alone.

    `critic` documents the attributes.
    """

    width: int
    depth: int
    kernel: int = 4
    conditional: bool = False
    normalisation: str = "batch"
    dtype: DTypeLike = jnp.float32

    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Return the energy of each image: its mean squared reconstruction error."""
        return self.errors(image, condition, train).mean(axis=(1, 2, 3))

    @nn.compact
    def errors(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch height width channels"]:
        """Return the squared reconstruction error of every value."""
        kind = self.normalisation
        maps = condition if self.conditional else None
        widths = filters(self.width, self.depth)
        activation = with_condition(image, maps, self.dtype)
        activation = contract(activation, widths, self.kernel, kind, train)
        code = activation.reshape(activation.shape[0], -1)
        self.sow("codes", "code", code.astype(jnp.float32))
        for features in reversed(widths[:-1]):
            layer = partial(ConvTranspose, features, self.kernel, 2)
            activation = nn.relu(apply_normalised(layer, kind, train, activation))
        last = ConvTranspose(
            image.shape[-1], self.kernel, 2, kernel_init=initial_weights(kind)
        )
        reproduced = nn.tanh(apply_layer(last, kind, train, activation))
        reproduced = reproduced.astype(jnp.float32)
        return jnp.square(reproduced - image)


def critic(
    size: int | Size,
    width: int = 64,
    depth: int = 3,
    kernel: int = 4,
    conditional: bool = False,
    normalisation: str = "batch",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build an autoencoder whose code is 2^depth times smaller than the image.

    Arguments and errors are those of `dcgan.critic`.
    """
    base_size(size, depth)
    return Critic(width, depth, kernel, conditional, normalisation, dtype)
