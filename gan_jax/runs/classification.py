"""Train a classifier, by cross-entropy on labels or on quarter turns."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.training.state import Player

TURNS = 4
"""Number of quarter turns, the classes of `turned`."""
_REACH = 2  # pixels by which training images are shifted, at most


def turned(
    key: PRNGKeyArray, images: Float[Array, "batch height width channels"]
) -> tuple[Float[Array, "batch height width channels"], Int[Array, "batch"]]:
    """Return each image turned by a random quarter turn, which becomes its label.

    A dataset without labels then teaches features too (Gidaris et al. 2018, arXiv
    1803.07728).
    """
    turns = jax.random.randint(key, (len(images),), 0, TURNS)
    return turned_by(turns, images), turns


def turned_by(
    turns: Int[Array, "batch"], images: Float[Array, "batch height width channels"]
) -> Float[Array, "batch height width channels"]:
    """Return images, each turned by so many quarter turns, 0 to 3.

    Oblong images that lie on their side are stretched to their size.
    """
    choices = [
        jax.image.resize(image, images.shape, "linear", antialias=False)
        if image.shape != images.shape
        else image
        for image in (jnp.rot90(images, turn, axes=(1, 2)) for turn in range(TURNS))
    ]
    place = turns.reshape(-1, 1, 1, 1)
    return jnp.select([place == turn for turn in range(TURNS)], choices)


def shifted(
    key: PRNGKeyArray, images: Float[Array, "batch height width channels"]
) -> Float[Array, "batch height width channels"]:
    """Return each image shifted by up to two pixels, its edge repeated."""
    edge = ((0, 0), (_REACH, _REACH), (_REACH, _REACH), (0, 0))
    padded = jnp.pad(images, edge, mode="edge")
    starts = jax.random.randint(key, (len(images), 2), 0, 2 * _REACH + 1)

    def cut(image: Array, start: Array) -> Array:
        return jax.lax.dynamic_slice(image, (*start, 0), images.shape[1:])

    return jax.vmap(cut)(padded, starts)


def classifier_update(
    module: nn.Module,
    optimizer: optax.GradientTransformation,
    player: Player,
    images: Float[Array, "batch height width channels"],
    labels: Int[Array, "batch"],
) -> tuple[Player, Float[Array, ""]]:
    """Update a classifier once; return it with the mean cross-entropy before."""

    def loss(parameters: PyTree) -> tuple[Array, PyTree]:
        output, statistics = module.apply(
            {"params": parameters, **player.statistics},
            images,
            train=True,
            mutable=[*player.statistics],
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(output.logits, labels)
        return losses.mean(), statistics

    (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(
        player.parameters
    )
    updates, state = optimizer.update(gradients, player.optimizer, player.parameters)
    parameters = optax.apply_updates(player.parameters, updates)
    return Player(parameters, dict(statistics), state), value
