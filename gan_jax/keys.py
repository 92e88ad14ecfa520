"""Dotted keys of configs: flat and nested, known and unknown, alike and different."""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

RESUMABLE = (
    "seeds",
    "only",
    "sweep.over",
    "steps",
    "log_every",
    "checkpoint_every",
    "sample_every",
    "along",
    "shaping.log_every",
    "shaping.checkpoint_every",
    "evaluation.every",
    "evaluation.final_count",
    "fused_steps",
)
"""Keys that may change when a run continues: length, logging, the extent of a study or
a sweep; and those of its arms."""

_OF_ARMS = re.compile(r"(shared|arms\.[^.]+)\.")


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `flatten`."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *rooms, name = key.split(".")
        place = nested
        for room in rooms:
            place = place.setdefault(room, {})
        place[name] = value
    return nested


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
    return f"unknown key --config.{key}{closest(key, known)}; known: {', '.join(known)}"


def difference(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """List the keys in which two flat configs differ such that a run cannot go on."""
    plain = json.loads(json.dumps(dict(wanted)))
    return [
        f"{key}: {written.get(key)!r} -> {plain.get(key)!r}"
        for key in sorted({*written, *plain})
        if _OF_ARMS.sub("", key) not in RESUMABLE and written.get(key) != plain.get(key)
    ]


def closest(name: str, known: Collection[str]) -> str:
    """Say in brackets which known name was meant, or nothing."""
    found = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {found[0]}?)" if found else ""
