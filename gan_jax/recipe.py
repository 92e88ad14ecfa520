"""Where a name in a config becomes an object: explicit tables, nothing else.

A new objective, data source or task is a function elsewhere and a row here; networks
are in `architectures`.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax import architectures, requirements
from gan_jax.data import (
    classes,
    feed,
    masks,
    mixtures,
    sources,
    splits,
    training_images,
)
from gan_jax.data.feed import Batch
from gan_jax.data.splits import Part
from gan_jax.errors import InputError
from gan_jax.losses import adversarial, reconstruction
from gan_jax.names import look_up
from gan_jax.tasks import colors, pixels, points, samples, wells
from gan_jax.tasks.task import Task
from gan_jax.training import terms
from gan_jax.training.method import Example, Play, Recipe, Term
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

PRIORS: Mapping[str, Callable[..., Array | None]] = {
    "normal": jax.random.normal,
    "uniform": partial(jax.random.uniform, minval=-1.0, maxval=1.0),
    "none": lambda key, shape: None,
}
"""None is for generators that start from a condition."""


def _rate(settings: ConfigDict) -> optax.ScalarOrSchedule:
    if not settings.warmup:
        return settings.learning_rate
    return optax.warmup_constant_schedule(0.0, settings.learning_rate, settings.warmup)


Optimizer: TypeAlias = Callable[
    [optax.ScalarOrSchedule, ConfigDict], optax.GradientTransformation
]
"""`make(rate, settings)`."""

OPTIMIZERS: Mapping[str, Optimizer] = {
    "adam": lambda rate, settings: optax.adam(rate, settings.beta1, settings.beta2),
    "momentum": lambda rate, settings: optax.sgd(rate, settings.beta1, nesterov=True),
    # The epsilon outside the root, as in the code of Arjovsky et al.: inside, it damps
    # the gradients that a critic in a small box gives, some 1e-5.
    "rmsprop": lambda rate, settings: optax.rmsprop(
        rate, settings.beta2, eps_in_sqrt=False
    ),
}

SOURCES: Mapping[str, Callable[[ConfigDict], sources.Official]] = {
    "digits": lambda data: sources.digits(data.size),
    "photos": lambda data: sources.photos(data.size),
    "training_image": lambda data: training_images.crops(data.path, data.size),
    "folder": lambda data: sources.folder(data.path, data.size, data.crop),
    "arrays": lambda data: sources.arrays(data.path, data.size, data.crop),
    "tfds": lambda data: sources.tfds(
        data.name, data.path, data.size, data.crop, data.download
    ),
    **{
        name: lambda data: mixtures.points(mixtures.MIXTURES[data.name])
        for name in mixtures.MIXTURES
    },
}
"""By kind; a name that is none of these is a TFDS set's."""

FEEDS: Mapping[str, Callable[..., feed.Feed]] = {
    "resident": feed.resident,
    "streamed": feed.streamed,
}

PROGRAMS: Mapping[str, str] = {
    "train": "gan_jax.programs.train",
    "study": "gan_jax.programs.study",
    "inpaint": "gan_jax.programs.inpaint",
    "collaborate": "gan_jax.programs.collaborate",
    "detect": "gan_jax.programs.detect",
    "colorize": "gan_jax.programs.colorize",
}
"""Modules with `run(config, workdir) -> summary`, imported when they are needed."""


def _draw_mask(config: ConfigDict) -> pixels.DrawMask:
    """Give what draws known pixels: a pattern, or so many anywhere."""
    size, mask = config.data.size, config.mask
    most = mask.get("most", 0)  # runs of before have none
    if mask.pattern:
        if most:
            raise InputError(
                "mask.pattern knows the same pixels always: mask.most is 0"
            )
        known = masks.pattern(mask.pattern, size)
        return lambda key, batch: masks.fixed_pixels(known, batch)
    count = masks.pixel_count(size, mask.count, mask.fraction)
    if most and not count <= most <= size**2:
        raise InputError(
            f"mask.most {most} is to be from the {count} pixels that are known at "
            f"least to the {size**2} of an image, or 0 for always {count}"
        )
    return lambda key, batch: masks.random_pixels(key, batch, size, count, most)


def _under_pixels(make: Callable[..., Task], config: ConfigDict) -> Task:
    """Make a task whose conditions are known pixels."""
    task = make(_draw_mask(config), config.pixel_weight)
    return task._replace(training_conditions={"known_in_training": dict(config.mask)})


def _points(config: ConfigDict) -> Task:
    return points.task(look_up(mixtures.MIXTURES, "data.name", config.data.name))


MAPS: Mapping[str, terms.OfMap] = {"mean": jnp.mean, "sum": jnp.sum}
"""What a penalty takes for an image's score, of a critic's map of scores."""

DISTANCES: Mapping[str, colors.Distance] = {
    "l1": reconstruction.l1,
    "l2": reconstruction.l2,
}


def _colors(config: ConfigDict) -> Task:
    distance = look_up(DISTANCES, "reconstruction.name", config.reconstruction.name)
    return colors.task(distance, config.reconstruction.weight, config.class_weight)


TASKS: Mapping[str, Callable[[ConfigDict], Task]] = {
    "pixels": lambda config: _under_pixels(pixels.task, config),
    "wells": lambda config: _under_pixels(wells.task, config),
    "samples": lambda config: samples.task(),
    "points": _points,
    "colors": _colors,
}


def optimizer(
    settings: ConfigDict, rate: optax.ScalarOrSchedule | None = None
) -> optax.GradientTransformation:
    """Make the optimiser of networks that settings name.

    Args:
        settings: `optimizer` of a training config.
        rate: the learning rate instead of theirs.

    Raises:
        InputError: the name is unknown.
    """
    make: Optimizer = look_up(OPTIMIZERS, "optimizer.name", settings.name)
    return make(_rate(settings) if rate is None else rate, settings)


def program(config: ConfigDict) -> Callable[[ConfigDict, Path], dict[str, Any]]:
    """Find the program that a config names.

    Raises:
        InputError: there is no such program, or the config has not the keys that it
            reads.
    """
    module = look_up(PROGRAMS, "program", config.program)
    requirements.check_program(config)
    run: Callable[[ConfigDict, Path], dict[str, Any]]
    run = importlib.import_module(module).run
    return run


def source(data: ConfigDict) -> sources.Official:
    """Open the data that a config names; a path is read as what it is.

    Raises:
        InputError: there is no such data, or no such class of it.
    """
    official = _published(data)
    if data.held_out:
        official = classes.together(official)
    if not data.without:
        return official
    train, test = official
    return sources.Official(
        classes.of_classes(train, data.without, inside=False),
        test and classes.of_classes(test, data.without, inside=False),
    )


def parts(config: ConfigDict) -> dict[str, Part]:
    """Open the data of a training run and split it as the run does."""
    return partition_of(config, source(config.data))


def partition_of(config: ConfigDict, official: sources.Official) -> dict[str, Part]:
    """Split the data of a training run, once they are open."""
    share = {"test_share": config.data.held_out} if config.data.held_out else {}
    return splits.partition(official, config.seed, task(config).roles, **share)


def _published(data: ConfigDict) -> sources.Official:
    """Open a whole set with its official parts."""
    if data.path:
        kind = sources.recognise(data.path)
        if kind == "tfds" and data.name in SOURCES:
            raise InputError(
                f"data.path {data.path} is a TFDS directory: name one of its sets with "
                "--config.data.name"
            )
        return SOURCES[kind](data)
    if data.name in ("folder", "arrays"):
        raise InputError(f"data.name {data.name} needs --config.data.path")
    return SOURCES.get(data.name, SOURCES["tfds"])(data)


def task(config: ConfigDict) -> Task:
    """Make the task that a config names.

    Raises:
        InputError: the task is unknown, or the config has not the keys that it reads.
    """
    make: Callable[[ConfigDict], Task] = look_up(TASKS, "task", config.task)
    requirements.check_task(config)
    return make(config)


def recipe(config: ConfigDict, task: Task, channels: int, classes: int = 0) -> Recipe:
    """Make the recipe of training that a config describes.

    Args:
        config: of a training run.
        task: what the prior is trained for.
        channels: of the data's images.
        classes: that a teacher tells apart.

    Raises:
        InputError: a name is unknown, or the networks cannot make the size.
    """
    prior = look_up(PRIORS, "latent.prior", config.latent.prior)
    generator = architectures.generator(
        config, task.channels(channels), task.conditional, classes
    )
    requirements.check_combination(config, task)

    def latent(key: PRNGKeyArray, count: int) -> Float[Array, "count latent"] | None:
        return prior(key, (count, config.latent.size))

    boost = config.critic_boost
    of_map = look_up(MAPS, "network.map", config.network.get("map", "mean"))
    return Recipe(
        generator=generator,
        critic=architectures.critic(config),
        penalised=architectures.critic(config, "float32"),
        objective=look_up(OBJECTIVES, "objective", config.objective)(config),
        latent=latent,
        present=_packed(task, config.get("packing", 1)),
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
        adversarial_weight=_adversarial_weight(config, of_map),
    )


def _adversarial_weight(config: ConfigDict, of_map: terms.OfMap) -> float:
    """Return the weight of the mean of the critic's map in the generator's loss.

    A gradient penalty that holds the slope of the map's sum at 1 leaves the mean a
    slope of 1/N, for N scores in a map. So a weight that belongs to one reading is
    worth 1/N or N of it under the other. Without that penalty the slope is not held,
    and the weight is what it is.

    Args:
        config: of a training run.
        of_map: the score whose slope the penalty holds, of a map.
    """
    weight: float = config.get("adversarial_weight", 1.0)
    reading = config.get("adversarial_map", "mean")  # runs of before have none
    own = look_up(MAPS, "adversarial_map", reading)
    if own is of_map or not config.gradient_penalty:
        return weight
    ones = jnp.ones((1, architectures.map_scores(config)))
    return weight * float((of_map(ones, axis=1) / own(ones, axis=1))[0])


def _packed(task: Task, samples: int) -> Callable[[PRNGKeyArray, Batch], Example]:
    """Give what a task presents, each condition to so many neighbours of a batch."""
    if samples == 1:
        return task.present

    def present(key: PRNGKeyArray, batch: Batch) -> Example:
        example = task.present(key, batch)
        condition = jax.tree.map(
            lambda maps: jnp.repeat(maps[: len(maps) // samples], samples, axis=0),
            example.condition,
        )
        return example._replace(condition=condition)

    return present


def _weighted(**addends: tuple[float, Callable[[Play], Array]]) -> dict[str, Term]:
    """Make the terms whose weight is above 0."""
    return {
        name: Term(weight, value) for name, (weight, value) in addends.items() if weight
    }


def _in_box(bound: float) -> Callable[[PyTree[Array]], PyTree[Array]]:
    """Keep weights within +- a bound (Arjovsky 2017, algorithm 1); 0 = anywhere."""
    if not bound:
        return lambda parameters: parameters
    return lambda parameters: optax.tree.clip(parameters, -bound, bound)
