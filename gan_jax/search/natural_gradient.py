"""Descent for latents: few numbers, a steep valley, many cheap gradients.

Images answer to some directions of a latent a thousand times as strongly as to others.
Rates for each coordinate, as Adam has, cannot tell: the directions are not the axes.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

Latent = Float[Array, "latent"]


class Whitening(NamedTuple):
    """What `natural_gradient` carries from step to step."""

    inverse: Float[Array, "latent latent"]
    """Of the running second moment of gradients' directions, damped."""
    mean: Latent
    """Running mean of the directions."""
    step: Int[Array, ""]


def natural_gradient(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float = 0.5,
    decay: float = 0.99,
    damping: float = 1e-3,
) -> optax.GradientTransformation:
    """Descend along gradients whitened by their second moments, as a full matrix.

    The matrix E[g g'] of gradients g stands for the curvature, as in Amari 1998,
    "Natural gradient works efficiently in learning"; its inverse is kept up by rank-one
    updates, as in the online Newton step of Hazan, Agarwal & Kale 2007, "Logarithmic
    regret algorithms for online convex optimization". Gradients count by their
    direction alone, so the unit of the loss does not matter, and a step is as long as
    the rate says: let the rate fall to 0.

    Args:
        learning_rate: root mean square of a step's coordinates.
        momentum: of the directions.
        decay: of the second moment.
        damping: the second moment to begin with, and the least one on the average.
    """

    def init(latent: Latent) -> Whitening:
        size = len(latent)
        return Whitening(jnp.eye(size) / damping, jnp.zeros_like(latent), jnp.int32(0))

    def update(
        gradient: Latent, state: Whitening, latent: Any = None
    ) -> tuple[Latent, Whitening]:
        direction = gradient / jnp.maximum(_length(gradient), _TINY)
        # Sherman and Morrison: the inverse of decay A + (1 - decay) d d'.
        seen = state.inverse @ direction
        share = (1 - decay) / (decay + (1 - decay) * direction @ seen)
        inverse = (state.inverse - share * jnp.outer(seen, seen)) / decay
        # What gradients have not shown for long would grow without end.
        inverse /= jnp.maximum(1.0, jnp.trace(inverse) * damping / len(gradient))
        mean = momentum * state.mean + (1 - momentum) * direction
        whitened = inverse @ mean
        rate = learning_rate(state.step) if callable(learning_rate) else learning_rate
        root_mean_square = _length(whitened) / len(gradient) ** 0.5
        moved = -rate * whitened / jnp.maximum(root_mean_square, _TINY)
        return moved, Whitening(inverse, mean, state.step + 1)

    return optax.GradientTransformation(init, update)


_TINY = 1e-20  # against division by a gradient of 0


def _length(vector: Latent) -> Float[Array, ""]:
    return jnp.sqrt(jnp.square(vector).sum())
