"""Configs: the keys every training run has, variants, and comparing two of them.

Imports no JAX, so that `--help` and a mistyped flag are answered at once.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.errors import InputError

Variant = Mapping[str, Any]
"""Values by dotted key, e.g. `{"data.name": "mnist"}`."""

DATA: Mapping[str, Variant] = {
    "digits": {"data.name": "digits"},
    "photos": {"data.name": "photos"},
    "mnist": {"data.name": "mnist"},
    "fashion_mnist": {"data.name": "fashion_mnist"},
}
"""Variants that choose the data; the first one named wins over the default."""

RESUMABLE = (
    "steps",
    "log_every",
    "checkpoint_every",
    "sample_every",
    "evaluation.every",
    "evaluation.final_count",
    "fused_steps",
)
"""Keys that may change when a run continues: length and logging."""


def training(name: str) -> ConfigDict:
    """Give the keys that every training config has, with their defaults."""
    return ConfigDict(
        {
            "name": name,
            "program": "train",
            "task": "",
            "seed": 0,
            "steps": 1000,  # generator updates
            "batch_size": 64,
            "objective": "nonsaturating",
            "critic_steps": 1,  # for each generator update
            "critic_penalty": 0.0,  # gamma of R1, the penalty on real images
            "average_decay": 0.999,  # of the moving average of the generator
            "data": {
                "name": "digits",
                "path": "",  # a TFDS directory, arrays, or a folder of images
                "size": 28,
                "crop": 0,  # centre square kept before resizing; 0 = the largest
                "download": False,  # let TFDS prepare a missing set
                "feed": "auto",  # resident, streamed, or by what fits
            },
            "latent": {"size": 100, "prior": "normal"},
            "network": {
                "name": "dcgan",
                "width": 64,  # filters of the generator at full resolution
                "critic_width": 64,  # filters of the critic's first layer
                "depth": 2,  # the smallest image is size / 2^depth
                "kernel": 5,
            },
            "optimizer": {
                "name": "adam",
                "learning_rate": 2e-4,
                "beta1": 0.5,
                "beta2": 0.999,
                "warmup": 0,  # steps over which the learning rate rises from 0
            },
            "evaluation": {
                "every": 0,  # steps; 0 = at the end only
                "count": 2000,  # images generated on the way, for validation
                "final_count": 10_000,  # and at the end, for the test
                # Its features are what FID and its like compare.
                "classifier": {"width": 64, "features": 256, "epochs": 4},
            },
            "history": {"every": 0},  # keep both networks every so many steps
            "fused_steps": 20,  # in one compiled call, without the host between
            "log_every": 20,
            "checkpoint_every": 500,
            "sample_every": 500,
        }
    )


def with_variants(
    config: ConfigDict, variants: Mapping[str, Variant], names: str, data: str
) -> ConfigDict:
    """Apply comma-separated variants, then lock the config.

    Args:
        config: the defaults.
        variants: those of this config, beside the data sets of `DATA`.
        names: as given after the config file's name and a colon.
        data: the data set where no variant names one.

    Raises:
        InputError: a variant is unknown, or two name data sets.
    """
    known = {**DATA, **variants}
    chosen = [name for name in names.split(",") if name]
    for name in chosen:
        if name not in known:
            raise InputError(
                f"unknown variant '{name}' of {config.name}{_closest(name, known)}; "
                f"known: {', '.join(known)}"
            )
    sets = [name for name in chosen if name in DATA]
    if len(sets) > 1:
        raise InputError(f"variants {' and '.join(sets)} name two data sets: take one")
    # The data first: what other variants change is changed knowingly.
    order = (sets or [data]) + [name for name in chosen if name not in DATA]
    for name in order:
        for layer in (DATA.get(name, {}), variants.get(name, {})):
            config.update_from_flattened_dict(dict(layer))
    return config.lock()


def flatten(config: ConfigDict) -> dict[str, Any]:
    """Turn a config into dotted keys and plain values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{key}.{inner}": item for inner, item in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def unknown_key(config: ConfigDict, key: str) -> str:
    """Say in one line that a config has no such key, and which ones it has."""
    known = flatten(config)
    return (
        f"unknown key --config.{key}{_closest(key, known)}; known: {', '.join(known)}"
    )


def difference(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """List the keys in which two flat configs differ such that a run cannot go on."""
    plain = json.loads(json.dumps(dict(wanted)))
    return [
        f"{key}: {written.get(key)!r} -> {plain.get(key)!r}"
        for key in sorted({*written, *plain})
        if key not in RESUMABLE and written.get(key) != plain.get(key)
    ]


def _closest(name: str, known: Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {found[0]}?)" if found else ""
