"""Completions of an observed image: the loss of a latent, and a diverse selection.

The loss of a latent z adds the difference of A(G(z)) from the measured values and the
critic's score loss of G(z). Yeh et al. 2017 (arXiv 1607.07539); Vitoria, Sintes &
Ballester 2019 (arXiv 1812.01071).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.latent import Latent, Loss, as_tree
from gan_jax.search.observation import Observation

Image = Float[Array, "height width channels"]
Values = Float[Array, "rows columns parts"]


class Terms(NamedTuple):
    """Weights and settings of the terms of a completion's loss."""

    context: float = 1.0
    """alpha, weight of the error of measured values."""
    gradient: float = 0.0
    """beta, weight of the error of image gradients."""
    prior: float = 0.003
    """eta, weight of the critic's score loss."""
    score_loss: inpainting.ScoreLoss = inpainting.SCORE_LOSSES["saturating"]
    """The loss of an image's critic score."""
    composite: bool = False
    """Whether known pixels replace generated ones in the image that is scored."""
    mean: bool = False
    """Whether the whole loss is divided by the number of measured values. The
    minimum stays; gradients shrink, so plain gradient descent needs a larger rate."""
    real_score: float = math.nan
    """The median score of real images. Only the score loss of a paired objective reads
    it, and is NaN without it."""


def for_one(module: nn.Module, variables: PyTree[Array]) -> Partial:
    """Return a network as a function of one input, with its arrays as a pytree."""
    return Partial(functools.partial(_apply_to_one, module), variables)


def _apply_to_one(module: nn.Module, variables: PyTree[Array], value: Array) -> Array:
    outputs: Any = module.apply(variables, value[None])
    return outputs[0]


def completion_loss(
    generate: Callable[[Latent], Image],
    score: Callable[[Image], Float[Array, "..."]],
    measure: Callable[[Image], Values],
    terms: Terms,
) -> Loss:
    """Return the loss of one image, as `latent.minimise` takes it.

    The problem of an image is its `Observation`; the residual is the mean absolute
    difference from the measured values.

    Args:
        generate: The prior's generator, for one latent; with its parameters a
            `jax.tree_util.Partial`.
        score: Its critic, for one image; a `Partial` likewise. A map of scores counts
            by its mean.
        measure: The known part of the degradation; for inpainting, the identity.
        terms: The terms of the sum.

    Raises:
        ValueError: On use, if an observation lacks values, mask or weights.
    """
    loss = functools.partial(_loss, measure, terms)
    return Partial(loss, as_tree(generate), as_tree(score))


def _loss(
    measure: Callable[[Image], Values],
    terms: Terms,
    generate: Callable[[Latent], Image],
    score: Callable[[Image], Float[Array, "..."]],
    latent: Latent,
    known: Observation,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    values, mask, weights, _ = known
    if values is None or mask is None or weights is None:
        raise ValueError("a completion needs measured values, their mask and weights")
    image = generate(latent)
    measured = measure(image)
    total = jnp.zeros(())
    if terms.context:
        total += terms.context * inpainting.context_loss(
            measured, values, mask, weights
        )
    if terms.gradient:
        total += terms.gradient * inpainting.gradient_loss(
            measured, values, mask, weights
        )
    if terms.prior:
        if terms.composite:
            image = inpainting.composite(image, values, mask)
        total += terms.prior * inpainting.score_cost(
            terms.score_loss, score(image), terms.real_score
        )
    if terms.mean:
        total /= jnp.maximum(mask.sum() * measured.shape[-1], 1)
    return total, inpainting.residual(measured, values, mask)


def diverse(
    completions: Float[np.ndarray, "restarts height width channels"],
    loss: Float[np.ndarray, " restarts"],
    count: int,
) -> Int[np.ndarray, " count"]:
    """Return the indices of completions of one image that differ from each other.

    The first is the one of the smallest loss; each further one is the farthest from
    the nearest of those chosen before, in mean squared difference.

    Raises:
        ValueError: If there are fewer than `count`.
    """
    if not 0 < count <= len(completions):
        raise ValueError(f"{count} of {len(completions)} completions")
    flat = completions.reshape(len(completions), -1).astype(np.float64)
    chosen = [int(loss.argmin())]
    nearest = np.full(len(flat), np.inf)
    for _ in range(count - 1):
        distances = np.square(flat - flat[chosen[-1]]).mean(axis=1)
        nearest = np.minimum(nearest, distances)
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
