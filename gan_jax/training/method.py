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
    """Inputs of the terms of a loss; unused fields cost nothing once compiled.

    In the critic's loss images and conditions are as the critic sees them, augmented
    where the method says so; in the generator's loss they are as they were made.
    """

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


class Augmentation(NamedTuple):
    """Random changes of all images that the critic sees in training."""

    augment: Callable[
        [PRNGKeyArray, Float[Array, ""], Images, Condition], tuple[Images, Condition]
    ]
    """`augment(key, probability, images, condition)`: images and their conditions after
    the same random changes, each drawn with the probability."""
    target: float = 0.0
    """Overfitting of the critic towards which the probability is adjusted, from 0 on;
    0 = the probability is always 1."""
    ramp: int = 100_000
    """Images that the critic sees while an adjusted probability rises from 0 to 1."""


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
    critic_condition: Callable[[Condition], Condition] = lambda condition: condition
    """The part of a fake's condition that the critic sees."""
    penalised: nn.Module | None = None
    """The critic that penalties differentiate, in full precision; None = `critic`."""
    augmentation: Augmentation | None = None
    """None = the critic sees images as they are."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the probability of augmentation follows the critic's overfitting."""
        return self.augmentation is not None and self.augmentation.target > 0

    @property
    def has_latent(self) -> bool:
        """Whether images start from a latent; otherwise a condition determines them."""
        return self.latent(jax.random.key(0), 1) is not None
