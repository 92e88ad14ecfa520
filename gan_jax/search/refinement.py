"""Collaborative sampling: samples that the critic moves inside the generator.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633): the activations between two stages of the
generator descend the critic's loss of the image made from them.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.observation import Observation
from gan_jax.search.queue import run_queue

Activation = Float[Array, "..."]
"""Of one example: a latent, or the input of a later stage."""
Image = Float[Array, "height width channels"]
Cost = Callable[[Activation, PyTree[Array]], Float[Array, ""]]
"""`cost(activation, problem)` of one example: how unlikely its image is."""


class Refinement(NamedTuple):
    """The cost and the settings of its descent; defaults of the authors' code."""

    cost: Cost
    rate: float = 0.1
    momentum: float = 0.9
    best: bool = True
    """Whether the best activation seen is kept, or the last one."""


class Refined(NamedTuple):
    """The refined proposals of a batch."""

    activation: Float[Array, "batch ..."]
    cost: Float[Array, " batch"]
    proposed: Float[Array, " batch"]
    """The cost of the proposals."""
    step: Int[Array, " batch"]
    """The step at which the activation was visited; 0 is the proposal."""
    steps: Int[Array, " batch"]
    """Number of steps made."""


class _Walk(NamedTuple):
    """The state of one example."""

    activation: Activation
    velocity: Activation
    step: Int[Array, ""]
    kept: Activation
    kept_cost: Float[Array, ""]
    kept_step: Int[Array, ""]
    proposed: Float[Array, ""]
    over: Bool[Array, ""]


def _begin(activation: Activation) -> _Walk:
    zero, start = jnp.int32(0), jnp.zeros_like(activation)
    infinite = jnp.float32(jnp.inf)
    return _Walk(
        *(activation, start, zero, activation, infinite, zero, infinite),
        over=jnp.array(False),
    )


def _step(
    refinement: Refinement,
    threshold: Float[Array, ""] | float,
    walk: _Walk,
    problem: PyTree[Array],
    limit: Int[Array, ""],
) -> _Walk:
    """Evaluate an example's activation, keep it if that is due, and update it once."""
    cost, slope = jax.value_and_grad(refinement.cost)(walk.activation, problem)
    first = walk.step == 0
    keep = first | (cost < walk.kept_cost if refinement.best else True)
    over = (cost <= threshold) | (walk.step >= limit)
    velocity = refinement.momentum * walk.velocity + slope
    moved = walk.activation - refinement.rate * velocity
    return _Walk(
        activation=jnp.where(over, walk.activation, moved),
        velocity=velocity,
        step=walk.step + ~over,
        kept=jnp.where(keep, walk.activation, walk.kept),
        kept_cost=jnp.where(keep, cost, walk.kept_cost),
        kept_step=jnp.where(keep, walk.step, walk.kept_step),
        proposed=jnp.where(first, cost, walk.proposed),
        over=over,
    )


def refine(
    refinement: Refinement,
    activations: Float[Array, "batch ..."],
    problems: PyTree[Array],
    limits: Int[Array, " batch"],
    threshold: Float[Array, ""] | float = -jnp.inf,
    slots: int = 64,
) -> Refined:
    """Refine a batch of proposals, each until its own end, in one compiled loop.

    Deterministic stopping: equal limits, and the median cost of real images as the
    threshold. Probabilistic stopping, which keeps more diversity: limits drawn for each
    example, no threshold, and `best=False`.

    Most examples end after a few steps; the next that waits takes a free slot. With the
    same number of slots an example's result does not depend on the others.

    Args:
        refinement: The cost, and how it is descended.
        activations: The proposals.
        problems: Second argument of the cost: arrays with a leading axis of the batch,
            or None.
        limits: Largest number of steps of each example.
        threshold: A cost at which an example is good enough.
        slots: Number of examples that are refined at once, if there are as many.

    Raises:
        ValueError: If there are no proposals.
    """
    if not len(activations):
        raise ValueError("there is nothing to refine")
    step = jax.vmap(functools.partial(_step, refinement, threshold))

    def begin(jobs: Any) -> _Walk:
        walks: _Walk = jax.vmap(_begin)(jobs[0])
        return walks

    def advance(walks: _Walk, jobs: Any) -> tuple[_Walk, Array, Refined]:
        _, problems, limits = jobs
        walks = step(walks, problems, limits)
        result = Refined(
            walks.kept, walks.kept_cost, walks.proposed, walks.kept_step, walks.step
        )
        return walks, walks.over, result

    refined: Refined
    refined = run_queue(begin, advance, (activations, problems, limits), slots)
    return refined


def visited(
    refinement: Refinement,
    activations: Float[Array, "batch ..."],
    problems: PyTree[Array],
    limits: Int[Array, " batch"],
    threshold: Float[Array, ""] | float,
    steps: int,
) -> Float[Array, "visits batch ..."]:
    """Return every activation that `refine` visits.

    `refine` describes the arguments; `steps` steps are followed.

    Returns:
        The proposals, then the activations after each step. An example that has ended
        stays where it is.
    """
    step = jax.vmap(functools.partial(_step, refinement, threshold))

    def visit(walks: _Walk, _: None) -> tuple[_Walk, Float[Array, "batch ..."]]:
        return step(walks, problems, limits), walks.activation

    begun = jax.vmap(_begin)(activations)
    visits: Float[Array, "visits batch ..."]
    _, visits = jax.lax.scan(visit, begun, length=steps + 1)
    return visits


def critic_cost(
    tail: Callable[[Activation, PyTree[Array]], Image],
    critic: Callable[[Image, PyTree[Array]], Float[Array, "..."]],
    score_loss: inpainting.ScoreLoss,
    real_score: Float[Array, ""] | float = math.nan,
) -> Cost:
    """Return the cost of one activation by a critic, as `refine` takes it.

    Where pixels are known the critic sees the composite M y + (1 - M) G, and known
    pixels have no gradient (Mortiniera 2020).

    Args:
        tail: The generator from the activation on, for one example and its condition.
        critic: For one image and its condition; a map of scores counts by its mean.
        score_loss: The loss of a score: log(1 - s(D)) in the paper's text, -log s(D)
            in its code, which keeps its gradient where the critic is sure.
        real_score: The median score of real images. Only the score loss of a paired
            objective reads it, and is NaN without it.
    """

    def cost(activation: Activation, known: Observation) -> Float[Array, ""]:
        image = pasted(tail(activation, known.condition), known)
        scores = critic(image, known.condition)
        return inpainting.score_cost(score_loss, scores, real_score)

    return cost


def pasted(
    image: Float[Array, "*batch height width channels"], known: Observation
) -> Float[Array, "*batch height width channels"]:
    """Return generated images with known pixels, if any, put over them."""
    if known.values is None or known.mask is None:
        return image
    return inpainting.composite(image, known.values, known.mask)
