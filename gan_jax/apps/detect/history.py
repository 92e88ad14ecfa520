"""A generator's history as one distribution: what it made on its way to the data.

Chatillon & Ballester 2019 (arXiv 1912.11843): draw a time t from the density
c exp(-beta t) on [alpha, end], a latent from its prior, and take G_t(z). Early
generators make what hardly looks like the data, late ones what nearly does.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.training.method import Images
from gan_jax.training.population import Form
from gan_jax.training.state import Variables


class History(NamedTuple):
    """The generators of a run, as arrays: it travels as `frozen` ones do."""

    generators: Variables
    """Parameters and statistics, with a leading axis of snapshots."""
    weights: Float[Array, "snapshots"]
    """Probability of each."""


def weights(
    steps: Sequence[int], end: int, alpha: float, beta: float
) -> Float[np.ndarray, "snapshots"]:
    """Return the weight of each snapshot: c exp(-beta t) for t >= alpha, summing to 1.

    Of generators these are the probabilities of being drawn, of critics their shares
    of a mean.

    Args:
        steps: when each snapshot was taken.
        end: the last step of the run.
        alpha: the time, as a share of the run, before which none counts.
        beta: how fast the density falls; at the end of the run it is exp(-beta) of
            what it would be at the beginning. 0 = all count alike.

    Raises:
        ValueError: there is no snapshot from `alpha` on.
    """
    times = np.asarray(steps, np.float64) / end
    if not (times >= alpha).any():
        raise ValueError(f"none of {len(steps)} snapshots is at {alpha} or later")
    # From the first that counts: a large beta must not round all to 0.
    since = times - times[times >= alpha].min()
    density = np.where(times >= alpha, np.exp(-beta * since.clip(0)), 0.0)
    found: np.ndarray = density / density.sum()
    return found


def mean(
    snapshots: PyTree[Float[Array | np.ndarray, "snapshots ..."]],
    weights: Float[Array, "snapshots"],
) -> PyTree[Array]:
    """Average networks' arrays over their snapshots."""
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), snapshots)


def times(
    key: PRNGKeyArray, weights: Float[Array, "snapshots"], count: int
) -> Int[Array, "count"]:
    """Draw snapshots by their probability."""
    return jax.random.choice(key, len(weights), (count,), p=weights)


def sample(
    generator: nn.Module,
    history: History,
    latents: Float[Array, "count latent"],
    key: PRNGKeyArray,
    groups: int,
    form: Form = "map",
) -> Images:
    """Generate images of the history, several times t in a batch.

    Args:
        generator: the module of all snapshots.
        history: arrays of the run.
        latents: of each image.
        key: by which times are drawn.
        groups: how many times are drawn; images of one share a generator. They must
            divide the images.
        form: generators side by side, or one after the other, which CPUs are faster
            at.

    Raises:
        ValueError: the groups do not divide the images.
    """
    count = len(latents)
    if count % groups:
        raise ValueError(f"{count} images make no {groups} groups of one size")
    drawn = times(key, history.weights, groups)

    def generate(group: tuple[Array, Array]) -> Images:
        time, latents = group
        variables = jax.tree.map(lambda leaf: leaf[time], history.generators)
        images: Any = generator.apply(variables, latents)
        return images

    over: Callable[..., Images] = (
        jax.vmap(generate)
        if form == "vmap"
        else (lambda all: jax.lax.map(generate, all))
    )
    images = over((drawn, latents.reshape(groups, count // groups, -1)))
    return images.reshape(count, *images.shape[2:])
