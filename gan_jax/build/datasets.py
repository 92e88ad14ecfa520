"""Where a name in a config becomes a dataset, and a feed of it."""

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from gan_jax.build.tasks import task
from gan_jax.config.errors import InputError
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
from gan_jax.data.datasets.dataset import Dataset
from gan_jax.data.splits import Part

SOURCES: Mapping[str, Callable[[ConfigDict], Dataset]] = {
    "digits": lambda data: embedded.digits(data.size),
    "photos": lambda data: embedded.photos(data.size),
    "training_image": lambda data: training_images.read_crops(data.path, data.size),
    "folder": lambda data: folders.read_folder(data.path, data.size, data.crop),
    "arrays": lambda data: arrays.read_arrays(data.path, data.size, data.crop),
    "tfds": lambda data: tfds.read_tfds(
        data.name, data.path, data.size, data.crop, data.download
    ),
    **{
        name: lambda data: mixtures.mixture_dataset(mixtures.MIXTURES[data.name])
        for name in mixtures.MIXTURES
    },
}
"""By kind; a name that is none of these is a TFDS set's."""


FEEDS: Mapping[str, Callable[..., feed.Feed]] = {
    "resident": feed.resident,
    "streamed": feed.streamed,
}


def source(data: ConfigDict) -> Dataset:
    """Open the data that a config names; a path is read as what it is.

    Raises:
        InputError: there is no such data, or no such class of it.
    """
    dataset = _published(data)
    if data.held_out:
        dataset = classes.merge_parts(dataset)
    if not data.without:
        return dataset
    train, test = dataset
    return Dataset(
        classes.select_classes(train, data.without, inside=False),
        test and classes.select_classes(test, data.without, inside=False),
    )


def parts(config: ConfigDict) -> dict[str, Part]:
    """Open the data of a training run and split it as the run does."""
    return partition_of(config, source(config.data))


def partition_of(config: ConfigDict, dataset: Dataset) -> dict[str, Part]:
    """Split the data of a training run, once they are open."""
    share = {"test_share": config.data.held_out} if config.data.held_out else {}
    return splits.partition(dataset, config.seed, task(config).roles, **share)


def _published(data: ConfigDict) -> Dataset:
    """Open a whole set with its official parts."""
    if data.path:
        kind = formats.recognise(data.path)
        if kind == "tfds" and data.name in SOURCES:
            raise InputError(
                f"data.path {data.path} is a TFDS directory: name one of its sets with "
                "--config.data.name"
            )
        return SOURCES[kind](data)
    if data.name in ("folder", "arrays"):
        raise InputError(f"data.name {data.name} needs --config.data.path")
    return SOURCES.get(data.name, SOURCES["tfds"])(data)
