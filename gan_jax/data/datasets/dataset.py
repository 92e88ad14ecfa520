"""Sources of images, in memory or decoded on reading, and datasets of their parts.

Images have 8-bit levels, one size, and 1 or 3 channels. Those in memory may be
floats instead, which are never scaled (the points of `mixtures`).
"""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.reading import Reading, Shape
from gan_jax.data.files.contents import Content
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.units import LEVELS, Units
from gan_jax.data.memory import check_fits

_CHUNK = 256  # images that a thread reads at a time, at most
_CHUNK_BYTES = 2**24  # and what they take


class Skipped(NamedTuple):
    """An input that could not be used, with the reason in one line."""

    path: str
    reason: str


class LabelledImage(NamedTuple):
    """One image, cropped and resized, with its label (-1 = none)."""

    image: (
        UInt8[np.ndarray, "height width channels"]
        | Float32[np.ndarray, "height width channels"]
    )
    label: int


@runtime_checkable
class Source(Protocol):
    """Images by index, all of one shape."""

    name: str
    """Name of the dataset or folder, e.g. `digits` or `fashion_mnist`."""
    shape: tuple[int, int, int]
    """Height, width and channels of each image."""
    classes: tuple[str, ...]
    """Names of the classes; empty if the images are not labelled."""
    skipped: tuple[Skipped, ...]
    """Inputs that could not be used."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> LabelledImage:
        """Read one image."""


class Dataset(NamedTuple):
    """A dataset with its official parts."""

    train: Source
    """Official training part."""
    test: Source | None
    """Official test part; None if there is none."""
    units: Units = LEVELS
    """The units that levels 0 to 255 stand for, as -1 to 1 do."""
    geometry: Geometry | None = None
    """The grid of a training image; None for other images."""
    variable: str = ""
    """Name of the variable of a training image; empty where it has none."""
    proportions: tuple[float, ...] = ()
    """Share of each facies of a training image, in the order of codes."""
    reading: Reading = Reading()
    """What was read, for the user."""
    contents: Mapping[str, Content] = {}
    """Contents of the files that were read, by path; empty for data made here."""

    @property
    def parts(self) -> tuple[Source, ...]:
        """The parts that there are."""
        return (self.train,) if self.test is None else (self.train, self.test)

    def each(self, change: Callable[[Source], Source]) -> "Dataset":
        """Return the dataset with changed parts."""
        return self._replace(
            train=change(self.train), test=self.test and change(self.test)
        )


class ArraySource:
    """A source of images in memory: `images` in uint8 or float32, `labels` in int32."""

    def __init__(
        self,
        name: str,
        images: (
            UInt8[np.ndarray, "count height width channels"]
            | Float32[np.ndarray, "count height width channels"]
        ),
        labels: Int[np.ndarray, "count"] | None = None,
        classes: tuple[str, ...] = (),
        skipped: tuple[Skipped, ...] = (),
    ):
        self.name = name
        self.images = images
        self.labels = None if labels is None else labels.astype(np.int32)
        self.classes = classes
        self.skipped = skipped
        _, height, width, channels = images.shape
        self.shape = (height, width, channels)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> LabelledImage:
        """Read one image."""
        label = -1 if self.labels is None else int(self.labels[index])
        return LabelledImage(self.images[index], label)


def described(dataset: Dataset) -> Dataset:
    """Return a dataset whose reading states its images and classes.

    Where the reader has not counted them as stored, they are counted as they are read.
    Classes of images that are decoded on reading are not counted.
    """
    reading = dataset.reading
    if not reading.shapes:
        shapes: Counter[Shape] = Counter()
        for part in dataset.parts:
            shapes[part.shape] += len(part)
        reading = reading._replace(shapes=shapes)
    if not reading.classes:
        names = ("train", "test") if dataset.test is not None else ("",)
        counts = {
            name: _class_counts(part)
            for name, part in zip(names, dataset.parts, strict=True)
        }
        if all(counts.values()):
            reading = reading._replace(classes=counts)
    return dataset._replace(reading=reading)


def _class_counts(source: Source) -> dict[str, int]:
    if not isinstance(source, ArraySource) or source.labels is None:
        return {}
    labels, counts = np.unique(source.labels, return_counts=True)
    return {
        source.classes[label] if label >= 0 else "none": int(count)
        for label, count in zip(labels, counts, strict=True)
    }


class LazySource:
    """A source of images that are decoded on reading, by `read(indices)`."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int],
        count: int,
        read: Callable[[Sequence[int]], list[LabelledImage]],
        classes: tuple[str, ...] = (),
        skipped: tuple[Skipped, ...] = (),
    ):
        self.name = name
        self.shape = shape
        self.classes = classes
        self.skipped = skipped
        self._positions = range(count)
        self._read = read

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._positions)

    def __getitem__(self, index: int) -> LabelledImage:
        """Read one image; errors are those of `take`."""
        return self.take([index])[0]

    def take(self, indices: Sequence[int]) -> list[LabelledImage]:
        """Read several images at once.

        Raises:
            InputError: If an image can no longer be read.
        """
        return self._read([self._positions[index] for index in indices])


def select(source: Source, indices: Int[np.ndarray, "count"]) -> Source:
    """Return a source of some images in the given order, in memory if the source is."""
    if isinstance(source, ArraySource):
        labels = None if source.labels is None else source.labels[indices]
        return ArraySource(
            source.name, source.images[indices], labels, source.classes, source.skipped
        )
    return LazySource(
        source.name,
        source.shape,
        len(indices),
        lambda chosen: take(source, indices[chosen].tolist()),
        source.classes,
        source.skipped,
    )


def take(source: Source, indices: Sequence[int]) -> list[LabelledImage]:
    """Read several images at once, which is faster for images in files."""
    if isinstance(source, LazySource):
        return source.take(indices)
    return [source[index] for index in indices]


def threads() -> ThreadPoolExecutor:
    """Return a pool of threads for decoding, which Pillow does in parallel."""
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _chunks(source: Source) -> Iterator[list[LabelledImage]]:
    """Read all images in order, in threads, with a few chunks in memory at a time."""
    size = max(1, min(_CHUNK, _CHUNK_BYTES // math.prod(source.shape)))

    def read(start: int) -> list[LabelledImage]:
        return take(source, range(start, min(start + size, len(source))))

    starts = range(0, len(source), size)
    with threads() as pool:
        for first in range(0, len(starts), 16):
            yield from pool.map(read, starts[first : first + 16])


def in_memory(source: Source) -> ArraySource:
    """Read all images of a source; a source in memory is returned as it is.

    Raises:
        InputError: If an image can no longer be read, or memory does not suffice.
    """
    if isinstance(source, ArraySource):
        return source
    check_fits(
        f"{source.name}: {len(source)} images of {source.shape}",
        len(source) * math.prod(source.shape),
        "lower --config.data.size",
    )
    try:
        images = np.empty((len(source), *source.shape), np.uint8)
    except MemoryError:
        raise InputError(
            f"{source.name}: {len(source)} images of {source.shape} do not fit into "
            "memory: lower --config.data.size"
        ) from None
    labels = np.empty(len(source), np.int32)
    index = 0
    for chunk in _chunks(source):
        for image, label in chunk:
            images[index], labels[index] = image, label
            index += 1
    known = labels if source.classes else None
    return ArraySource(source.name, images, known, source.classes, source.skipped)


def read_labels(source: Source) -> Int32[np.ndarray, "count"]:
    """Return the labels of all images (-1 = none), keeping no image.

    Raises:
        InputError: If an image can no longer be read.
    """
    if isinstance(source, ArraySource) and source.labels is not None:
        return source.labels
    labels = (label for chunk in _chunks(source) for _, label in chunk)
    return np.fromiter(labels, np.int32, len(source))


def join(first: Source, second: Source) -> Source:
    """Return the images of two sources, in memory if both are.

    The classes are those of the first.
    """
    skipped = (*first.skipped, *second.skipped)
    if isinstance(first, ArraySource) and isinstance(second, ArraySource):
        labels = None
        if first.labels is not None and second.labels is not None:
            labels = np.concatenate([first.labels, second.labels])
        images = np.concatenate([first.images, second.images])
        return ArraySource(first.name, images, labels, first.classes, skipped)
    edge = len(first)

    def read(indices: Sequence[int]) -> list[LabelledImage]:
        early = iter(take(first, [index for index in indices if index < edge]))
        late = iter(take(second, [index - edge for index in indices if index >= edge]))
        return [next(early if index < edge else late) for index in indices]

    return LazySource(
        first.name, first.shape, edge + len(second), read, first.classes, skipped
    )


def fingerprint(source: Source) -> str:
    """Return the SHA-256 hash of a source's shape, images and labels."""
    digest = hashlib.sha256(repr((len(source), source.shape)).encode())
    for chunk in _chunks(source):
        for image, label in chunk:
            digest.update(np.ascontiguousarray(image).data)
            digest.update(str(label).encode())
    return digest.hexdigest()
