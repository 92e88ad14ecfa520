"""Dense networks for points in the plane and for small images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.limits import Size, size_of
from gan_jax.networks.layers.normalisation import apply_layer, normalise
from gan_jax.networks.stages import Generator


def _flat(tree: PyTree[Float[Array, "batch ..."]]) -> Array:
    """Return all values of each example as one vector."""
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate(leaves, axis=-1)


class Hidden(nn.Module):
    """A dense layer with ReLU, of the input and, if `conditional`, of the condition."""

    features: int
    conditional: bool = False

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch inputs"], condition: PyTree, train: bool
    ) -> Float[Array, "batch features"]:
        """Return the activations of a batch."""
        if self.conditional:
            values = _flat((values, condition)).astype(values.dtype)
        weights = nn.initializers.he_normal()
        layer = nn.Dense(self.features, kernel_init=weights, dtype=values.dtype)
        return nn.relu(layer(values))


class ToImage(nn.Module):
    """Last stage: a dense layer to images, whose values are unbounded."""

    size: Size
    channels: int

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch inputs"], condition: PyTree, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Return a batch of images."""
        shape = (*self.size, self.channels)
        layer = nn.Dense(self.size.pixels * self.channels, dtype=values.dtype)
        return layer(values).reshape(-1, *shape)


class Critic(nn.Module):
    """Dense layers with ReLU and one linear score per example."""

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
        """Return the score of each example; a higher score is more real."""
        kind = self.normalisation
        values = _flat((image, condition) if self.conditional else image)
        values = values.astype(self.dtype)
        start = nn.initializers.he_normal()
        for _ in range(self.depth):
            layer = nn.Dense(self.width, kernel_init=start, dtype=self.dtype)
            values = normalise(apply_layer(layer, kind, train, values), kind, train)
            values = nn.relu(values)
        last = nn.Dense(1, dtype=self.dtype)
        return apply_layer(last, kind, train, values).squeeze(-1).astype(jnp.float32)


class Autoencoder(nn.Module):
    """Dense autoencoder whose score is its reconstruction error, an energy.

    `autoencoder.Critic` is the convolutional one. The code is sown into the collection
    `codes`. With `depth` 0 encoder and decoder are linear, as in principal component
    analysis.
    """

    width: int
    depth: int
    code: int = 0
    conditional: bool = False
    dtype: DTypeLike = jnp.float32

    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Return the energy of each image: its mean squared reconstruction error."""
        return self.errors(image, condition, train).mean(axis=-1)

    @nn.compact
    def errors(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree = None,
        train: bool = False,
    ) -> Float[Array, "batch values"]:
        """Return the squared reconstruction error of every value."""
        flat = _flat(image)
        inputs = _flat((image, condition)) if self.conditional else flat
        values = inputs.astype(self.dtype)
        middle = self.depth // 2
        for _ in range(middle):
            values = Hidden(self.width)(values, condition, train)
        if self.code:
            # Without ReLU, which would lose values of a small code.
            values = nn.Dense(self.code, dtype=self.dtype)(values)
            self.sow("codes", "code", values.astype(jnp.float32))
        for layer in range(middle, self.depth):
            values = Hidden(self.width)(values, condition, train)
            if layer == middle and not self.code:
                self.sow("codes", "code", values.astype(jnp.float32))
        reproduced = nn.Dense(flat.shape[-1], dtype=self.dtype)(values)
        return jnp.square(reproduced.astype(jnp.float32) - flat)


def between_components(
    centre: Float[Array, "values"], axes: Float[Array, "code values"]
) -> PyTree[Array]:
    """Return the parameters of a linear `Autoencoder` that projects on given axes.

    Args:
        centre: Mean of the flattened images.
        axes: Orthonormal axes, e.g. principal components; the code is the projection
            of an image on them.
    """
    to_code = {"kernel": axes.T, "bias": -axes @ centre}
    return {"Dense_0": to_code, "Dense_1": {"kernel": axes, "bias": centre}}


def generator(
    size: int | Size,
    channels: int,
    width: int = 128,
    depth: int = 3,
    conditional: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Generator:
    """Build a generator of `depth` hidden layers of `width` units.

    A condition, if the network is `conditional`, joins the first layer.
    """
    hidden = [Hidden(width, conditional and layer == 0) for layer in range(depth)]
    return Generator([*hidden, ToImage(size_of(size), channels)], dtype)


def critic(
    size: int | Size,
    width: int = 128,
    depth: int = 3,
    conditional: bool = False,
    normalisation: str = "none",
    dtype: DTypeLike = jnp.float32,
) -> Critic:
    """Build a critic of `depth` hidden layers of `width` units; any size fits."""
    return Critic(width, depth, conditional, normalisation, dtype)


def autoencoder(
    size: int | Size,
    width: int = 128,
    depth: int = 3,
    code: int = 0,
    conditional: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Autoencoder:
    """Build an autoencoder of `depth` hidden layers of `width` units, for any size.

    `code` is the size of the code between them; 0 takes the middle layer as the code,
    and needs a `depth` above 0.
    """
    return Autoencoder(width, depth, code, conditional, dtype)
