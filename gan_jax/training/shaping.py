"""Discriminator shaping: train a critic further, on samples that it has refined.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), section 3.3: the critic's update of
training with refined samples as the fakes. Its gradient then leads from samples to real
images. The generator does not train.
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
from gan_jax.training.method import Batch, Method
from gan_jax.training.state import Player, Variables
from gan_jax.training.updates import Log, critic_update


class Lesson(NamedTuple):
    """The inputs of one step of shaping."""

    batch: Batch
    """Real images."""
    latents: PyTree[Array]
    """Latents of the proposals: drawn, or searched for images with holes."""
    problems: Observation
    """The observations that the proposals belong to."""


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
        method: The critic's method of training, with the optimiser of shaping.
        who: How samples are refined.
        generator: Variables of the generator, which stay.
        critic: The critic.
        weights: Weights of the critic's terms, by name.
        lesson: The real images, and latents and observations of the proposals.
        key: Key of the step.
        refiner: Another critic that refines in place of `critic`.

    Returns:
        The critic after the update, and its log.
    """
    by = critic.variables if refiner is None else refiner
    stop_key, term_key = jax.random.split(key)
    batch, latents, problems = lesson
    proposals = propose(who, generator, latents, problems.condition)
    real_scores = scores(who, by, batch.real, batch.real_condition)
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
    batch = batch._replace(condition=problems.condition)
    critic, log = critic_update(method, critic, weights, batch, fake, term_key)
    course = {
        "refinement/proposed": refined.proposed,
        "refinement/refined": refined.cost,
        "refinement/real": real.cost,
        "refinement/steps": refined.steps.astype(jnp.float32),
    }
    means = {name: values.mean() for name, values in course.items()}
    return critic, Log(log.values | means, log.finite)
