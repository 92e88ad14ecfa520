"""What a method of training is: records of modules and pure functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan_jax.data.feed import ImagesByRole
from gan_jax.losses.adversarial import Objective
from gan_jax.training.schedules import Schedule, boosted

Images = Float[Array, "batch ..."]
Scores = Float[Array, "batch ..."]
Condition: TypeAlias = Any
"""A pytree of arrays: what a task tells the networks of an image."""


class LossInputs(NamedTuple):
    """What a term of a loss sees of one move; unused fields cost nothing."""

    real: Images
    fake: Images
    real_scores: Scores
    fake_scores: Scores
    codes: Array | None
    """The critic's codes of the fakes, where it makes codes (collection `codes`)."""
    condition: Condition
    """What the fakes were generated under."""
    real_condition: Condition
    """What the critic is told of the real images, where it is conditional."""
    critic: Callable[[Images, Condition], Scores]
    """The critic as it is now, differentiable in the images and in its parameters."""
    frozen: PyTree[Array]
    """Arrays that do not train: a teacher, a frozen generator, a history."""
    key: PRNGKeyArray
    generated: Any = None
    """All that the generator gave, of which `fake` is the image; None where the critic
    learns."""


class Term(NamedTuple):
    """An addend of a loss: weight times the mean of `value(inputs)`."""

    weight: float
    value: Callable[[LossInputs], Array]


class Batch(NamedTuple):
    """A batch as a task presents it to the players."""

    real: Images
    condition: Condition
    real_condition: Condition


class Method(NamedTuple):
    """A method of training: modules, optimisers and pure functions, no arrays."""

    generator: nn.Module
    critic: nn.Module
    objective: Objective
    latent: Callable[[PRNGKeyArray, int], PyTree[Array]]
    """`latent(key, count)` draws latents; None where images start from a condition."""
    present: Callable[[PRNGKeyArray, ImagesByRole], Batch]
    """`present(key, images)`: the task's batch, from the images of the feed."""
    generator_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation
    generator_terms: Mapping[str, Term] = {}
    critic_terms: Mapping[str, Term] = {}
    critic_steps: Schedule = boosted(1)
    generator_steps: int = 1
    """Updates of the generator after the critic's updates of a step."""
    critic_projection: Callable[[PyTree[Array]], PyTree[Array]] = lambda parameters: (
        parameters
    )
    """Where the critic's parameters go after each of its updates, e.g. into a box."""
    average_decay: float = 0.999
    adversarial_weight: float = 1.0
    """Of the adversarial part of the generator's loss."""
    penalised: nn.Module | None = None
    """The critic as penalties see it, in full precision; None = as it is."""

    @property
    def has_latent(self) -> bool:
        """Whether images start from a latent; otherwise a condition determines them."""
        return self.latent(jax.random.key(0), 1) is not None
