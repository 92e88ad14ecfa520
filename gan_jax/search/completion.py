"""What a latent search minimises to complete a measured image.

Of a latent z: how far A(G(z)) is from what was measured, and how unlikely G(z) is. Yeh
et al. 2017 (arXiv 1607.07539); Vitoria, Sintes & Ballester 2019 (arXiv 1812.01071).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.latent import Latent, Loss, as_tree

Image = Float[Array, "height width channels"]
Values = Float[Array, "rows columns parts"]


class Observation(NamedTuple):
    """What is known of one image, or of many along a leading axis."""

    values: Float[Array, "*images rows columns parts"]
    """Measured, in [-1, 1] but for noise."""
    mask: Float[Array, "*images rows columns 1"]
    """1 where a value was measured."""
    weights: Float[Array, "*images rows columns 1"]
    """Of the measured values in the loss, 0 elsewhere."""


class Terms(NamedTuple):
    """The weights and readings of the addends."""

    context: float = 1.0
    """alpha, of the differences from measured values."""
    gradient: float = 0.0
    """beta, of the differences of neighbours' differences."""
    prior: float = 0.003
    """eta, of how unlikely the image is."""
    score_loss: inpainting.ScoreLoss = inpainting.SCORE_LOSSES["saturating"]
    """What the critic score of an image costs."""
    composite: bool = False
    """Whether the image that is scored has the known pixels instead of generated."""
    mean: bool = False
    """Whether the whole is divided by the number of measured values: another unit for
    rates of plain gradient descent, the same minimum."""
    real_score: float = math.nan
    """The median score of real images. Only the score loss of a paired objective reads
    it, and is NaN without it."""


def for_one(module: nn.Module, variables: PyTree[Array]) -> Partial:
    """Return a network as a function of one input, with its arrays as a pytree."""
    return Partial(functools.partial(_apply_to_one, module), variables)


def _apply_to_one(module: nn.Module, variables: PyTree[Array], one: Array) -> Array:
    outputs: Any = module.apply(variables, one[None])
    return outputs[0]


def completion_loss(
    generate: Callable[[Latent], Image],
    score: Callable[[Image], Float[Array, "..."]],
    measure: Callable[[Image], Values],
    terms: Terms,
) -> Loss:
    """Return the loss of one image, as `latent.minimise` takes it with a `Observation`.

    Its residual is the mean absolute difference from the measured values.

    Args:
        generate: the prior's generator, for one latent; with its parameters a
            `jax.tree_util.Partial`.
        score: its critic, for one image; a `Partial` likewise. A map of scores counts
            by its mean.
        measure: what is known of how images are measured; for inpainting, nothing.
        terms: what is added up.
    """
    loss = functools.partial(_loss, measure, terms)
    return Partial(loss, as_tree(generate), as_tree(score))


def _loss(
    measure: Callable[[Image], Values],
    terms: Terms,
    generate: Callable[[Latent], Image],
    score: Callable[[Image], Float[Array, "..."]],
    latent: Latent,
    problem: Observation,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    image = generate(latent)
    measured = measure(image)
    known = problem.values, problem.mask, problem.weights
    total = jnp.zeros(())
    if terms.context:
        total += terms.context * inpainting.context_loss(measured, *known)
    if terms.gradient:
        total += terms.gradient * inpainting.gradient_loss(measured, *known)
    if terms.prior:
        if terms.composite:
            image = inpainting.composite(image, problem.values, problem.mask)
        total += terms.prior * inpainting.score_cost(
            terms.score_loss, score(image), terms.real_score
        )
    if terms.mean:
        total /= jnp.maximum(problem.mask.sum() * measured.shape[-1], 1)
    return total, inpainting.residual(measured, *known[:2])
