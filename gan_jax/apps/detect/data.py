"""The images a detector is tested on: unseen normal ones, and kinds of anomalies."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax.apps.train.setup import Run
from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data.datasets.classes import select_classes
from gan_jax.data.datasets.dataset import Dataset, Skipped, Source, in_memory
from gan_jax.data.datasets.formats import recognise
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.degradations import LUMA
from gan_jax.data.feed import read

Images8 = UInt8[np.ndarray, "count height width channels"]

NORMAL = "normal"
"""Name of the images that are no anomalies."""

_COMPARED = 2048  # validation images at most: they are scored often


class Anomalies(NamedTuple):
    """Images of one kind that are not normal."""

    images: Images8
    base_rate: float
    """Their share of all images tested; 0 = as many as there are."""


def check_anomalies(config: ConfigDict) -> None:
    """Raise an `InputError` for a config without anomalies or a wrong rate."""
    anomaly = config.anomaly
    if not anomaly.label and not anomaly.others:
        raise InputError(
            "no anomalies are named: give --config.anomaly.label, a class that is left "
            "out, or --config.anomaly.others, other sets"
        )
    _others(config)


def is_whole(kind: str, config: ConfigDict, kinds: Mapping[str, Anomalies]) -> bool:
    """Return whether the measures of a kind have no prefix in the summary.

    It is the only kind, or that of several classes together.
    """
    label = config.anomaly.label
    return len(kinds) == 1 or ("," in label and kind == f"class {label}")


def read_anomalies(
    config: ConfigDict, run: Run
) -> tuple[dict[str, Anomalies], list[Skipped]]:
    """Return the anomalies that a config names, by name, and the unreadable files.

    Of classes that were left out of training: their images in the official test part,
    or all of them if the dataset has none or its test part was drawn from all images.
    The first kind holds those of all these classes.

    Raises:
        InputError: If a dataset or class is unknown, or two have the same name.
    """
    data, anomaly = run.config.data, config.anomaly
    kinds: dict[str, Anomalies] = {}
    skipped: list[Skipped] = []
    if anomaly.label:
        source = _test_part(_changed(data, without=""))
        names = [anomaly.label]
        if "," in anomaly.label:  # all of them together, and each
            names += anomaly.label.split(",")
        for name in names:
            images = in_memory(select_classes(source, name)).images
            kinds[f"class {name}"] = Anomalies(images, 0.0)
    for name, base_rate in _others(config):
        short = Path(name).resolve().name
        if short in (*kinds, NORMAL):
            raise InputError(
                f"--config.anomaly.others: '{name}' would be called {short}, as other "
                "images are: rename it"
            )
        images, broken = _read_other(name, run)
        skipped += broken
        kinds[short] = Anomalies(images, base_rate)
    for name, (images, _) in kinds.items():
        if not len(images):
            raise InputError(f"anomalies '{name}': there are no such test images")
    return kinds, skipped


def normal_images(run: Run, part: str, count: int | None = None) -> Images8:
    """Return normal images of a part of the data, the first `count` or all."""
    source = run.parts[part]["real"]
    indices = np.arange(len(source) if count is None else min(count, len(source)))
    return np.asarray(read(source, indices).image)


def validation_images(run: Run) -> Images8:
    """Return normal images that nothing is trained on, 2,048 at most."""
    return normal_images(run, "validation", _COMPARED)


def _others(config: ConfigDict) -> list[tuple[str, float]]:
    """Return the names in `anomaly.others` with the base rates behind their colons."""
    others = []
    for text in filter(None, config.anomaly.others.split(",")):
        name, colon, rate = text.rpartition(":")
        try:
            share = float(rate)
        except ValueError:
            colon = ""
        if not colon:
            others.append((text, 0.0))
        elif 0 < share < 1:
            others.append((name, share))
        else:
            raise InputError(
                f"--config.anomaly.others '{text}': a base rate lies between 0 and 1"
            )
    return others


def _changed(data: ConfigDict, **values: object) -> Dataset:
    """Open the dataset of a config with some keys changed."""
    changed = data.copy_and_resolve_references()
    with changed.unlocked():
        changed.update(values)
    return datasets.source(changed)


def _test_part(dataset: Dataset) -> Source:
    """Return the test part of a dataset, or all of it."""
    return dataset.train if dataset.test is None else dataset.test


def _check_levels(name: str, others: Reading, normal: Reading) -> None:
    """Raise where files of one kind were stretched otherwise than the normal images.

    A detector would find them by their brightness.
    """
    for kind in others.levels.keys() & normal.levels.keys():
        wanted, taken = normal.scaling.of(kind), others.scaling.of(kind)
        if taken != wanted:
            raise InputError(
                f"--config.anomaly.others: levels {taken} of {kind} in '{name}' become "
                f"0 to 255, and {wanted} of the normal images: give both the same with "
                f"--config.data.levels={max(wanted, taken)}"
            )


def _read_other(name: str, run: Run) -> tuple[Images8, Sequence[Skipped]]:
    """Return another dataset's test images, and its unreadable files.

    The images have the size and channels of the run's.
    """
    data = run.config.data
    channels = run.dataset.train.shape[-1]
    if name in GENERATED:
        count = len(run.parts["test"]["real"])
        shape = (count, *size_of(data.size), channels)
        return GENERATED[name](np.random.default_rng(run.config.seed), shape), ()
    place = Path(name).expanduser()
    if place.exists():
        path, kind = str(place), "folder"
    else:
        kind = name
        # Datasets in one TFDS directory are neighbours; another path holds one dataset.
        is_tfds = data.path and recognise(data.path) == "tfds"
        path = data.path if is_tfds and name not in datasets.SOURCES else ""
    other = _changed(data, name=kind, path=path, without="", held_out=0.0)
    _check_levels(name, other.reading, run.dataset.reading)
    loaded = in_memory(_test_part(other))
    return to_channels(loaded.images, channels), loaded.skipped


def to_channels(images: np.ndarray, channels: int) -> Images8:
    """Return images with 1 or 3 channels."""
    if images.dtype != np.uint8:
        raise InputError("points in the plane are no anomalies of images")
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    grey: np.ndarray = np.rint(images @ np.array(LUMA))[..., None].astype(np.uint8)
    return grey


def _noise(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return draw.integers(0, 256, shape, np.uint8)


GENERATED: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Images8]] = {
    "noise": _noise,
}
"""Anomalies that are drawn, `draw(random, shape)`; noise is uniform in every value."""
