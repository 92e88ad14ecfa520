"""Datasets, parts and feeds from a config: explicit tables."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ml_collections import ConfigDict

from gan_jax.build.tasks import task
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data import feed, splits
from gan_jax.data.datasets import (
    arrays,
    classes,
    embedded,
    folders,
    formats,
    mixtures,
    tfds,
    training_images,
)
from gan_jax.data.datasets.dataset import Dataset, described
from gan_jax.data.datasets.prepared_sets import prepared_sets
from gan_jax.data.files.levels import given_range
from gan_jax.data.splits import Part

SOURCES: Mapping[str, Callable[[ConfigDict], Dataset]] = {
    "digits": lambda data: embedded.digits(size_of(data.size)),
    "photos": lambda data: embedded.photos(size_of(data.size)),
    "channels": lambda data: training_images.embedded_crops(size_of(data.size)),
    "training_image": lambda data: training_images.read_crops(
        data.path, size_of(data.size), choices=_choices(data)
    ),
    "folder": lambda data: folders.read_folder(
        data.path, size_of(data.size), data.crop, levels=data.levels
    ),
    "arrays": lambda data: arrays.read_arrays(
        data.path, size_of(data.size), data.crop, data.levels
    ),
    "tfds": lambda data: tfds.read_tfds(
        data.name,
        data.path,
        size_of(data.size),
        data.crop,
        data.download,
        data.levels,
    ),
    **{
        name: lambda data: mixtures.mixture_dataset(mixtures.MIXTURES[data.name])
        for name in mixtures.MIXTURES
    },
}
"""By name; any other name is a dataset of TFDS."""


_EMBEDDED: Mapping[str, tuple[int, int]] = {
    "digits": (1797, 1),
    "photos": (2400, 3),
    "channels": (10_000, 1),
    "training_image": (10_000, 1),
    **dict.fromkeys(mixtures.MIXTURES, (60_000, 2)),
}
"""Images and channels of the data that are made here, at any size."""

FEEDS: Mapping[str, Callable[..., feed.Feed]] = {
    "resident": feed.resident,
    "streamed": feed.streamed,
}


def source(data: ConfigDict) -> Dataset:
    """Open the dataset of `data` of a config; a path is read by what it holds.

    Raises:
        InputError: There is no such dataset, no such class in it, or `data.levels` is
            no choice.
    """
    given_range(data.levels)
    dataset = described(_published(data))
    if data.held_out:
        dataset = classes.merge_parts(dataset)
    if not data.without:
        return dataset
    return classes.leave_out(dataset, data.without)


def foreseen(data: ConfigDict) -> tuple[int, int]:
    """Return the number of images and their channels, before the data are opened.

    They are (0, 3) for data in files, of which the files tell more.

    Raises:
        InputError: There are no data at the path.
    """
    kind = _kind(data) if data.path else data.name
    return _EMBEDDED.get(kind, (0, 3))


def is_own(data: ConfigDict) -> bool:
    """Return whether the data are a user's folder of images, or arrays.

    Raises:
        InputError: There are no data at the path.
    """
    return bool(data.path) and _kind(data) in ("folder", "arrays")


def place(name: str, path: str) -> str:
    """Return where the images of `data.name` and `data.path` lie; "" if in no file.

    In the default directory of TFDS it is the folder of the set.
    """
    if path or not name or name in SOURCES:
        return path
    return str(tfds.data_directory() / name.partition("/")[0])


def read_of(path: Path) -> list[Path]:
    """Return the files and folders that are read of a path of images (`data.path`).

    Of a folder they are its sets of TFDS, its array files, or its official parts; what
    lies beside these is not read.
    """
    if not path.is_dir():
        return [path]
    sets = [prepared.place for prepared in prepared_sets(path)]
    files = list(arrays.array_files(path).values())
    return sets or files or folders.official_parts(path) or [path]


def parts(config: ConfigDict) -> dict[str, Part]:
    """Open the dataset of a training config and split it as the run does."""
    return partition_of(config, source(config.data))


def partition_of(config: ConfigDict, dataset: Dataset) -> dict[str, Part]:
    """Split an open dataset as the run of a config does."""
    share = {"test_share": config.data.held_out} if config.data.held_out else {}
    return splits.partition(dataset, config.seed, task(config).roles, **share)


def _kind(data: ConfigDict) -> str:
    """Return what the path holds; arrays are a training image where that is said."""
    grid = data.name == "training_image" or bool(data.layer or data.variable)
    return formats.recognise(data.path, grid)


def _choices(data: ConfigDict) -> training_images.Choices:
    return training_images.Choices(
        data.variable, data.no_data, data.scale, data.layer, data.grid
    )


def _published(data: ConfigDict) -> Dataset:
    """Open a whole dataset with its official parts."""
    if data.path:
        kind = _kind(data)
        if kind == "tfds" and data.name in SOURCES:
            raise InputError(
                f"data.path {data.path} is a TFDS directory: name one of its sets with "
                "--config.data.name"
            )
        return SOURCES[kind](data)
    if data.name in ("folder", "arrays", "training_image"):
        raise InputError(f"data.name {data.name} needs --config.data.path")
    return SOURCES.get(data.name, SOURCES["tfds"])(data)
