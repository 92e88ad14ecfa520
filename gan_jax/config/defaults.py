"""Configs with the default values of their keys. Imports no JAX."""

import runpy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, FieldReference

from gan_jax.config import schema
from gan_jax.config.keys import flatten, nested


def values(rows: schema.Keys) -> dict[str, Any]:
    """Return the defaults of rows by dotted key; groups of any name are empty."""
    defaults: dict[str, Any] = {}
    for key, row in rows.items():
        group, any_name, _ = key.partition(".*")
        # Of a value of any kind; a plain number could not become a text.
        default = FieldReference(row.default, object) if row.is_size else row.default
        defaults[group] = {} if any_name else default
    return defaults


COMPLETION: Mapping[str, Any] = values(schema.COMPLETION)
"""The default loss of latent searches."""


def _config(name: str, program: str) -> ConfigDict:
    rows = schema.KEYS[program]
    return ConfigDict({"name": name, "program": program, **nested(values(rows))})


def training(name: str) -> ConfigDict:
    """Return the config of a training run whose task is still to be set."""
    return _config(name, "train")


def generation(name: str) -> ConfigDict:
    """Return the config of a plain GAN of images."""
    config = training(name)
    config.task = "samples"
    return config


def conditioning(name: str) -> ConfigDict:
    """Return the config of a GAN that is conditioned on known pixels."""
    config = training(name)
    config.task = "pixels"
    config.update(nested(values(schema.PIXELS)))
    return config


def inpainting(name: str) -> ConfigDict:
    """Return the config of image completion; its losses are still to be set."""
    return _config(name, "inpaint")


def realisation(name: str) -> ConfigDict:
    """Return the config that generates images under the user's known values."""
    return _config(name, "generate")


def collaboration(name: str) -> ConfigDict:
    """Return the config that refines samples or completed images."""
    config = _config(name, "collaborate")
    config.losses.yeh = dict(COMPLETION)
    return config


def detection(name: str) -> ConfigDict:
    """Return the config of a GAN and an anomaly detector."""
    config = _config(name, "detect")
    config.task = "samples"
    config.augment.kind = "none"  # its critics learn what is normal
    return config


def colorization(name: str) -> ConfigDict:
    """Return the config of a GAN that is conditioned on lightness."""
    config = _config(name, "colorize")
    config.task = "colors"
    config.augment.kind = "none"
    config.latent.prior = "none"
    return config


_SHARED = (
    "steps",
    "batch_size",
    "precision",
    "data.path",
    "data.few",
    "data.changed",
    "network.width",
    "network.critic_width",
    "evaluation.every",
    "evaluation.count",
    "evaluation.final_count",
    "evaluation.classifier.width",
    "evaluation.classifier.epochs",
)
"""Keys that the arms of every study have in common."""


def study(
    name: str,
    arms: Mapping[str, ConfigDict],
    shared: Collection[str] = (),
    sweep: Mapping[str, str] | None = None,
) -> ConfigDict:
    """Return the config of a study that compares training configs.

    Args:
        name: The study's name.
        arms: Training configs by name.
        shared: Dotted keys that all arms have in common, beside those of every study.
            Their defaults are the first arm's.
        sweep: Values of `sweep.arm`, `sweep.key` and `sweep.over`.
    """
    config = _config(name, "study")
    first = flatten(next(iter(arms.values())))
    shared = (*_SHARED, *shared)
    config.sweep.update(sweep or {})
    config.shared = nested({key: first[key] for key in shared})
    for arm, own in arms.items():
        kept = {
            key: value
            for key, value in flatten(own).items()
            if key not in ("seed", "memory", "minutes") and key not in shared
        }
        config.arms[arm] = nested(kept)
    return config.lock()


def sibling(path: str, name: str, variant: str) -> ConfigDict:
    """Return the unlocked config of the config file that lies beside another.

    Args:
        path: `__file__` of the other config file.
        name: The config's name, without `.py`.
        variant: Variants joined by commas.
    """
    place = Path(path).with_name(f"{name}.py")
    config: ConfigDict = runpy.run_path(str(place))["get_config"](variant)
    return config.unlock()
