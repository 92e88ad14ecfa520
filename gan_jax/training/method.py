"""Methods of training: records of modules and pure functions, without arrays."""

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
Scores = Float[Array, "scores ..."]
"""One row for each image or, of a packed critic, for each pack of images."""
Condition: TypeAlias = Any
"""A pytree of arrays with a leading axis of images; None where there is none."""


class LossInputs(NamedTuple):
    """Inputs of the terms of a loss; unused fields cost nothing once compiled."""

    real: Images
    fake: Images
    real_scores: Scores
    fake_scores: Scores
    codes: Array | None
    """The critic's codes of the fakes, where it has a collection `codes`."""
    condition: Condition
    """The conditions of the fakes."""
    real_condition: Condition
    """The conditions of the real images, where the critic is conditional."""
    critic: Callable[[Images, Condition], Scores]
    """The critic with its current parameters, differentiable in both."""
    frozen: PyTree[Array]
    """Arrays that do not train, e.g. those of a teacher."""
    key: PRNGKeyArray
    generated: Any = None
    """The whole output of the generator, of which `fake` is the image; None in the
    critic's loss."""


class Term(NamedTuple):
    """An addend of a loss: `weight` times the mean of `value(inputs)`."""

    weight: float
    value: Callable[[LossInputs], Array]


class Batch(NamedTuple):
    """A batch of training: real images, and conditions of fakes and of real images."""

    real: Images
    condition: Condition = None
    real_condition: Condition = None


class Method(NamedTuple):
    """A method of training: networks, objective, terms and optimisers."""

    generator: nn.Module
    critic: nn.Module
    objective: Objective
    latent: Callable[..., PyTree[Array]]
    """`latent(key, count, size=None)` draws latents; None where images start from a
    condition. `size` is the height and width of their images, multiples of `cell`;
    None = those of the training images."""
    present: Callable[[PRNGKeyArray, ImagesByRole], Batch]
    """`present(key, images)`: the task's batch, from the images of the feed."""
    generator_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation
    generator_terms: Mapping[str, Term] = {}
    critic_terms: Mapping[str, Term] = {}
    critic_steps: Schedule = boosted(1)
    generator_steps: int = 1
    """Updates of the generator in a step, after those of the critic."""
    critic_projection: Callable[[PyTree[Array]], PyTree[Array]] = lambda parameters: (
        parameters
    )
    """Applied to the critic's parameters after each update, e.g. a clip to a box."""
    average_decay: float = 0.999
    adversarial_weight: float = 1.0
    """Weight of the adversarial addend of the generator's loss."""
    cell: int | None = None
    """Height and width of images may be any multiples of it, in pixels; None = those of
    the training images alone."""
    penalised: nn.Module | None = None
    """The critic that penalties differentiate, in full precision; None = `critic`."""

    @property
    def has_latent(self) -> bool:
        """Whether images start from a latent; otherwise a condition determines them."""
        return self.latent(jax.random.key(0), 1) is not None
