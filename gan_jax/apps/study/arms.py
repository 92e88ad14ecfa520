"""The arms of a study: whole training configs with shared values."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from gan_jax.apps.train.memory import data_demands, training_demands
from gan_jax.apps.train.teacher import teachable
from gan_jax.build import methods, tasks
from gan_jax.config.checks import check_numbers
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.sweeps import arm_name, number, settings
from gan_jax.data.datasets.dataset import Dataset
from gan_jax.report.terminal import say
from gan_jax.runs.memory import check_memory


class Arm(NamedTuple):
    """A training config that a study trains under every seed."""

    name: str
    origin: str
    """Name of the arm in the study's config."""
    config: ConfigDict
    """Config of the arm, with the values that all arms share."""
    value: float | None
    """Value of the sweep's key, if the arm is part of the sweep."""

    def folder(self, workdir: Path, seed: int) -> Path:
        """Return the workdir of the arm's run under a seed."""
        return workdir / "runs" / self.name / str(seed)

    def seeded(self, seed: int) -> ConfigDict:
        """Return the arm's config with a seed."""
        config = self.config.copy_and_resolve_references()
        with config.unlocked():
            config.seed = seed
        return config


def study_arms(config: ConfigDict) -> list[Arm]:
    """Return the arms of a study, each with its own config.

    Raises:
        InputError: If there is no such arm, or the sweep is impossible.
    """
    _check_sweep(config)
    arms: list[Arm] = []
    for name in _chosen(config):
        plain = config.arms[name].copy_and_resolve_references()
        with plain.unlocked():
            plain.update_from_flattened_dict(flatten(config.shared))
            plain.memory = config.get("memory", 0.0)
            plain.minutes = 0.0  # the study's are those of all its runs
        if name != config.sweep.arm:
            arms.append(Arm(name, name, plain, None))
            continue
        for value in swept(config):
            varied = plain.copy_and_resolve_references()
            with varied.unlocked():
                varied.update_from_flattened_dict({config.sweep.key: value})
            arms.append(Arm(arm_name(name, value), name, varied, value))
    return arms


def swept(config: ConfigDict) -> list[float]:
    """Return the values of a study's sweep in ascending order.

    Raises:
        InputError: If one is no number, or there is none.
    """
    values = [number(text) for text in settings(config.sweep.over)]
    if not values:
        raise InputError("--config.sweep.over is empty: give numbers joined by commas")
    return sorted(set(values))


def _check_sweep(config: ConfigDict) -> None:
    """Raise if the sweep's key is not a number of its arm."""
    arm, key = config.sweep.arm, config.sweep.key
    if not arm and not key:
        return
    if arm not in config.arms:
        raise InputError(
            f"--config.sweep.arm: the study has no arm '{arm}'; known: "
            f"{', '.join(config.arms)}"
        )
    numbers = [
        name
        for name, value in flatten(config.arms[arm]).items()
        if isinstance(value, float)
    ]
    if key not in numbers:
        raise InputError(
            f"--config.sweep.key: '{key}' is no number of arm {arm} that may be any; "
            f"known: {', '.join(numbers)}"
        )


def check_arm(
    config: ConfigDict, arm: Arm, first: Arm, open_data: Callable[[], Dataset]
) -> None:
    """Raise if an arm cannot be trained; the message names the study's keys.

    Args:
        config: Config of the study.
        arm: The arm.
        first: First arm of the study, whose data all arms share.
        open_data: Opens the dataset of the arms; called after all other checks.

    Raises:
        InputError: If the arm cannot be trained, or its data are not the first arm's.
    """

    def key_of_study(match: re.Match[str]) -> str:
        if arm.value is not None and match[1] == config.sweep.key:
            return "--config.sweep.over"
        if match[1] in ("memory", "minutes"):  # of the study, for all its arms
            return match[0]
        shared = match[1] in flatten(config.shared)
        return f"--config.{'shared' if shared else f'arms.{arm.origin}'}.{match[1]}"

    try:
        check_numbers(arm.config)
        if arm.config.data != first.config.data:
            raise InputError(
                f"its data are not those of arm {first.name}: a study compares arms on "
                "the same data"
            )
        task = tasks.task(arm.config)
        check_memory(arm.config, data_demands(arm.config))
        data = open_data()
        method = methods.method(arm.config, task, data.train.shape[-1])
        demands = training_demands(arm.config, task, method, data, config.seeds)
        check_memory(arm.config, demands)
    except InputError as error:
        message = re.sub(r"--config\.([\w.]*\w)", key_of_study, str(error))
        raise InputError(f"arm {arm.name}: {message}") from None


def trainable(arms: Sequence[Arm], open_data: Callable[[], Dataset]) -> list[Arm]:
    """Drop the arms whose teacher cannot be trained.

    Args:
        arms: Arms of a study.
        open_data: Opens the dataset of the arms; called if an arm needs a teacher.

    Raises:
        InputError: If no arm is left.
    """
    remaining: list[Arm] = []
    for arm in arms:
        if not arm.config.get("class_weight", 0) or teachable(arm.config, open_data()):
            remaining.append(arm)
            continue
        say(
            f"without {arm.name}: {open_data().train.name} has no labels to train a "
            "teacher on; give --config.shared.teacher.path=<run>/teacher.msgpack"
        )
    if not remaining:
        raise InputError("every arm that was chosen needs a teacher")
    return remaining


def _chosen(config: ConfigDict) -> list[str]:
    names = [name for name in config.only.split(",") if name] or list(config.arms)
    for name in names:
        if name not in config.arms:
            raise InputError(
                f"--config.only: the study has no arm '{name}'; known: "
                f"{', '.join(config.arms)}"
            )
    return names
