"""Refinement of a generator's samples by its critic, at any stage.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), and with known pixels Mortiniera 2020.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.observation import Observation
from gan_jax.search.refinement import (
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
    """Whether it ends once its cost is at most the median cost of real images."""
    drawn: bool = False
    """Whether its number of steps is drawn uniformly from 0 to `steps`."""
    best: bool = True
    """Whether the best activation seen is kept, or the last one."""


STOPPINGS: Mapping[str, Stopping] = {
    "deterministic": Stopping(),
    "best": Stopping(at_median=False),
    "probabilistic": Stopping(at_median=False, drawn=True, best=False),
}
"""Rules of stopping by name. `deterministic` follows the text of Liu 2019 and
Mortiniera 2020; `best` follows the code of both, which makes all steps and keeps the
lowest cost; `probabilistic` draws the number of steps, which keeps more diversity."""


class Collaboration(NamedTuple):
    """The networks that refine, and their settings; no arrays."""

    generator: nn.Module
    critic: nn.Module
    layer: int = 1
    """The stage of the generator whose input is refined: 0 is the latent, the number
    of stages the image itself."""
    score_loss: inpainting.ScoreLoss = inpainting.SCORE_LOSSES["nonsaturating"]
    """The loss of an image's critic score."""
    rate: float = 0.1
    momentum: float = 0.9
    steps: int = 50
    """Largest number of steps."""
    stopping: Stopping = STOPPINGS["deterministic"]
    slots: int = 64
    """Number of examples refined at once."""


def propose(
    settings: Collaboration,
    generator: PyTree[Array],
    latents: PyTree[Array],
    condition: PyTree[Array] = None,
) -> Activations:
    """Return the activations of latents at the stage that is refined."""
    activations: Any = settings.generator.apply(
        generator, latents, condition, stop=settings.layer
    )
    return activations


def paint(
    settings: Collaboration,
    generator: PyTree[Array],
    activations: Activations,
    known: Observation,
) -> Images:
    """Return the images of activations, with known pixels put over them."""
    images: Any = settings.generator.apply(
        generator, activations, known.condition, start=settings.layer
    )
    return pasted(images, known)


def scores(
    settings: Collaboration,
    critic: PyTree[Array],
    images: Images,
    condition: PyTree[Array] = None,
) -> Float[Array, " batch"]:
    """Return the critic's score of each image; a map counts by its mean."""
    outputs: Any = settings.critic.apply(critic, images, condition)
    return outputs.reshape(len(outputs), -1).mean(axis=1)


class Standard(NamedTuple):
    """Medians over real images, by one critic."""

    score: Float[Array, ""]
    cost: Float[Array, ""]
    """Of the score loss."""


def standard(
    score_loss: inpainting.ScoreLoss, real_scores: Float[Array, " real"]
) -> Standard:
    """Return the median score of real images and their median cost.

    The real scores are by the critic in use: they move as it learns.
    """
    score = jnp.median(real_scores)
    costs = score_loss(real_scores, jnp.full_like(real_scores, score))
    return Standard(score, jnp.median(costs))


class Stops(NamedTuple):
    """Where the refinements of a batch end."""

    limits: Int[Array, " batch"]
    """Largest number of steps of each example."""
    threshold: Float[Array, ""]
    """A cost at which an example is good enough."""


def stops(
    settings: Collaboration, key: PRNGKeyArray, count: int, real: Standard
) -> Stops:
    """Return where the refinements of a batch end."""
    limits = (
        jax.random.randint(key, (count,), 0, settings.steps + 1)
        if settings.stopping.drawn
        else jnp.full(count, settings.steps, jnp.int32)
    )
    threshold = real.cost if settings.stopping.at_median else -jnp.inf
    return Stops(limits, jnp.asarray(threshold, jnp.float32))


def improve(
    settings: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    activations: Activations,
    known: Observation,
    stops: Stops,
    real_score: Float[Array, ""] | float,
) -> Refined:
    """Refine proposals at a stage of the generator.

    An example's result does not depend on those beside it.
    `real_score` is the median score of real images by this critic.
    """
    refinement = _refinement(settings, generator, critic, real_score)
    return refine(refinement, activations, known, *stops, settings.slots)


def visits(
    settings: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    activations: Activations,
    known: Observation,
    stops: Stops,
    real_score: Float[Array, ""] | float,
) -> Float[Array, "visits batch height width channels"]:
    """Return the images of proposals, then those after each step of `improve`."""
    refinement = _refinement(settings, generator, critic, real_score)
    steps = visited(refinement, activations, known, *stops, settings.steps)
    images: Float[Array, "visits batch height width channels"]
    images = jax.lax.map(lambda step: paint(settings, generator, step, known), steps)
    return images


def _refinement(
    settings: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    real_score: Float[Array, ""] | float,
) -> Refinement:
    """Return the descent of the critic's cost, with respect to activations."""

    def tail(activation: Array, condition: PyTree[Array]) -> Array:
        return _apply_to_example(
            settings.generator, generator, activation, condition, start=settings.layer
        )

    def score(image: Array, condition: PyTree[Array]) -> Array:
        return _apply_to_example(settings.critic, critic, image, condition)

    cost = critic_cost(tail, score, settings.score_loss, real_score)
    return Refinement(cost, settings.rate, settings.momentum, settings.stopping.best)


def _apply_to_example(
    module: nn.Module,
    variables: PyTree[Array],
    example: Array,
    condition: PyTree[Array],
    **stages: Any,
) -> Array:
    batch = jax.tree.map(lambda leaf: leaf[None], (example, condition))
    outputs: Any = module.apply(variables, *batch, **stages)
    return outputs[0]


def trusted(
    refined: Refined,
    before: Float[Array, " batch"],
    after: Float[Array, " batch"],
    slack: float = 0.0,
) -> Bool[Array, " batch"]:
    """Return whether each refined image is better than its proposal.

    Its cost must be lower, and its jump across the edges of holes no larger. The true
    content of the holes is not needed.

    Args:
        refined: The refined proposals.
        before: The jump across the edges of holes in the proposals
            (`losses.inpainting.seam`); 0 where nothing is known.
        after: The same in the refined images.
        slack: Relative increase of the jump that is accepted.
    """
    return (refined.cost < refined.proposed) & (after <= before * (1 + slack))
