"""Selection of images by class, and the union of a dataset's parts."""

import math

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import (
    Dataset,
    Source,
    in_memory,
    join,
    read_labels,
    select,
)

_READ_ONCE = 2**28  # bytes of images above which labels are read first, without them


def select_classes(source: Source, names: str, inside: bool = True) -> Source:
    """Return the images of some classes, or, unless `inside`, of all other classes.

    Args:
        source: Labelled images; they are read into memory unless they are many.
        names: Names or numbers of the classes, joined by commas.
        inside: Whether to return the images of these classes.

    Raises:
        InputError: If the images are not labelled, or there is no such class.
    """
    numbers = [_number(source, name) for name in names.split(",") if name]
    if not numbers:
        raise InputError(f"'{names}' names no class of {source.name}")
    if len(source) * math.prod(source.shape) <= _READ_ONCE:
        source = in_memory(source)
    chosen = np.isin(read_labels(source), numbers) == inside
    return select(source, np.flatnonzero(chosen))


def _number(source: Source, name: str) -> int:
    if not source.classes:
        raise InputError(
            f"{source.name} has no labels, so class '{name}' cannot be selected: leave "
            "the class empty, or choose labelled data"
        )
    if name in source.classes:
        return source.classes.index(name)
    # Where names are numbers, another number is an unknown name, not an index.
    named = any(name_of_class.isdecimal() for name_of_class in source.classes)
    if not named and name.isdecimal() and int(name) < len(source.classes):
        return int(name)
    raise InputError(
        f"{source.name} has no class '{name}'; known: {', '.join(source.classes)}"
    )


def leave_out(dataset: Dataset, names: str) -> Dataset:
    """Return a dataset without some classes, which its reading names in a note.

    Args:
        dataset: Labelled images.
        names: As `select_classes` takes them.

    Raises:
        InputError: As `select_classes`.
    """
    classes = dataset.train.classes
    gone = {_number(dataset.train, name) for name in names.split(",") if name}
    left = {name for label, name in enumerate(classes) if label in gone}
    rest = dataset.each(lambda part: select_classes(part, names, inside=False))
    return rest._replace(reading=dataset.reading.without(left))


def merge_parts(dataset: Dataset) -> Dataset:
    """Return a dataset whose training part holds the training and the test images."""
    if dataset.test is None:
        return dataset
    return dataset._replace(train=join(*dataset.parts), test=None)
