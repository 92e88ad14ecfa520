"""A natural gradient for latents: few numbers, a steep valley, many cheap gradients.

Images change a thousand times as much along some directions of a latent as along
others. Rates for each coordinate, as Adam has them, do not help: these directions are
not the axes.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

Latent = Float[Array, "latent"]


class Whitening(NamedTuple):
    """The state of `natural_gradient`."""

    inverse: Float[Array, "latent latent"]
    """Damped inverse of the running mean of d d', d the unit gradient."""
    mean: Latent
    """Running mean of d."""
    step: Int[Array, ""]


def natural_gradient(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float = 0.5,
    decay: float = 0.99,
    damping: float = 1e-3,
) -> optax.GradientTransformation:
    """Return an optimiser that whitens gradients by their second moments, as a matrix.

    The matrix E[g g'] of gradients g stands for the curvature, as in Amari 1998,
    "Natural gradient works efficiently in learning". Its inverse is updated by rank
    one, as in the online Newton step of Hazan, Agarwal & Kale 2007, "Logarithmic regret
    algorithms for online convex optimization". Only the directions of gradients are
    used, so the unit of the loss does not matter. The rate alone sets the length of a
    step: use a schedule that falls to 0.

    Args:
        learning_rate: Root mean square of a step's coordinates.
        momentum: Decay of the mean of directions, in [0, 1).
        decay: Decay of the second moment, in (0, 1).
        damping: Initial second moment, and lower bound of its mean eigenvalue.
    """

    def init(latent: Latent) -> Whitening:
        size = len(latent)
        return Whitening(jnp.eye(size) / damping, jnp.zeros_like(latent), jnp.int32(0))

    def update(
        gradient: Latent, state: Whitening, latent: Any = None
    ) -> tuple[Latent, Whitening]:
        direction = gradient / jnp.maximum(_length(gradient), _TINY)
        # Sherman and Morrison: the inverse of decay A + (1 - decay) d d'.
        product = state.inverse @ direction
        share = (1 - decay) / (decay + (1 - decay) * direction @ product)
        inverse = (state.inverse - share * jnp.outer(product, product)) / decay
        # Directions without recent gradients would grow without bound.
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
