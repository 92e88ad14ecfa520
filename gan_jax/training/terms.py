"""Terms of a loss, as functions of its inputs.

Penalties differentiate one score per image. Where the critic returns a map of scores,
`of_map` reduces it to one: `jnp.mean` or `jnp.sum`.

They are taken where the critic is trained, at augmented images if there are any, and of
the critic alone: a gradient penalty asks for a slope of the critic between the two sets
of images that it compares. The code of Karras et al. 2020 (arXiv 2006.06676) takes R1
at the same images, but differentiates through the augmentation as well.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.losses import penalties
from gan_jax.training.method import Condition, Images, LossInputs

OfMap: TypeAlias = Callable[..., Array]
"""`of_map(scores, axis)`: one score from a map of scores."""


def real_penalty(inputs: LossInputs, of_map: OfMap = jnp.mean) -> Float[Array, "batch"]:
    """Return R1, the squared slope of the critic at real images."""
    critic = _one_score(inputs, inputs.real_condition, of_map)
    return penalties.zero_centred_penalty(critic, inputs.real)


def fake_penalty(inputs: LossInputs, of_map: OfMap = jnp.mean) -> Float[Array, "batch"]:
    """Return R2, the squared slope of the critic at generated images."""
    critic = _one_score(inputs, inputs.condition, of_map)
    return penalties.zero_centred_penalty(critic, inputs.fake)


def gradient_penalty(
    inputs: LossInputs, of_map: OfMap = jnp.mean
) -> Float[Array, "batch"]:
    """Return (slope - 1)^2 of the critic between real and generated images."""
    critic = _one_score(inputs, inputs.condition, of_map)
    return penalties.gradient_penalty(critic, inputs.real, inputs.fake, inputs.key)


def pulling_away(inputs: LossInputs) -> Float[Array, ""]:
    """Return the mean squared cosine between the codes of generated images."""
    return penalties.pulling_away(jax.tree.leaves(inputs.codes)[0])


def _one_score(
    inputs: LossInputs, condition: Condition, of_map: OfMap
) -> Callable[[Images], Float[Array, "batch"]]:
    """Return the critic as a function from images to one score each."""

    def score(images: Images) -> Float[Array, "scores"]:
        scores = inputs.critic(images, condition)
        return of_map(scores.reshape(scores.shape[0], -1), axis=1)

    return score
