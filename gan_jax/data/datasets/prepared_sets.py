"""Sets that TensorFlow Datasets (TFDS) has prepared on disk, by their descriptions.

Descriptions are read as JSON, before TFDS itself opens them.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gan_jax.data.memory import read_regular

_CLASS_KEYS = ("pythonClassName", "python_class_name", "type")  # in features.json
# TFDS imports the module of any other class, which would run as a program.
_OWN_CLASS = re.compile(r"tensorflow_datasets\.core\.features\.\w+\.\w+", re.ASCII)
_LARGEST = 2**24  # bytes of a description


class PreparedSet(NamedTuple):
    """A prepared dataset on disk."""

    name: str
    """Name in TFDS: `mnist`, or `emnist/letters` with its variant."""
    version: tuple[int, ...]
    """Version, e.g. (3, 0, 1)."""
    form: str
    """File format, e.g. `array_record`."""
    place: Path
    """Directory of the version."""


def prepared_sets(root: Path) -> list[PreparedSet]:
    """Return the datasets below a TFDS data directory, or below that of one dataset."""
    sets = []
    for depth in range(4):  # from the version's directory to the data directory
        for file in sorted(root.glob("*/" * depth + "dataset_info.json")):
            if not (file.parent / "features.json").is_file():
                continue
            with contextlib.suppress(
                OSError, ValueError, LookupError, AttributeError, TypeError
            ):
                info = _read_json(file)
                # Data in TensorFlow's own format may not state it.
                form = str(info.get("fileFormat") or "tfrecord")
                variant = info.get("configName")
                name = str(info.get("name") or file.parent.parent.name)
                version = tuple(int(part) for part in info["version"].split("."))
                sets.append(
                    PreparedSet(
                        f"{name}/{variant}" if variant else name,
                        version,
                        form,
                        file.parent,
                    )
                )
    return sets


def _read_json(file: Path) -> Any:
    """Return the content of a description.

    Raises:
        ValueError: It is too large, too deeply nested, no file or no JSON.
        OSError: It cannot be read.
    """
    try:
        return json.loads(read_regular(file, _LARGEST))
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deeply") from None


def foreign_classes(place: Path) -> list[str]:
    """Return the Python classes outside TFDS that the description of a set names.

    Args:
        place: Directory of the version.

    Raises:
        ValueError: The description is no JSON, or nested too deeply.
        OSError: It cannot be read.
    """
    names = _class_names(_read_json(place / "features.json"))
    try:
        return [name for name in names if not _OWN_CLASS.fullmatch(name)]
    except RecursionError:
        raise ValueError("features.json is nested too deeply") from None


def _class_names(description: Any) -> Iterator[str]:
    """Yield the names of Python classes in a description, also in JSON within it."""
    waiting = [description]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            with contextlib.suppress(ValueError):
                waiting.append(json.loads(part))
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            for key, value in part.items():
                if key in _CLASS_KEYS and isinstance(value, str):
                    yield value
                else:
                    waiting.append(value)
