"""A generator and its critic that refine samples together, at any stage.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), and with known pixels Mortiniera 2020.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.refinement import (
    Observation,
    Refined,
    Refinement,
    critic_cost,
    pasted,
    refine,
    visited,
)

Images = Float[Array, "batch height width channels"]
Activations = Float[Array, "batch ..."]


class Stopping(NamedTuple):
    """When the refinement of an example ends, and which activation it keeps."""

    at_median: bool = True
    """Whether it ends where the critic finds it as good as the median real image."""
    drawn: bool = False
    """Whether it ends after a number of steps that is drawn from 0 to the most."""
    best: bool = True
    """Whether the best activation seen is kept, or the last one."""


STOPPINGS: Mapping[str, Stopping] = {
    "deterministic": Stopping(),
    "best": Stopping(at_median=False),
    "probabilistic": Stopping(at_median=False, drawn=True, best=False),
}
"""By name: the text of Liu 2019 and Mortiniera 2020; what the code of both does, all
steps and the lowest cost of them (for the logistic forms the best score); and steps
drawn by lot, which keeps more diversity."""


class Collaboration(NamedTuple):
    """Which networks refine, and how; no arrays."""

    generator: nn.Module
    critic: nn.Module
    layer: int = 1
    """The stage of the generator whose input is refined: 0 is the latent, the number
    of stages the image itself."""
    score_loss: inpainting.ScoreLoss = inpainting.SCORE_LOSSES["nonsaturating"]
    """What an image's critic score costs."""
    rate: float = 0.1
    momentum: float = 0.9
    steps: int = 50
    """At most."""
    stopping: Stopping = STOPPINGS["deterministic"]
    slots: int = 64
    """Refined at once."""


def propose(
    who: Collaboration,
    generator: PyTree[Array],
    latents: PyTree[Array],
    condition: PyTree[Array] = None,
) -> Activations:
    """Return what the first stages make of latents."""
    activations: Any = who.generator.apply(
        generator, latents, condition, stop=who.layer
    )
    return activations


def paint(
    who: Collaboration,
    generator: PyTree[Array],
    activations: Activations,
    problems: Observation,
) -> Images:
    """Return the images of activations, with the pixels that are known."""
    images: Any = who.generator.apply(
        generator, activations, problems.condition, start=who.layer
    )
    return pasted(images, problems)


def scores(
    who: Collaboration,
    critic: PyTree[Array],
    images: Images,
    condition: PyTree[Array] = None,
) -> Float[Array, " batch"]:
    """Return the critic's score of each image; a map counts by its mean."""
    found: Any = who.critic.apply(critic, images, condition)
    return found.reshape(len(found), -1).mean(axis=1)


class Standard(NamedTuple):
    """What real images are to a critic: medians over them."""

    score: Float[Array, ""]
    cost: Float[Array, ""]


def standard(
    score_loss: inpainting.ScoreLoss, real_scores: Float[Array, " real"]
) -> Standard:
    """Return the median score of real images and their median cost.

    Args:
        score_loss: what a score costs, beside the median score of real images.
        real_scores: by the critic in use, since a critic's scores move as it learns.
    """
    score = jnp.median(real_scores)
    costs = score_loss(real_scores, jnp.full_like(real_scores, score))
    return Standard(score, jnp.median(costs))


class Stops(NamedTuple):
    """Where examples end."""

    limits: Int[Array, " batch"]
    """Steps at most."""
    threshold: Float[Array, ""]
    """A cost that is good enough."""


def stops(who: Collaboration, key: PRNGKeyArray, count: int, real: Standard) -> Stops:
    """Return where so many examples end.

    Args:
        who: how they are refined.
        key: of the drawn numbers of steps.
        count: of examples.
        real: what real images are to the critic that refines.
    """
    limits = (
        jax.random.randint(key, (count,), 0, who.steps + 1)
        if who.stopping.drawn
        else jnp.full(count, who.steps, jnp.int32)
    )
    threshold = real.cost if who.stopping.at_median else -jnp.inf
    return Stops(limits, jnp.asarray(threshold, jnp.float32))


def improve(
    who: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    activations: Activations,
    problems: Observation,
    stops: Stops,
    real_score: Float[Array, ""] | float,
) -> Refined:
    """Refine proposals at a stage of the generator.

    An example's result does not depend on those beside it.

    Args:
        who: how they are refined.
        generator: its variables.
        critic: its variables.
        activations: the proposals.
        problems: what is known of each.
        stops: where each ends.
        real_score: the median score of real images, by this critic.
    """
    how = _refinement(who, generator, critic, real_score)
    return refine(how, activations, problems, *stops, who.slots)


def visits(
    who: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    activations: Activations,
    problems: Observation,
    stops: Stops,
    real_score: Float[Array, ""] | float,
) -> Float[Array, "visits batch height width channels"]:
    """Return the images of proposals, and of what `improve` makes of them step by step.

    Takes what `improve` takes.
    """
    how = _refinement(who, generator, critic, real_score)
    found = visited(how, activations, problems, *stops, who.steps)
    images: Float[Array, "visits batch height width channels"]
    images = jax.lax.map(lambda one: paint(who, generator, one, problems), found)
    return images


def _refinement(
    who: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    real_score: Float[Array, ""] | float,
) -> Refinement:
    """Return how activations at the stage descend what the critic says of images."""

    def tail(activation: Array, condition: PyTree[Array]) -> Array:
        return _of_one(who.generator, generator, activation, condition, start=who.layer)

    def score(image: Array, condition: PyTree[Array]) -> Array:
        return _of_one(who.critic, critic, image, condition)

    cost = critic_cost(tail, score, who.score_loss, real_score)
    return Refinement(cost, who.rate, who.momentum, who.stopping.best)


def _of_one(
    module: nn.Module,
    variables: PyTree[Array],
    one: Array,
    condition: PyTree[Array],
    **settings: Any,
) -> Array:
    """Apply a network to one example."""
    batch = jax.tree.map(lambda leaf: leaf[None], (one, condition))
    outputs: Any = module.apply(variables, *batch, **settings)
    return outputs[0]


def guarded(
    refined: Refined,
    before: Float[Array, " batch"],
    after: Float[Array, " batch"],
    slack: float = 0.0,
) -> Bool[Array, " batch"]:
    """Return which examples are to be kept as refined: all that is known agrees.

    The critic must find the refined image likelier, and it must fit its known pixels no
    worse than the proposal does. What is missing is never looked at.

    Args:
        refined: what became of the proposals.
        before: the jump across the edges of holes in the proposals
            (`losses.inpainting.seam`); 0 where nothing is known.
        after: the same in the refined.
        slack: the part by which the jump may grow.
    """
    return (refined.cost < refined.proposed) & (after <= before * (1 + slack))
