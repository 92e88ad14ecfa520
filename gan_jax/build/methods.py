"""Training methods from a config: explicit tables, nothing else.

A new objective is an `Objective` in `losses.adversarial` and a row of `OBJECTIVES`
here, `lambda config: ...`, because an objective may read keys of the config.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax.build import augmentation, requirements
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.config.names import look_up
from gan_jax.data.feed import ImagesByRole
from gan_jax.losses import adversarial
from gan_jax.tasks.task import Task
from gan_jax.training import terms
from gan_jax.training.method import Batch, LossInputs, Method, Term
from gan_jax.training.schedules import boosted

OBJECTIVES: Mapping[str, Callable[[ConfigDict], adversarial.Objective]] = {
    "minimax": lambda config: adversarial.minimax,
    "nonsaturating": lambda config: adversarial.nonsaturating,
    "lsgan": lambda config: adversarial.lsgan,
    "ebgan": lambda config: adversarial.ebgan(config.margin),
    "wgan": lambda config: adversarial.wgan,
    "hinge": lambda config: adversarial.hinge,
    "relativistic": lambda config: adversarial.relativistic,
}

LATENT_DISTRIBUTIONS: Mapping[str, Callable[..., Array | None]] = {
    "normal": jax.random.normal,
    "uniform": partial(jax.random.uniform, minval=-1.0, maxval=1.0),
    "none": lambda key, shape: None,
}
"""By name; `none` is for generators that start from a condition alone.

A new one may also need a projection in `build.searches.support`, and its export a row
of `_LATENTS` in `export.functions`.
"""

LATENT_FORMS: Mapping[str, Callable[[ConfigDict, Size], tuple[int, ...]]] = {
    "vector": lambda config, size: (config.latent.size,),
    "map": lambda config, size: (
        *(
            (side + 2 * config.network.get("margin", 0)) // 2**config.network.depth
            for side in size
        ),
        config.latent.size,
    ),
}
"""By name, the shape of the latent of an image of so many rows and columns."""


def _rate(settings: ConfigDict) -> optax.ScalarOrSchedule:
    if not settings.warmup:
        return settings.learning_rate
    return optax.warmup_constant_schedule(0.0, settings.learning_rate, settings.warmup)


Optimizer: TypeAlias = Callable[
    [optax.ScalarOrSchedule, ConfigDict], optax.GradientTransformation
]
"""`make(rate, settings)`, of the learning rate and `optimizer` of a config."""

OPTIMIZERS: Mapping[str, Optimizer] = {
    "adam": lambda rate, settings: optax.adam(rate, settings.beta1, settings.beta2),
    "momentum": lambda rate, settings: optax.sgd(rate, settings.beta1, nesterov=True),
    # The epsilon is outside the root, as in the code of Arjovsky et al.: inside, it
    # would damp the gradients of a critic in a small box, which are about 1e-5.
    "rmsprop": lambda rate, settings: optax.rmsprop(
        rate, settings.beta2, eps_in_sqrt=False
    ),
}


MAPS: Mapping[str, terms.OfMap] = {"mean": jnp.mean, "sum": jnp.sum}
"""By name, the one score of an image from a critic's map of scores, for penalties."""


def optimizer(
    settings: ConfigDict, rate: optax.ScalarOrSchedule | None = None
) -> optax.GradientTransformation:
    """Return the optimiser of `optimizer` of a config, at its learning rate or another.

    Raises:
        InputError: The name is unknown.
    """
    make: Optimizer = look_up(OPTIMIZERS, "optimizer.name", settings.name)
    return make(_rate(settings) if rate is None else rate, settings)


def method(config: ConfigDict, task: Task, channels: int, classes: int = 0) -> Method:
    """Return the training method of a config.

    Args:
        config: A training config.
        task: The task of the config.
        channels: Channels of the data's images.
        classes: Classes of the teacher; 0 = there is no teacher.

    Raises:
        InputError: A name is unknown, settings exclude each other, or the networks
            cannot make images of the size.
    """
    distribution = look_up(LATENT_DISTRIBUTIONS, "latent.prior", config.latent.prior)
    form = config.latent.get("form", "vector")  # older runs have none
    shape_of = look_up(LATENT_FORMS, "latent.form", form)
    generator = architectures.generator(
        config, task.channels(channels), task.conditional, classes
    )
    objective = look_up(OBJECTIVES, "objective", config.objective)(config)
    requirements.check_combination(config, task, objective)

    own, cell = size_of(config.data.size), architectures.cell(config)

    def latent(
        key: PRNGKeyArray, count: int, size: tuple[int, int] | None = None
    ) -> Float[Array, "count *latent"] | None:
        wanted = Size(*(size or own))
        _check_size(wanted, own, cell)
        return distribution(key, (count, *shape_of(config, wanted)))

    flip = look_up(augmentation.FLIPS, "data.flip", config.data.flip)
    boost = config.critic_boost
    of_map = look_up(MAPS, "network.map", config.network.get("map", "mean"))
    return Method(
        generator=generator,
        critic=architectures.critic(config),
        penalised=architectures.critic(config, "float32"),
        augmentation=augmentation.augmentation_of(config, task),
        objective=objective,
        latent=latent,
        present=_packed(flip(task.present), config.get("packing", 1)),
        generator_optimizer=optimizer(config.optimizer),
        critic_optimizer=optimizer(config.optimizer),
        generator_terms={
            **task.generator_terms,
            **_weighted(pulling_away=(config.pulling_away, terms.pulling_away)),
        },
        critic_terms=_weighted(
            real_penalty=(
                config.critic_penalty / 2,
                partial(terms.real_penalty, of_map=of_map),
            ),
            fake_penalty=(
                config.fake_penalty / 2,
                partial(terms.fake_penalty, of_map=of_map),
            ),
            gradient_penalty=(
                config.gradient_penalty,
                partial(terms.gradient_penalty, of_map=of_map),
            ),
        ),
        critic_steps=boosted(
            config.critic_steps, boost.steps, first=boost.first, every=boost.every
        ),
        generator_steps=config.get("generator_steps", 1),
        critic_projection=_in_box(config.critic_clip),
        average_decay=config.average_decay,
        cell=cell,
        critic_condition=task.critic_condition,
        adversarial_weight=_adversarial_weight(config, of_map),
    )


def _check_size(size: Size, own: Size, cell: int | None) -> None:
    """Refuse a size of images that a run cannot make."""
    if cell is None and size != own:
        raise InputError(
            f"images of {size} (height x width) were asked for, and the run makes "
            f"{own} alone: train one with --config.network.generator=latent_unet and "
            "--config.latent.form=map"
        )
    if cell is not None and (min(size) < 1 or any(side % cell for side in size)):
        raise ValueError(f"{size} is no multiple of {cell}")


def _adversarial_weight(config: ConfigDict, of_map: terms.OfMap) -> float:
    """Return the weight of the generator's adversarial loss.

    The loss is the mean over the critic's map of N scores. A gradient penalty that
    holds the slope of the map's sum at 1 leaves its mean a slope of 1/N. A weight meant
    for the sum is divided by N under the mean, and the reverse. Without the penalty the
    slope is not held, and the weight stays as it is.
    """
    weight: float = config.get("adversarial_weight", 1.0)
    name = config.get("adversarial_map", "mean")  # older runs have none
    meant = look_up(MAPS, "adversarial_map", name)
    if meant is of_map or not config.gradient_penalty:
        return weight
    ones = jnp.ones((1, architectures.map_scores(config)))
    return weight * float((of_map(ones, axis=1) / meant(ones, axis=1))[0])


def _packed(single: augmentation.Present, samples: int) -> augmentation.Present:
    """Return a `present` whose conditions are each shared by `samples` neighbours."""
    if samples == 1:
        return single

    def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
        batch = single(key, images)
        condition = jax.tree.map(
            lambda maps: jnp.repeat(maps[: len(maps) // samples], samples, axis=0),
            batch.condition,
        )
        return batch._replace(condition=condition)

    return present


def _weighted(
    **addends: tuple[float, Callable[[LossInputs], Array]],
) -> dict[str, Term]:
    """Return the terms whose weight is above 0."""
    return {
        name: Term(weight, value) for name, (weight, value) in addends.items() if weight
    }


def _in_box(bound: float) -> Callable[[PyTree[Array]], PyTree[Array]]:
    """Clip parameters to +- a bound (Arjovsky 2017, algorithm 1); 0 = not at all."""
    if not bound:
        return lambda parameters: parameters
    return lambda parameters: optax.tree.clip(parameters, -bound, bound)
