"""Parts of a data set by class, where images are labelled."""

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import (
    ArraySource,
    Dataset,
    Source,
    in_memory,
    select,
)


def of_classes(source: Source, names: str, inside: bool = True) -> Source:
    """Take the images of some classes, or all others.

    Args:
        source: the images; they are read into memory.
        names: of the classes, or their numbers, joined by commas.
        inside: whether these are wanted, or the rest.

    Raises:
        InputError: the images are not labelled, or have no such class.
    """
    numbers = [_number(source, name) for name in names.split(",") if name]
    if not numbers:
        raise InputError(f"'{names}' names no class of {source.name}")
    loaded = in_memory(source)
    assert loaded.labels is not None  # it has classes
    chosen = np.isin(loaded.labels, numbers) == inside
    return select(loaded, np.flatnonzero(chosen))


def _number(source: Source, name: str) -> int:
    if not source.classes:
        raise InputError(
            f"{source.name} has no labels to tell class '{name}' by: leave it empty, "
            "or choose labelled data"
        )
    if name in source.classes:
        return source.classes.index(name)
    # Of classes that are called by numbers another number is none of them.
    named = any(one.isdecimal() for one in source.classes)
    if not named and name.isdecimal() and int(name) < len(source.classes):
        return int(name)
    raise InputError(
        f"{source.name} has no class '{name}'; known: {', '.join(source.classes)}"
    )


def together(dataset: Dataset) -> Dataset:
    """Make one part of a set's training and test images, and none of its own test."""
    train, test = dataset
    if test is None:
        return dataset
    first, second = in_memory(train), in_memory(test)
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    images = np.concatenate([first.images, second.images])
    skipped = (*first.skipped, *second.skipped)
    return Dataset(
        ArraySource(first.name, images, labels, first.classes, skipped), None
    )
