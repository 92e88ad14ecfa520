"""Which numbers a config may hold: one table, checked before anything starts.

Imports no JAX, so that a senseless number is answered at once.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten

_WORD = 2**31 - 1  # step numbers and sizes are 32-bit words on the device
_IMAGES = 2**32  # positions in the endless sequence of shuffled epochs are, too


class Limits(NamedTuple):
    """An interval of numbers; None = no bound there."""

    least: int | float | None = None
    most: int | float | None = None
    above: int | float | None = None
    below: int | float | None = None

    def hold(self, number: int | float) -> bool:
        """Return whether a number is finite and inside."""
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        bounds = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(
            f"{words} {bound}" for words, bound in bounds.items() if bound is not None
        )


_COUNT = Limits(least=1, most=_WORD)
_EVERY = Limits(least=0, most=_WORD)  # 0 = never
_WEIGHT = Limits(least=0)
_DECAY = Limits(least=0, below=1)

_OPTIMIZER = {
    "learning_rate": Limits(above=0),
    "beta1": _DECAY,
    "beta2": _DECAY,
}

_CLASSIFIER = {"width": _COUNT, "features": _COUNT, "epochs": _EVERY}

LIMITS: Mapping[str, Limits] = {
    "seed": Limits(least=0, most=2**32 - 1),
    "seeds": _COUNT,
    "steps": _COUNT,
    "batch_size": _COUNT,
    "critic_steps": _COUNT,
    "generator_steps": _COUNT,
    "critic_boost.steps": _EVERY,
    "critic_boost.first": _EVERY,
    "critic_boost.every": _EVERY,
    "critic_clip": _WEIGHT,
    "critic_penalty": _WEIGHT,
    "fake_penalty": _WEIGHT,
    "gradient_penalty": _WEIGHT,
    "margin": _WEIGHT,
    "pulling_away": _WEIGHT,
    "average_decay": Limits(least=0, most=1),
    "pixel_weight": _WEIGHT,
    "packing": _COUNT,
    "adversarial_weight": _WEIGHT,
    "reconstruction.weight": _WEIGHT,
    "class_weight": _WEIGHT,
    "mask.count": _EVERY,
    "mask.most": _EVERY,
    "mask.fraction": Limits(least=0, most=1),
    "data.size": _COUNT,
    "data.crop": _EVERY,
    "data.held_out": Limits(least=0, below=1),
    "latent.size": _COUNT,
    "network.width": _COUNT,
    "network.critic_width": _COUNT,
    "network.depth": Limits(least=1, most=16),
    "network.critic_depth": Limits(least=0, most=16),
    "network.kernel": _COUNT,
    "network.hidden": _EVERY,
    "network.code": _EVERY,
    **{f"optimizer.{key}": limits for key, limits in _OPTIMIZER.items()},
    "optimizer.warmup": _EVERY,
    "evaluation.every": _EVERY,
    "evaluation.count": _COUNT,
    "evaluation.final_count": _COUNT,
    **{
        f"{room}.classifier.{key}": limits
        for room in ("evaluation", "teacher")
        for key, limits in _CLASSIFIER.items()
    },
    "teacher.classifier.epochs": _COUNT,
    "history.every": _EVERY,
    "anomaly.false_positive_rate": Limits(above=0, below=1),
    "detector.alpha": Limits(least=0, most=1),
    "detector.beta": _WEIGHT,
    "detector.margin": Limits(above=0),
    "detector.bound": _WEIGHT,
    "detector.groups": _COUNT,
    "detector.learning_rate": Limits(above=0),
    "detector.steps": _COUNT,
    "detector.every": _COUNT,
    "detector.patience": _COUNT,
    "baselines.searched": _EVERY,
    "reconstruction.context": _WEIGHT,
    "reconstruction.gradient": _WEIGHT,
    "reconstruction.prior": _WEIGHT,
    "count": _COUNT,
    "completions": _COUNT,
    "along": _EVERY,
    "losses.*.context": _WEIGHT,
    "losses.*.gradient": _WEIGHT,
    "losses.*.prior": _WEIGHT,
    **{f"search.optimizer.{key}": limits for key, limits in _OPTIMIZER.items()},
    "search.optimizer.decay": Limits(above=0, most=1),
    "search.optimizer.stair": _COUNT,
    "search.iterations": _COUNT,
    "search.restarts": _COUNT,
    "search.spread": _WEIGHT,
    "search.patience": _EVERY,
    "search.progress": Limits(least=0, below=1),
    "search.tolerance": _WEIGHT,
    "search.slots": _COUNT,
    "search.length": _COUNT,
    "refinement.layer": _EVERY,
    "refinement.steps": _EVERY,
    "refinement.rate": Limits(above=0),
    "refinement.momentum": _DECAY,
    "refinement.slack": _WEIGHT,
    "refinement.slots": _COUNT,
    "shaping.epochs": _WEIGHT,
    "shaping.images": _EVERY,
    "shaping.batch_size": _COUNT,
    "shaping.learning_rate": Limits(above=0),
    "shaping.log_every": _EVERY,
    "shaping.checkpoint_every": _EVERY,
    "acceptance.count": _EVERY,
    "acceptance.epochs": _WEIGHT,
    "acceptance.learning_rate": Limits(above=0),
    "acceptance.proposals": _COUNT,
    "acceptance.share": Limits(least=0, most=1),
    "fused_steps": Limits(least=1, most=100_000),  # the log of each waits on the device
    "log_every": _EVERY,
    "checkpoint_every": _EVERY,
    "sample_every": _EVERY,
}
"""By dotted key, `*` any name; a number without a row must only be finite."""

_OF_LOSSES = re.compile(r"losses\.[^.]+")


def limits_of(key: str) -> Limits:
    """Return which numbers a dotted key may hold."""
    return LIMITS.get(_OF_LOSSES.sub("losses.*", key), Limits())


def check(config: ConfigDict) -> None:
    """Refuse a config that holds a number which makes no sense.

    Raises:
        InputError: names the key, its value and what it may be.
    """
    numbers = {
        key: value
        for key, value in flatten(config).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    for key, value in numbers.items():
        limits = limits_of(key)
        if not limits.hold(value):
            wanted = str(limits) if math.isfinite(value) else "that is finite"
            raise InputError(
                f"{key} is {value}: give a number {wanted} with --config.{key}"
            )
    _check_updates(numbers)
    _check_images(numbers)


def _check_updates(numbers: Mapping[str, int | float]) -> None:
    """Refuse more updates of the generator than their counter holds."""
    steps, each = (numbers.get(key, 1) for key in ("steps", "generator_steps"))
    if steps * each > _WORD:
        raise InputError(
            f"steps {steps} * generator_steps {each} are more than the {_WORD} updates "
            "of the generator that a run may make: lower one of them"
        )


def _check_images(numbers: Mapping[str, int | float]) -> None:
    """Refuse a schedule of critic steps that has none, or too many."""
    steps, batch_size, critic_steps = (
        numbers.get(key, 1) for key in ("steps", "batch_size", "critic_steps")
    )
    boost, first, every = (
        numbers.get(f"critic_boost.{key}", 0) for key in ("steps", "first", "every")
    )
    boosted = min(first, steps) + (steps // every + 1 if every else 0)
    if boosted and not boost:
        raise InputError(
            "critic_boost.steps is 0, and critic_boost.first and critic_boost.every "
            "say when: give a number above 0 with --config.critic_boost.steps"
        )
    images = (steps * critic_steps + boosted * boost) * batch_size
    if images > _IMAGES:
        raise InputError(
            f"steps {steps} * critic_steps {critic_steps} * batch_size {batch_size}, "
            f"with the boosts {images} images, are more than the {_IMAGES} that a run "
            "may see: lower one of them"
        )
