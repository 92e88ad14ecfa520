"""Checks of a config before anything starts: missing keys, and keys that do not fit."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from gan_jax.build.networks import (
    CLASS_GENERATORS,
    CONDITIONAL_GENERATORS,
    ENERGY_CRITICS,
    GENERATORS,
    MAP_GENERATORS,
    MARGIN_GENERATORS,
    TRANSLATORS,
    gives_energies,
    has_latent_map,
)
from gan_jax.config import schema
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import side_of, size_of
from gan_jax.data.datasets import mixtures
from gan_jax.losses.adversarial import Objective
from gan_jax.tasks.task import Task


def check_program(config: ConfigDict) -> None:
    """Refuse a config without the keys that its program reads.

    Raises:
        InputError: Names the missing keys.
    """
    rows = schema.KEYS[config.program].items()
    groups = {key.partition(".")[0] for key, row in rows if row.older is None}
    _check_keys(config, "program", sorted(groups - {*config}))


def check_task(config: ConfigDict) -> None:
    """Refuse a config without the keys that its task reads, or with oblong points.

    Raises:
        InputError: Names the missing keys, or that points are no images.
    """
    rows = schema.OF_TASKS.get(config.task, {})
    needed = (key for key, row in rows.items() if row.older is None)
    _check_keys(config, "task", sorted({*needed} - {*flatten(config)}))
    if config.task == "points":  # of two coordinates each, not images
        side_of(config.data.size, "task points")


def _check_keys(config: ConfigDict, kind: str, missing: Sequence[str]) -> None:
    """Refuse a config with missing keys, which its `kind`, program or task, reads."""
    if missing:
        raise InputError(
            f"{kind} {config[kind]} needs {', '.join(missing)}, which config "
            f"{config.name} does not have: take an experiment of that {kind} (--help "
            "lists them)"
        )


def check_combination(config: ConfigDict, task: Task, objective: Objective) -> None:
    """Refuse a training config whose values do not fit each other.

    Raises:
        InputError: Says which values do not fit, and what to choose.
    """
    network, energies = config.network, gives_energies(config)
    size = size_of(config.data.size)
    if network.kernel > 2 * min(size) and not task.points:
        raise InputError(
            f"network.kernel {network.kernel} is wider than twice the images of {size},"
            " and its ends would see no pixel: give at most "
            f"{2 * min(size)} with --config.network.kernel"
        )
    if config.gradient_penalty and network.critic_normalisation == "batch":
        raise InputError(
            "a gradient penalty needs a critic that sees each image alone: choose "
            "--config.network.critic_normalisation=layer, spectral or none"
        )
    if energies != objective.energies:
        raise InputError(
            f"objective {config.objective} and network.critic {network.critic} do not "
            f"fit: the critics {' and '.join(ENERGY_CRITICS)} give energies, which the "
            "objective ebgan needs and no other objective can use"
        )
    _check_packing(config, energies)
    if config.pulling_away and not energies:
        raise InputError(
            "pulling_away needs a critic with codes: choose "
            f"--config.network.critic={' or '.join(ENERGY_CRITICS)}, or "
            "--config.pulling_away=0"
        )
    _check_generator(config, task)
    if (config.data.name in mixtures.MIXTURES) != task.points:
        raise InputError(
            f"data.name {config.data.name} does not fit the task {config.task}: choose "
            "the data by a variant, e.g. --config=configs/gan.py:gaussians8 for points"
        )
    if task.points and config.data.path:
        raise InputError(
            f"data.path {config.data.path} is not read: the points of "
            f"{config.data.name} are drawn at random; leave it empty"
        )


def _check_packing(config: ConfigDict, energies: bool) -> None:
    """Refuse a critic of several images at once where it cannot be trained."""
    packing = config.get("packing", 1)
    if packing > 1 and (config.get("condition_critic", False) or energies):
        raise InputError(
            f"packing {packing} needs a critic that sees images alone and gives scores:"
            " choose --config.packing=1, or another critic"
        )
    if packing > 1 and config.gradient_penalty:
        raise InputError(
            f"packing {packing} and gradient_penalty do not fit, because the penalty "
            "is of single images: choose --config.packing=1, or "
            "--config.critic_penalty in its place"
        )
    if config.batch_size % packing:
        raise InputError(
            f"batch_size {config.batch_size} is not a multiple of packing {packing}: "
            "choose --config.packing=1, or another batch size"
        )


def _check_generator(config: ConfigDict, task: Task) -> None:
    """Refuse a generator whose input is not what the config provides."""
    name = config.network.generator
    if (name in TRANSLATORS) != (config.latent.prior == "none"):
        raise InputError(
            f"network.generator {name} and latent.prior {config.latent.prior} do not "
            f"fit: {' and '.join(TRANSLATORS)} start from a condition and need "
            "latent.prior=none; all others start from a latent"
        )
    if has_latent_map(config) and name not in MAP_GENERATORS:
        raise InputError(
            f"network.generator {name} starts from a latent vector, not from a map: "
            f"choose --config.network.generator={' or '.join(MAP_GENERATORS)}, or "
            "--config.latent.form=vector"
        )
    if config.network.get("margin", 0) and name not in MARGIN_GENERATORS:
        raise InputError(
            f"network.generator {name} makes no margin: choose "
            f"--config.network.generator={' or '.join(MARGIN_GENERATORS)}, or "
            "--config.network.margin=0"
        )
    if name in CONDITIONAL_GENERATORS and not task.conditional:
        plain = [other for other in GENERATORS if other not in CONDITIONAL_GENERATORS]
        raise InputError(
            f"network.generator {name} needs a condition, and the task {config.task} "
            f"has none: choose {', '.join(plain)}"
        )
    if config.get("class_weight", 0) and name not in CLASS_GENERATORS:
        raise InputError(
            "class_weight needs a generator that predicts classes: choose "
            f"--config.network.generator={' or '.join(CLASS_GENERATORS)}, or "
            "--config.class_weight=0"
        )
