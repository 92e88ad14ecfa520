"""Penalties on critics and on their codes, unweighted.

A critic is any function from images to scores.
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
    """Return the squared norm of the critic's gradient at each image.

    On real images this is R1, on generated images R2 (Mescheder 2018, eq. 9,
    arXiv 1801.04406; Huang 2024, arXiv 2501.05441). Both papers use the weight
    gamma / 2. The penalty flattens the critic around the data, so that it memorises a
    small dataset less.

    Args:
        critic: Function from images to scores, whose examples are independent.
        images: Images at which the gradient is taken.

    Returns:
        One penalty per image, unweighted.
    """
    # One gradient of the summed scores holds the gradients of all examples, as they
    # are independent. Batch normalisation in a critic adds a small interaction.
    scores, back = jax.vjp(critic, images)
    (gradients,) = back(jnp.ones_like(scores))
    squares = jnp.square(
        gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
    )
    # A packed critic returns one score per pack, and its gradient is one over all
    # images of the pack. The factor makes the mean over images the mean over packs.
    pack_size = len(images) // len(scores)
    return pack_size * squares.reshape(squares.shape[0], -1).sum(axis=1)


def gradient_penalty(
    critic: Critic,
    real: Float[Array, "batch ..."],
    fake: Float[Array, "batch ..."],
    key: PRNGKeyArray,
) -> Float[Array, "batch"]:
    """Return (|grad f| - 1)^2 at a random point between each real and fake image.

    Gulrajani 2017, eq. 3 (arXiv 1704.00028), where its weight is 10. It draws the
    norm of the critic's gradient to 1, that of an optimal Wasserstein critic. The
    critic must not use batch normalisation: its examples must be independent.

    Args:
        critic: Function from images to scores.
        real: Real images.
        fake: Generated images, each paired with the real image of its index.
        key: Random key of the points, one uniform weight per pair.

    Returns:
        One penalty per pair, unweighted.
    """
    shape = (real.shape[0],) + (1,) * (real.ndim - 1)
    weights = jax.random.uniform(key, shape, real.dtype)
    squares = zero_centred_penalty(critic, weights * real + (1 - weights) * fake)
    # The epsilon keeps the derivative of the root finite where the gradient is 0.
    return jnp.square(jnp.sqrt(squares + _EPSILON) - 1)


def pulling_away(codes: Float[Array, "batch features"]) -> Float[Array, ""]:
    """Return the mean squared cosine between the codes of different images of a batch.

    Zhao 2016, eq. 4 (arXiv 1609.03126), where its weight is 0.1. The generator's loss
    term against mode collapse in an energy-based GAN.

    Returns:
        A number in [0, 1], unweighted; 0 for a batch of one image.
    """
    count = codes.shape[0]
    if count < 2:
        return jnp.zeros((), codes.dtype)
    lengths = jnp.sqrt(jnp.square(codes).sum(axis=1, keepdims=True) + _EPSILON)
    cosines = (codes / lengths) @ (codes / lengths).T
    others = jnp.square(cosines) * (1 - jnp.eye(count, dtype=codes.dtype))
    return others.sum() / (count * (count - 1))
