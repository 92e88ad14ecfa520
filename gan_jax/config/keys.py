"""Dotted keys of configs."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.names import closest


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested dicts of dotted keys; the inverse of `flatten`."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *rooms, name = key.split(".")
        place = nested
        for room in rooms:
            place = place.setdefault(room, {})
        place[name] = value
    return nested


def flatten(config: ConfigDict) -> dict[str, Any]:
    """Return the values of a config by dotted key, in its order."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{key}.{inner}": item for inner, item in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def unknown_key(config: ConfigDict, key: str) -> str:
    """Return the error line for a key that a config does not have."""
    known = flatten(config)
    return f"unknown key --config.{key}{closest(key, known)}; known: {', '.join(known)}"
