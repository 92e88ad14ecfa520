"""The program that a config names."""

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.build import requirements
from gan_jax.config.names import look_up
from gan_jax.runs.signals import limited

PROGRAMS: Mapping[str, str] = {
    "train": "gan_jax.apps.train.run",
    "study": "gan_jax.apps.study.run",
    "inpaint": "gan_jax.apps.inpaint.run",
    "generate": "gan_jax.apps.generate.run",
    "collaborate": "gan_jax.apps.collaborate.run",
    "detect": "gan_jax.apps.detect.run",
    "colorize": "gan_jax.apps.colorize.run",
}
"""Modules with a function `run(config, workdir) -> summary`, imported when needed."""


def program_of(config: ConfigDict) -> Callable[[ConfigDict, Path], dict[str, Any]]:
    """Return the `run` function of the program that a config names.

    It stops after `minutes` of its config, where its work is kept.

    Raises:
        InputError: The program is unknown, or the config lacks a key that it reads.
    """
    module = look_up(PROGRAMS, "program", config.program)
    requirements.check_program(config)
    run: Callable[[ConfigDict, Path], dict[str, Any]]
    run = importlib.import_module(module).run

    @functools.wraps(run)
    def run_limited(config: ConfigDict, workdir: Path) -> dict[str, Any]:
        with limited(config.minutes):
            return run(config, workdir)

    return run_limited
