"""Dense networks for points in the plane, and anything else that is small."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.networks.layers.normalisation import normalise, weighted
from gan_jax.networks.stages import Generator


def _flat(tree: PyTree[Float[Array, "batch ..."]]) -> Array:
    """Lay all values of each example side by side."""
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate(leaves, axis=-1)


class Hidden(nn.Module):
    """A dense layer, rectified; the values of a condition may be joined before it."""

    features: int
    conditional: bool = False

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch inputs"], condition: PyTree, train: bool
    ) -> Float[Array, "batch features"]:
        """Run a batch through the layer."""
        if self.conditional:
            values = _flat((values, condition)).astype(values.dtype)
        weights = nn.initializers.he_normal()
        layer = nn.Dense(self.features, kernel_init=weights, dtype=values.dtype)
        return nn.relu(layer(values))


class Place(nn.Module):
    """The last stage: a dense layer to images whose values have no bound."""

    size: int
    channels: int

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch inputs"], condition: PyTree, train: bool
    ) -> Float[Array, "batch size size channels"]:
        """Return a batch of images."""
        shape = (self.size, self.size, self.channels)
        layer = nn.Dense(self.size**2 * self.channels, dtype=values.dtype)
        return layer(values).reshape(-1, *shape)


class Critic(nn.Module):
    """Rectified dense layers, one linear score per example."""

    width: int
    depth: int
    conditional: bool = False
    normalisation: str = "none"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Score a batch; a higher score is more real."""
        kind = self.normalisation
        values = _flat((image, condition) if self.conditional else image)
        values = values.astype(self.dtype)
        start = nn.initializers.he_normal()
        for _ in range(self.depth):
            layer = nn.Dense(self.width, kernel_init=start, dtype=self.dtype)
            values = normalise(weighted(layer, kind, train, values), kind, train)
            values = nn.relu(values)
        last = nn.Dense(1, dtype=self.dtype)
        return weighted(last, kind, train, values).squeeze(-1).astype(jnp.float32)


class Autoencoder(nn.Module):
    """Rectified dense layers to a code and back; its score is an energy.

    See `autoencoder.Critic`, which does it with images. A code of few values holds
    only what its images have in common: others come back as one of them. Without any
    layers both ways are linear, as between principal components.
    """

    width: int
    depth: int
    code: int = 0
    conditional: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Return the energies of a batch: mean squared errors of reproduction."""
        flat = _flat(image)
        seen = _flat((image, condition)) if self.conditional else flat
        values = seen.astype(self.dtype)
        middle = self.depth // 2
        for _ in range(middle):
            values = Hidden(self.width)(values, condition, train)
        if self.code:
            # Not rectified: of few values none is to be lost.
            values = nn.Dense(self.code, dtype=self.dtype)(values)
            self.sow("codes", "code", values.astype(jnp.float32))
        for layer in range(middle, self.depth):
            values = Hidden(self.width)(values, condition, train)
            if layer == middle and not self.code:
                self.sow("codes", "code", values.astype(jnp.float32))
        reproduced = nn.Dense(flat.shape[-1], dtype=self.dtype)(values)
        return jnp.square(reproduced.astype(jnp.float32) - flat).mean(axis=-1)


def between_components(
    centre: Float[Array, "values"], axes: Float[Array, "code values"]
) -> PyTree[Array]:
    """Return parameters of an autoencoder without layers: what is on some axes is kept.

    Args:
        centre: of the images, flat.
        axes: orthonormal; the code is where an image lies on them.
    """
    to_code = {"kernel": axes.T, "bias": -axes @ centre}
    return {"Dense_0": to_code, "Dense_1": {"kernel": axes, "bias": centre}}


def generator(
    size: int,
    channels: int,
    width: int = 128,
    depth: int = 3,
    conditional: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of `depth` hidden layers of `width`."""
    hidden = [Hidden(width, conditional and layer == 0) for layer in range(depth)]
    return Generator([*hidden, Place(size, channels)], dtype)


def critic(
    size: int,
    width: int = 128,
    depth: int = 3,
    conditional: bool = False,
    normalisation: str = "none",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build a critic of `depth` hidden layers of `width`, for images of any size."""
    return Critic(width, depth, conditional, normalisation, dtype)


def autoencoder(
    size: int,
    width: int = 128,
    depth: int = 3,
    code: int = 0,
    conditional: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Autoencoder:
    """Build an autoencoder of `depth` hidden layers.

    Args:
        size: of images; any will do.
        width: of the layers.
        depth: how many there are; without any a code is needed.
        code: values of a code between them; 0 = the middle layer is it.
        conditional: show it the condition too.
        dtype: of the computations.
    """
    return Autoencoder(width, depth, code, conditional, dtype)
