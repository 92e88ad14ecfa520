"""Checks of a config against its keys' rows. Imports no JAX."""

import contextlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten, nested
from gan_jax.config.limits import WORD, size_of
from gan_jax.config.schema import KEYS, OF_TASKS, Key, find

AUTO = "auto"
"""The value of a key that is settled by the data when a run begins."""
_IMAGES = 2**32
"""Most images that a run may see: their positions are 32-bit integers on the device."""


def check_numbers(config: ConfigDict) -> None:
    """Refuse a config with a number outside its limits.

    Raises:
        InputError: Names the key, its value and the numbers that it may hold.
    """
    numbers = {
        key: value
        for key, value in flatten(config).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    for key, value in numbers.items():
        limits = find(key, config.get("program", "")).limits
        if not limits.hold(value):
            wanted = str(limits) if math.isfinite(value) else "that is finite"
            raise InputError(
                f"{key} is {value}: give a number {wanted} with --config.{key}"
            )
    for key, value in flatten(config).items():
        if find(key, config.get("program", "")).is_size:
            size_of(value, key)
    _check_updates(numbers)
    _check_images(numbers)


def read_config(written: Mapping[str, Any], program: str) -> ConfigDict:
    """Return the config of a run that trains, read from a file.

    Every value of a known key is checked. A key that a run of an older version does not
    have gets the value that was fixed then. Unknown keys, as a task from outside the
    package may have, are kept as they are. `data.download` is False: only a user's own
    command downloads.

    Args:
        written: The flat config of the run.
        program: The program that must have written it.

    Raises:
        ValueError: It is of another program, or a value is missing, of the wrong kind
            or outside its limits.
    """
    if written.get("program") != program:
        raise ValueError(f"it is no run of '{program}'")
    of_task = OF_TASKS.get(str(written.get("task")), {})
    rows = {"name": _TEXT, "program": _TEXT, **KEYS[program], **of_task}
    values = {key: written.get(key, row.older) for key, row in rows.items()}
    for key, value in values.items():
        if value is None:
            raise ValueError(f"it has no {key}")
        kind = type(rows[key].default)
        # JSON has one kind of number; True is an int in Python.
        known = type(value) is kind or (kind is float and type(value) is int)
        if rows[key].is_size and type(value) is str:
            _check_size(key, value)
            continue
        if not known:
            raise ValueError(f"{key} is {value!r}, not {_KINDS[kind]}")
        if kind in (int, float) and not rows[key].limits.hold(value):
            raise ValueError(f"{key} is {value}, not {rows[key].limits}")
    every = {**written, **values, "data.download": False}
    groups = {key[: dot.start()] for key in every for dot in re.finditer(r"\.", key)}
    if doubled := sorted(groups & every.keys()):
        raise ValueError(f"{doubled[0]} is both a value and a group of values")
    return ConfigDict(nested(every)).lock()


def _check_size(key: str, value: str) -> None:
    """Raise a `ValueError` if a text is no size."""
    try:
        size_of(value, key)
    except InputError:
        raise ValueError(f"{key} is {value!r}, not a size") from None


_TEXT = Key("", "")
_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def check_path(flag: str, path: str | Path) -> None:
    """Refuse a folder of a run in which Orbax could keep no checkpoint.

    Its storage library opens only paths in UTF-8, and takes a backslash for a slash.

    Args:
        flag: What gives the path, for messages.
        path: A folder, e.g. a workdir; its whole absolute path counts.

    Raises:
        InputError: Names the flag.
    """
    whole = str(Path(path).expanduser().absolute())
    if os.sep == "/" and "\\" in whole:
        raise InputError(
            f"{flag}={path} lies in {whole}, whose name has a backslash, and no "
            "checkpoint can be kept there: rename that folder or choose another"
        )
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{flag}={path} lies in {whole}, whose name is not UTF-8, and no "
            "checkpoint can be kept there: rename that folder or choose another"
        ) from None


def difference(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the changes of a config with which its run cannot be resumed.

    A key that a run of an older version does not have counts with the value that was
    fixed then.

    Args:
        written: The flat config of the run.
        wanted: The flat config of the command.

    Returns:
        One line for each key, `key: before -> now`, sorted.
    """
    plain = json.loads(json.dumps(dict(wanted)))
    found: list[str] = []
    for key in sorted({*written, *plain}):
        row = find(key, plain.get("program", ""))
        older = row.older if key in plain else None
        before, now = written.get(key, older), plain.get(key)
        alike = _in_full(before, row) == _in_full(now, row)  # 64 and 64x64
        kept = row.settled and now == AUTO
        if not (row.resumable or kept or alike):
            found.append(f"{key}: {before!r} -> {now!r}")
    return found


def _in_full(value: Any, row: Key) -> Any:
    """Return a value of a key, that of a size as its height and width."""
    with contextlib.suppress(InputError):  # it is missing, or damaged
        return size_of(value) if row.is_size else value
    return value


def _check_updates(numbers: Mapping[str, int | float]) -> None:
    """Refuse more generator updates than their counter holds."""
    steps, each = (numbers.get(key, 1) for key in ("steps", "generator_steps"))
    if steps * each > WORD:
        raise InputError(
            f"steps {steps} * generator_steps {each} are more than the {WORD} updates "
            "of the generator that a run may make: lower one of them"
        )


def _check_images(numbers: Mapping[str, int | float]) -> None:
    """Refuse boosts of 0 critic updates, and more images than a run may see."""
    steps, batch_size, critic_steps = (
        numbers.get(key, 1) for key in ("steps", "batch_size", "critic_steps")
    )
    boost, first, every = (
        numbers.get(f"critic_boost.{key}", 0) for key in ("steps", "first", "every")
    )
    boosted = min(first, steps) + (steps // every + 1 if every else 0)
    if boosted and not boost:
        raise InputError(
            "critic_boost.steps is 0, but critic_boost.first or critic_boost.every "
            "boosts steps: give a number above 0 with --config.critic_boost.steps"
        )
    images = (steps * critic_steps + boosted * boost) * batch_size
    if images > _IMAGES:
        raise InputError(
            f"steps {steps} * critic_steps {critic_steps} * batch_size {batch_size}, "
            f"with the boosts {images} images, are more than the {_IMAGES} that a run "
            "may see: lower one of them"
        )
