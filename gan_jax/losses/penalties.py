"""Penalties on critics and their codes, without weights.

A critic here is any function from images to scores.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

_EPSILON = 1e-12
Critic = Callable[[Float[Array, "batch ..."]], Float[Array, "batch ..."]]


def zero_centred_penalty(
    critic: Critic, images: Float[Array, "batch ..."]
) -> Float[Array, "batch"]:
    """Squared norm of the critic's gradient at the images, summed over each image.

    On real images it is R1, on generated ones R2 (Mescheder 2018, eq. 9,
    arXiv 1801.04406; Huang 2024, arXiv 2501.05441); both weigh it by gamma / 2. It
    flattens the critic around the data, which keeps it from memorising a small set.
    """
    return _squared_slopes(critic, images)


def gradient_penalty(
    critic: Critic,
    real: Float[Array, "batch ..."],
    fake: Float[Array, "batch ..."],
    key: PRNGKeyArray,
) -> Float[Array, "batch"]:
    """(|grad f| - 1)^2 at a random point between each real image and a fake.

    One uniform weight per pair places the point (Gulrajani 2017, eq. 3, arXiv
    1704.00028; weighed by 10). It keeps the critic's slope at 1, where a Wasserstein
    critic's is. A critic with batch normalisation has no slope of its own: use none.
    """
    shape = (real.shape[0],) + (1,) * (real.ndim - 1)
    weights = jax.random.uniform(key, shape, real.dtype)
    slopes = _squared_slopes(critic, weights * real + (1 - weights) * fake)
    # The epsilon keeps the derivative of the root finite where a slope is 0.
    return jnp.square(jnp.sqrt(slopes + _EPSILON) - 1)


def pulling_away(codes: Float[Array, "batch features"]) -> Float[Array, ""]:
    """Mean squared cosine between the codes of different images of a batch.

    It keeps a generator from making one image only (Zhao 2016, eq. 4, arXiv
    1609.03126; weighed by 0.1). A batch of one has none: 0.
    """
    count = codes.shape[0]
    if count < 2:
        return jnp.zeros((), codes.dtype)
    lengths = jnp.sqrt(jnp.square(codes).sum(axis=1, keepdims=True) + _EPSILON)
    cosines = (codes / lengths) @ (codes / lengths).T
    others = jnp.square(cosines) * (1 - jnp.eye(count, dtype=codes.dtype))
    return others.sum() / (count * (count - 1))


def _squared_slopes(
    critic: Critic, images: Float[Array, "batch ..."]
) -> Float[Array, "batch"]:
    # Where examples do not see each other, one gradient of the sum holds all of them;
    # batch normalisation in the critic adds what little they do.
    scores, back = jax.vjp(critic, images)
    (gradients,) = back(jnp.ones_like(scores))
    squares = jnp.square(
        gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
    )
    # The slope of a critic of packs is that in all of a pack's images: the mean over
    # images of what is returned is then the mean over packs.
    together = len(images) // len(scores)
    return together * squares.reshape(squares.shape[0], -1).sum(axis=1)
