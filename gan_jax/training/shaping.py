"""Discriminator shaping: training a critic further, on samples that it has refined.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), section 3.3: the critic's update with its
own refined samples as fakes, so that its gradients at samples lead to real images. The
generator is fixed.
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
    known: Observation
    """Conditions and known pixels of the proposals."""


def shape(
    method: Method,
    settings: Collaboration,
    generator: Variables,
    critic: Player,
    weights: dict[str, Float[Array, ""]],
    lesson: Lesson,
    key: PRNGKeyArray,
    refiner: Variables | None = None,
) -> tuple[Player, Log]:
    """Update a critic once on real images and on samples that it has refined.

    Args:
        method: The method by which the critic was trained, with the optimiser that is
            used now.
        settings: The refinement.
        generator: Variables of the generator.
        critic: The critic.
        weights: Weights of the method's critic terms.
        lesson: A batch.
        key: Random key of this step.
        refiner: Variables of the critic that refines; None = the critic itself.

    Returns:
        The updated critic, and the values to be logged.
    """
    by = critic.variables if refiner is None else refiner
    stop_key, term_key = jax.random.split(key)
    batch, latents, known = lesson
    proposals = propose(settings, generator, latents, known.condition)
    real_scores = scores(settings, by, batch.real, batch.real_condition)
    real = standard(settings.score_loss, real_scores)
    refined = improve(
        settings,
        generator,
        by,
        proposals,
        known,
        stops(settings, stop_key, len(proposals), real),
        real.score,
    )
    fake = paint(settings, generator, refined.activation, known)
    batch = batch._replace(condition=known.condition)
    critic, log = critic_update(method, critic, weights, batch, fake, term_key)
    course = {
        "refinement/proposed": refined.proposed,
        "refinement/refined": refined.cost,
        "refinement/real": real.cost,
        "refinement/steps": refined.steps.astype(jnp.float32),
    }
    means = {name: values.mean() for name, values in course.items()}
    return critic, Log(log.values | means, log.finite)
