"""Addends of a loss as functions of a play: what a penalty sees of it.

A penalty is of one score for each image. Where the critic gives a map of scores,
`of_map` makes one of it: `jnp.mean` or `jnp.sum`.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.losses import penalties
from gan_jax.training.method import Condition, Images, LossInputs

OfMap: TypeAlias = Callable[..., Array]
"""`of_map(scores, axis)`: one score of all."""


def real_penalty(inputs: LossInputs, of_map: OfMap = jnp.mean) -> Float[Array, "batch"]:
    """R1: the critic's squared slope at real images."""
    critic = _judge(inputs, inputs.real_condition, of_map)
    return penalties.zero_centred_penalty(critic, inputs.real)


def fake_penalty(inputs: LossInputs, of_map: OfMap = jnp.mean) -> Float[Array, "batch"]:
    """R2: the critic's squared slope at generated images."""
    critic = _judge(inputs, inputs.condition, of_map)
    return penalties.zero_centred_penalty(critic, inputs.fake)


def gradient_penalty(
    inputs: LossInputs, of_map: OfMap = jnp.mean
) -> Float[Array, "batch"]:
    """The critic's slope between real and generated images, held at 1."""
    critic = _judge(inputs, inputs.condition, of_map)
    return penalties.gradient_penalty(critic, inputs.real, inputs.fake, inputs.key)


def pulling_away(inputs: LossInputs) -> Float[Array, ""]:
    """How alike the critic's codes of the generated images are."""
    return penalties.pulling_away(jax.tree.leaves(inputs.codes)[0])


def _judge(
    inputs: LossInputs, condition: Condition, of_map: OfMap
) -> Callable[[Images], Float[Array, "batch"]]:
    """Return the critic as one score per image."""

    def judge(images: Images) -> Float[Array, "batch"]:
        scores = inputs.critic(images, condition)
        return of_map(scores.reshape(scores.shape[0], -1), axis=1)

    return judge
