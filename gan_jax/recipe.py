"""Where a name in a config becomes an object: explicit tables, nothing else.

A new objective, network, data source or task is a function elsewhere and a row here.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.data import decode, feed, masks, sources
from gan_jax.errors import InputError
from gan_jax.losses import adversarial, penalties
from gan_jax.networks import dcgan
from gan_jax.tasks import pixels
from gan_jax.tasks.task import Task
from gan_jax.training.method import Play, Recipe, Term

OBJECTIVES: Mapping[str, adversarial.Objective] = {
    "minimax": adversarial.minimax,
    "nonsaturating": adversarial.nonsaturating,
}

PRIORS: Mapping[str, Callable[..., Array]] = {
    "normal": jax.random.normal,
    "uniform": partial(jax.random.uniform, minval=-1.0, maxval=1.0),
}


def _rate(settings: ConfigDict) -> optax.ScalarOrSchedule:
    if not settings.warmup:
        return settings.learning_rate
    return optax.warmup_constant_schedule(0.0, settings.learning_rate, settings.warmup)


OPTIMIZERS: Mapping[str, Callable[[ConfigDict], optax.GradientTransformation]] = {
    "adam": lambda settings: optax.adam(
        _rate(settings), settings.beta1, settings.beta2
    ),
}

NETWORKS: Mapping[str, Any] = {"dcgan": dcgan}
"""Modules with the functions `generator` and `critic`."""

SOURCES: Mapping[str, Callable[[ConfigDict], sources.Official]] = {
    "digits": lambda data: sources.digits(data.size),
    "photos": lambda data: sources.photos(data.size),
    "folder": lambda data: sources.folder(data.path, data.size, data.crop),
    "arrays": lambda data: sources.arrays(data.path, data.size, data.crop),
    "tfds": lambda data: sources.tfds(
        data.name, data.path, data.size, data.crop, data.download
    ),
}
"""By kind; a name that is none of these is a TFDS set's."""

FEEDS: Mapping[str, Callable[..., feed.Feed]] = {
    "resident": feed.resident,
    "streamed": feed.streamed,
}

PROGRAMS: Mapping[str, str] = {"train": "gan_jax.programs.train"}
"""Modules with `run(config, workdir) -> summary`, imported when they are needed."""


def _pixels(config: ConfigDict) -> Task:
    size, mask = config.data.size, config.mask
    known: int | Float[Array, "size size"]
    if mask.pattern:
        known = _pattern(mask.pattern, size)
    else:
        known = masks.pixel_count(size, mask.count, mask.fraction)
    return pixels.task(size, known, config.pixel_weight)


TASKS: Mapping[str, Callable[[ConfigDict], Task]] = {"pixels": _pixels}


def look_up(table: Mapping[str, Any], key: str, name: str) -> Any:
    """Find a name in a table.

    Raises:
        InputError: it is not there; the message lists the names that are.
    """
    if name not in table:
        raise InputError(f"{key} '{name}' is unknown; known: {', '.join(table)}")
    return table[name]


def program(config: ConfigDict) -> Callable[[ConfigDict, Path], dict[str, Any]]:
    """Find the program that a config names."""
    module = look_up(PROGRAMS, "program", config.program)
    run: Callable[[ConfigDict, Path], dict[str, Any]]
    run = importlib.import_module(module).run
    return run


def source(data: ConfigDict) -> sources.Official:
    """Open the data that a config names; a path is read as what it is.

    Raises:
        InputError: there is no such data.
    """
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
    """Make the task that a config names."""
    make: Callable[[ConfigDict], Task] = look_up(TASKS, "task", config.task)
    return make(config)


def recipe(config: ConfigDict, task: Task, channels: int) -> Recipe:
    """Make the recipe of training that a config describes.

    Args:
        config: of a training run.
        task: what the prior is trained for.
        channels: of the data's images.

    Raises:
        InputError: a name is unknown, or the networks cannot make the size.
    """
    network, size = config.network, config.data.size
    networks = look_up(NETWORKS, "network.name", network.name)
    prior = look_up(PRIORS, "latent.prior", config.latent.prior)
    optimizer = look_up(OPTIMIZERS, "optimizer.name", config.optimizer.name)
    shape = {"size": size, "depth": network.depth, "kernel": network.kernel}
    conditional = config.get("condition_critic", False)

    def latent(key: PRNGKeyArray, count: int) -> Float[Array, "count latent"]:
        return prior(key, (count, config.latent.size))

    critic_terms = {}
    if config.critic_penalty > 0:
        critic_terms["real_penalty"] = Term(config.critic_penalty / 2, _real_penalty)
    return Recipe(
        generator=networks.generator(
            channels=channels, width=network.width, conditional=True, **shape
        ),
        critic=networks.critic(
            width=network.critic_width, conditional=conditional, **shape
        ),
        objective=look_up(OBJECTIVES, "objective", config.objective),
        latent=latent,
        present=task.present,
        generator_optimizer=optimizer(config.optimizer),
        critic_optimizer=optimizer(config.optimizer),
        generator_terms=task.generator_terms,
        critic_terms=critic_terms,
        critic_steps=lambda step: config.critic_steps,
        average_decay=config.average_decay,
    )


def _real_penalty(play: Play) -> Float[Array, "batch"]:
    return penalties.zero_centred_penalty(
        lambda images: play.critic(images, play.real_condition), play.real
    )


def _pattern(path: str, size: int) -> Float[Array, "size size"]:
    try:
        image = decode.decode(Path(path))
    except decode.BrokenImageError as error:
        raise InputError(f"mask.pattern {path}: {error}") from None
    if image.shape[:2] != (size, size):
        raise InputError(
            f"mask.pattern {path} is {image.shape[1]}x{image.shape[0]}, the images are "
            f"{size}x{size}: give a mask of their size"
        )
    known = (np.asarray(image).mean(axis=-1) > 127).astype(np.float32)
    if not known.any():
        raise InputError(f"mask.pattern {path} is black: mark known pixels in white")
    return jnp.asarray(known)
