"""Addends of a loss as functions of a play: what a penalty sees of it."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from gan_jax.losses import penalties
from gan_jax.training.method import Condition, Images, Play


def real_penalty(play: Play) -> Float[Array, "batch"]:
    """R1: the critic's squared slope at real images."""
    return penalties.zero_centred_penalty(_judge(play, play.real_condition), play.real)


def fake_penalty(play: Play) -> Float[Array, "batch"]:
    """R2: the critic's squared slope at generated images."""
    return penalties.zero_centred_penalty(_judge(play, play.condition), play.fake)


def gradient_penalty(play: Play) -> Float[Array, "batch"]:
    """The critic's slope between real and generated images, held at 1."""
    return penalties.gradient_penalty(
        _judge(play, play.condition), play.real, play.fake, play.key
    )


def pulling_away(play: Play) -> Float[Array, ""]:
    """How alike the critic's codes of the generated images are."""
    return penalties.pulling_away(jax.tree.leaves(play.codes)[0])


def _judge(
    play: Play, condition: Condition
) -> Callable[[Images], Float[Array, "batch"]]:
    """Give the critic as one score per image: the mean of its map, if it has one."""

    def judge(images: Images) -> Float[Array, "batch"]:
        scores = play.critic(images, condition)
        return scores.reshape(scores.shape[0], -1).mean(axis=1)

    return judge
