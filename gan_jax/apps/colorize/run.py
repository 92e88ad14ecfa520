"""Colorization: train a colorizer, or colorize the user's images with one."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.colorize.apply import open_colorizing
from gan_jax.apps.train import run as train
from gan_jax.runs.apply import apply_to_folder


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train a colorizer and evaluate it; with `prior`, colorize `images` instead.

    Errors are those of `apps.train.run.run`.

    Returns:
        The summary, as written to `summary.json`.
    """
    if config.prior or config.images:
        return apply_to_folder(config, workdir, "colorize", open_colorizing)
    return train.run(config, workdir)
