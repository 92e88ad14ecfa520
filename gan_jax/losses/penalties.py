"""Penalties on the critic: any function from images to scores, no weight inside."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Critic = Callable[[Float[Array, "batch ..."]], Float[Array, "batch ..."]]


def zero_centred_penalty(
    critic: Critic, images: Float[Array, "batch ..."]
) -> Float[Array, "batch"]:
    """Squared norm of the critic's gradient at the images, summed over each image.

    On real images it is R1, on generated ones R2 (Mescheder 2018, eq. 9,
    arXiv 1801.04406; Huang 2024, arXiv 2501.05441); both weigh it by gamma / 2. It
    flattens the critic around the data, which keeps it from memorising a small set.
    """
    # Examples do not see each other, so one gradient of the sum holds all of them.
    gradients = jax.grad(lambda points: critic(points).sum())(images)
    squares = jnp.square(gradients.astype(jnp.float32))
    return squares.reshape(squares.shape[0], -1).sum(axis=1)
