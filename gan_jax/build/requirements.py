"""Checks of a config before anything starts: missing keys, and keys that do not fit."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from gan_jax.build import networks as architectures
from gan_jax.build.networks import ENERGY_CRITICS, GENERATORS, TRANSLATORS
from gan_jax.config import schema
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.datasets import mixtures
from gan_jax.losses.adversarial import Objective
from gan_jax.tasks.task import Task


def check_program(config: ConfigDict) -> None:
    """Refuse a config without the keys that its program reads.

    Raises:
        InputError: Names the missing keys.
    """
    rooms = {key.partition(".")[0] for key in schema.KEYS[config.program]}
    _check_keys(config, "program", sorted(rooms - {*config}))


def check_task(config: ConfigDict) -> None:
    """Refuse a config without the keys that its task reads.

    Raises:
        InputError: Names the missing keys.
    """
    rows = schema.OF_TASKS.get(config.task, {})
    needed = (key for key, row in rows.items() if row.older is None)
    _check_keys(config, "task", sorted({*needed} - {*flatten(config)}))


def _check_keys(config: ConfigDict, kind: str, missing: Sequence[str]) -> None:
    """Refuse a config with missing keys.

    Args:
        config: The config.
        kind: `program` or `task`, which reads the keys.
        missing: The missing keys.
    """
    if missing:
        raise InputError(
            f"{kind} {config[kind]} needs {', '.join(missing)}, which config "
            f"{config.name} does not have: take an experiment of that {kind} (--help "
            "lists them)"
        )


def check_combination(config: ConfigDict, task: Task, objective: Objective) -> None:
    """Refuse a training config that would train and mean nothing.

    Args:
        config: of a training run.
        task: that it names.
        objective: that it names.

    Raises:
        InputError: says what does not fit, and what to choose.
    """
    network = config.network
    if config.gradient_penalty and network.critic_normalisation == "batch":
        raise InputError(
            "a gradient penalty needs a critic that sees each image alone: choose "
            "--config.network.critic_normalisation=layer, spectral or none"
        )
    energies = architectures.gives_energies(config)
    if energies != objective.energies:
        raise InputError(
            f"objective {config.objective} and network.critic {network.critic} do not "
            f"fit: ebgan plays with energies, which {' and '.join(ENERGY_CRITICS)} "
            "give, and no other objective does"
        )
    packing = config.get("packing", 1)
    if packing > 1 and (config.get("condition_critic", False) or energies):
        raise InputError(
            f"packing {packing} is of critics of images alone that give scores: choose "
            "--config.packing=1, or another critic"
        )
    if packing > 1 and config.gradient_penalty:
        raise InputError(
            f"packing {packing} and gradient_penalty do not fit: the slope would be "
            "that of single images; choose --config.packing=1, or --config."
            "critic_penalty"
        )
    if config.batch_size % packing:
        raise InputError(
            f"batch_size {config.batch_size} is no multiple of packing {packing}: "
            "choose --config.packing=1, or another batch"
        )
    if config.pulling_away and not energies:
        raise InputError(
            "pulling_away needs a critic that makes codes: choose "
            f"--config.network.critic={' or '.join(ENERGY_CRITICS)}, or 0"
        )
    translates = network.generator in TRANSLATORS
    if translates != (config.latent.prior == "none"):
        raise InputError(
            f"network.generator {network.generator} and latent.prior "
            f"{config.latent.prior} do not fit: {' and '.join(TRANSLATORS)} start from "
            "a condition, with latent.prior=none; all others start from a latent"
        )
    needs_condition = translates or network.generator == "latent_unet"
    if needs_condition and not task.conditional:
        raise InputError(
            f"network.generator {network.generator} makes an image of a condition, and "
            f"the task {config.task} has none: choose {', '.join(GENERATORS)}"
        )
    if config.get("class_weight", 0) and network.generator != "chroma":
        raise InputError(
            "class_weight needs a generator that says what an image shows: choose "
            "--config.network.generator=chroma, or 0"
        )
    if (config.data.name in mixtures.MIXTURES) != task.points:
        raise InputError(
            f"data.name {config.data.name} does not fit the task {config.task}: choose "
            "data by a variant, e.g. configs/gan.py:gaussians8 for points"
        )
    if task.points and config.data.path:
        raise InputError(
            f"data.path {config.data.path} is not read: the points of "
            f"{config.data.name} are drawn"
        )
