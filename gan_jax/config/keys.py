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

ADDED: Mapping[str, Any] = {
    "generator_steps": 1,
    "network.map": "mean",
    "adversarial_map": "mean",
    "detector.rescale": True,
    "sweep.loss": "",
    "sweep.key": "",
    "sweep.over": "",
    "along": 8,
}
"""Keys that older configs do not have, with the value by which runs then went."""

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
    """List the keys in which two flat configs differ such that a run cannot go on.

    A key that a config of an older version does not have counts with what it was then.
    """
    plain = json.loads(json.dumps(dict(wanted)))
    found: list[str] = []
    for key in sorted({*written, *plain}):
        name = _OF_ARMS.sub("", key)
        then = ADDED.get(name) if key in plain else None
        before, now = written.get(key, then), plain.get(key)
        if name not in RESUMABLE and before != now:
            found.append(f"{key}: {before!r} -> {now!r}")
    return found


def closest(name: str, known: Collection[str]) -> str:
    """Say in brackets which known name was meant, or nothing."""
    found = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {found[0]}?)" if found else ""
