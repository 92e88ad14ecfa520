"""Collaborative sampling: samples that the critic moves inside the generator.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633): what a stage of the generator hands to the
next one descends the cost that the critic gives to the image made of it. As a library
function on plain functions of one example.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.slots import replaced

Activation = Float[Array, "..."]
"""Of one example: a latent, or what any later stage takes."""
Image = Float[Array, "height width channels"]
Cost = Callable[[Activation, PyTree[Array]], Float[Array, ""]]
"""`cost(activation, problem)` of one example: how unlikely its image is."""


class Refinement(NamedTuple):
    """How activations descend; the defaults are those of the authors' code."""

    cost: Cost
    rate: float = 0.1
    momentum: float = 0.9
    best: bool = True
    """Whether the best activation seen is kept, or the last one."""


class Refined(NamedTuple):
    """What became of a batch of proposals."""

    activation: Float[Array, "batch ..."]
    cost: Float[Array, " batch"]
    proposed: Float[Array, " batch"]
    """The cost of the proposals."""
    step: Int[Array, " batch"]
    """When the activation was visited; 0 is the proposal."""
    steps: Int[Array, " batch"]
    """Made in all."""


class _Walk(NamedTuple):
    """One example on its way."""

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


def _go(
    refinement: Refinement,
    threshold: Float[Array, ""] | float,
    at: _Walk,
    problem: PyTree[Array],
    limit: Int[Array, ""],
) -> _Walk:
    """Measure where an example is, keep it if that is due, and move it once."""
    cost, slope = jax.value_and_grad(refinement.cost)(at.activation, problem)
    first = at.step == 0
    keep = first | (cost < at.kept_cost if refinement.best else True)
    over = (cost <= threshold) | (at.step >= limit)
    velocity = refinement.momentum * at.velocity + slope
    moved = at.activation - refinement.rate * velocity
    return _Walk(
        activation=jnp.where(over, at.activation, moved),
        velocity=velocity,
        step=at.step + ~over,
        kept=jnp.where(keep, at.activation, at.kept),
        kept_cost=jnp.where(keep, cost, at.kept_cost),
        kept_step=jnp.where(keep, at.step, at.kept_step),
        proposed=jnp.where(first, cost, at.proposed),
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

    Most examples end after a few steps: the place of one that has is taken by the next
    that waits. With the same number of slots an example's result is the same, whatever
    is refined beside it.

    Args:
        refinement: the cost, and how it is descended.
        activations: the proposals.
        problems: what else the cost is told of each example, arrays with a leading
            axis of the batch; None where that is nothing.
        limits: steps at most, for each example.
        threshold: a cost at which an example is good enough.
        slots: how many are on their way at once, if there are as many.

    Raises:
        ValueError: no proposals.
    """
    count = len(activations)
    if not count:
        raise ValueError("there is nothing to refine")
    go = jax.vmap(functools.partial(_go, refinement, threshold))

    def given(jobs: Int[Array, " slots"]) -> Any:
        """Return what belongs to jobs; a job past the last one gets the last one's."""
        place = jnp.minimum(jobs, count - 1)
        return jax.tree.map(lambda leaf: leaf[place], (activations, (problems, limits)))

    def turn(carry: Any) -> Any:
        walks, jobs, waiting, ends = carry
        walks = go(walks, *given(jobs)[1])
        # What is written past the last job is dropped.
        done = jnp.where(walks.over, jobs, count)
        ends = jax.tree.map(
            lambda end, now: end.at[done].set(now, mode="drop"), ends, _end(walks)
        )
        rank = jnp.cumsum(walks.over) - 1
        jobs = jnp.where(walks.over, jnp.minimum(waiting + rank, count), jobs)
        fresh = jax.vmap(_begin)(given(jobs)[0])
        walks = jax.tree.map(functools.partial(replaced, walks.over), walks, fresh)
        return walks, jobs, waiting + rank[-1] + 1, ends

    jobs = jnp.arange(min(slots, count), dtype=jnp.int32)
    walks = jax.vmap(_begin)(activations[: len(jobs)])
    blank = jax.tree.map(
        lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), _end(walks)
    )
    ends: Refined
    *_, ends = jax.lax.while_loop(
        lambda carry: (carry[1] < count).any(),
        turn,
        (walks, jobs, jnp.int32(len(jobs)), blank),
    )
    return ends


def visited(
    refinement: Refinement,
    activations: Float[Array, "batch ..."],
    problems: PyTree[Array],
    limits: Int[Array, " batch"],
    threshold: Float[Array, ""] | float,
    steps: int,
) -> Float[Array, "visits batch ..."]:
    """Return every activation on the way of `refine`, to be looked at.

    Args:
        refinement: as for `refine`.
        activations: the proposals.
        problems: as for `refine`.
        limits: steps at most, for each example.
        threshold: a cost at which an example is good enough.
        steps: how many are followed; an example that has ended stays where it is.

    Returns:
        The proposals, then the activations after each step.
    """
    go = jax.vmap(functools.partial(_go, refinement, threshold))

    def turn(walks: _Walk, _: None) -> tuple[_Walk, Float[Array, "batch ..."]]:
        return go(walks, problems, limits), walks.activation

    begun = jax.vmap(_begin)(activations)
    found: Float[Array, "visits batch ..."]
    _, found = jax.lax.scan(turn, begun, length=steps + 1)
    return found


def _end(walks: _Walk) -> Refined:
    return Refined(
        walks.kept, walks.kept_cost, walks.proposed, walks.kept_step, walks.step
    )


class Observation(NamedTuple):
    """What is told of one example, or of many along a leading axis."""

    condition: PyTree[Array] = None
    """What it is generated under, where the prior is conditional."""
    values: Float[Array, "*batch height width channels"] | None = None
    """In [-1, 1], where pixels of the image are known."""
    mask: Float[Array, "*batch height width 1"] | None = None
    """1 where a pixel is known; None = none is."""


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
        tail: the generator from the activation on, for one example and its condition.
        critic: for one image and its condition; a map of scores counts by its mean.
        score_loss: what a score costs: in the paper's text log(1 - s(D)), in its code
            -log s(D), which keeps its gradient where the critic is sure.
        real_score: the median score of real images. Only the score loss of a paired
            objective reads it, and is NaN without it.
    """

    def cost(activation: Activation, problem: Observation) -> Float[Array, ""]:
        image = pasted(tail(activation, problem.condition), problem)
        scores = critic(image, problem.condition)
        return inpainting.score_cost(score_loss, scores, real_score)

    return cost


def pasted(
    image: Float[Array, "*batch height width channels"], problem: Observation
) -> Float[Array, "*batch height width channels"]:
    """Put known pixels over what was generated, where there are any."""
    if problem.values is None or problem.mask is None:
        return image
    return inpainting.composite(image, problem.values, problem.mask)
