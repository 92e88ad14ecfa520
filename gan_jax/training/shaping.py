"""Discriminator shaping: a critic that goes on learning, from refined samples.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), section 3.3: the critic's own update,
with what it has itself refined as the fakes, so that its slopes lead to real images
where samples are. The generator rests.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan_jax.search.collaboration import (
    Collaboration,
    improve,
    paint,
    propose,
    scores,
    standard,
    stops,
)
from gan_jax.search.observation import Observation
from gan_jax.training.method import Example, Method
from gan_jax.training.state import Player, Variables
from gan_jax.training.updates import Log, critic_update


class Lesson(NamedTuple):
    """What a critic learns from in one step."""

    example: Example
    """Real images."""
    latents: PyTree[Array]
    """Of the proposals: drawn, or searched for images with holes."""
    problems: Observation
    """Under which the proposals are generated."""


def shape(
    method: Method,
    who: Collaboration,
    generator: Variables,
    critic: Player,
    weights: dict[str, Float[Array, ""]],
    lesson: Lesson,
    key: PRNGKeyArray,
    refiner: Variables | None = None,
) -> tuple[Player, Log]:
    """Update a critic once on real images and on samples that it has refined.

    Args:
        method: the method by which the critic was trained, with the optimiser by which
            it goes on.
        who: refines, with the critic as it is.
        generator: its variables, which stay.
        critic: as it is.
        weights: of the recipe's critic terms.
        lesson: a batch.
        key: of this step.
        refiner: the critic that refines instead, for one that only learns to tell what
            comes of it from real images.
    """
    by = critic.variables if refiner is None else refiner
    stop_key, term_key = jax.random.split(key)
    example, latents, problems = lesson
    proposals = propose(who, generator, latents, problems.condition)
    real_scores = scores(who, by, example.real, example.real_condition)
    real = standard(who.score_loss, real_scores)
    refined = improve(
        who,
        generator,
        by,
        proposals,
        problems,
        stops(who, stop_key, len(proposals), real),
        real.score,
    )
    fake = paint(who, generator, refined.activation, problems)
    example = example._replace(condition=problems.condition)
    critic, log = critic_update(method, critic, weights, example, fake, term_key)
    course = {
        "refinement/proposed": refined.proposed,
        "refinement/refined": refined.cost,
        "refinement/real": real.cost,
        "refinement/steps": refined.steps.astype(jnp.float32),
    }
    means = {name: values.mean() for name, values in course.items()}
    return critic, Log(log.values | means, log.finite)
