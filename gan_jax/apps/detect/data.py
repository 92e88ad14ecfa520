"""What a detector is tested on: unseen normal images, and kinds of anomalies."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax.apps.train.setup import Run
from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.classes import select_classes
from gan_jax.data.datasets.dataset import Dataset, Skipped, Source, in_memory
from gan_jax.data.datasets.formats import recognise
from gan_jax.data.feed import read

Images8 = UInt8[np.ndarray, "count height width channels"]

NORMAL = "normal"
"""What images that are no anomalies are called."""

_COMPARED = 2048  # validation images at most: a detector is compared on them often
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's


class Anomalies(NamedTuple):
    """Images of one kind that are not normal."""

    images: Images8
    base_rate: float
    """The share that they are to make up of all images; 0 = whatever it is."""


def check_anomalies(config: ConfigDict) -> None:
    """Refuse a config that names no anomalies, or a base rate that is none.

    Raises:
        InputError: says what to name.
    """
    anomaly = config.anomaly
    if not anomaly.label and not anomaly.others:
        raise InputError(
            "no anomalies are named: give --config.anomaly.label, a class that is left "
            "out, or --config.anomaly.others, other sets"
        )
    for text in _names(anomaly.others):
        _split(text)


def anomalies(
    config: ConfigDict, this: Run
) -> tuple[dict[str, Anomalies], list[Skipped]]:
    """Gather the anomalies that a config names, by name, and files that are none.

    A class that was left out of training: its images in the official test part, or all
    of them where the set has none or the test part was drawn from all images.

    Args:
        config: `anomaly` of it.
        this: the run on normal images.

    Raises:
        InputError: a set or class is unknown, or two have one name.
    """
    data, anomaly = this.config.data, config.anomaly
    found: dict[str, Anomalies] = {}
    skipped: list[Skipped] = []
    if anomaly.label:
        whole = _whole(data, without="")
        source = whole.train if whole.test is None else whole.test
        images = in_memory(select_classes(source, anomaly.label)).images
        found[f"class {anomaly.label}"] = Anomalies(images, 0.0)
    for text in _names(anomaly.others):
        name, base_rate = _split(text)
        short = Path(name).resolve().name
        if short in (*found, NORMAL):
            raise InputError(
                f"anomaly.others: '{name}' would be called {short}, as other images "
                "are: rename it"
            )
        images, broken = _of_set(name, this)
        skipped += broken
        found[short] = Anomalies(images, base_rate)
    for name, (images, _) in found.items():
        if not len(images):
            raise InputError(f"anomalies '{name}': there are no such test images")
    return found, skipped


def normal_images(this: Run, part: str, count: int | None = None) -> Images8:
    """Read normal images of a part of the data."""
    source = this.parts[part]["real"]
    some = np.arange(len(source) if count is None else min(count, len(source)))
    return np.asarray(read(source, some).image)


def validation_images(this: Run) -> Images8:
    """Read normal images that nothing learns from."""
    return normal_images(this, "validation", _COMPARED)


def _names(others: str) -> list[str]:
    return [text for text in others.split(",") if text]


def _split(text: str) -> tuple[str, float]:
    """Tell a set's name from the base rate behind a colon."""
    name, colon, rate = text.rpartition(":")
    if not colon:
        return text, 0.0
    try:
        share = float(rate)
    except ValueError:
        return text, 0.0
    if not 0 < share < 1:
        raise InputError(f"anomaly.others '{text}': a base rate lies between 0 and 1")
    return name, share


def _whole(data: ConfigDict, **values: object) -> Dataset:
    changed = data.copy_and_resolve_references()
    with changed.unlocked():
        changed.update(values)
    return datasets.source(changed)


def _of_set(name: str, this: Run) -> tuple[Images8, Sequence[Skipped]]:
    """Return the test images of another set, at the size and in the colours of this.

    And the files of it that cannot be read.
    """
    data = this.config.data
    channels = this.dataset.train.shape[-1]
    if name in GENERATED:
        count = len(this.parts["test"]["real"])
        shape = (count, data.size, data.size, channels)
        return GENERATED[name](np.random.default_rng(this.config.seed), shape), ()
    place = Path(name).expanduser()
    path = data.path
    if place.exists():
        path, named = str(place), "folder"
    else:
        named = name
        # Sets of one TFDS directory are neighbours; any other path holds one set.
        is_tfds = data.path and recognise(data.path) == "tfds"
        path = data.path if is_tfds and name not in datasets.SOURCES else ""
    whole = _whole(data, name=named, path=path, without="", held_out=0.0)
    source: Source = whole.train if whole.test is None else whole.test
    loaded = in_memory(source)
    return in_colours(loaded.images, channels), loaded.skipped


def in_colours(images: np.ndarray, channels: int) -> Images8:
    """Bring images to 1 or 3 channels, whichever they have."""
    if images.dtype != np.uint8:
        raise InputError("points in the plane are no anomalies of images")
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    grey: np.ndarray = np.rint(images @ _LUMA)[..., None].astype(np.uint8)
    return grey


def _noise(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return draw.integers(0, 256, shape, np.uint8)


GENERATED: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Images8]] = {
    "noise": _noise,
}
"""Anomalies of no set: `make(random, shape)`; noise is uniform in every value."""
