"""What every source of images gives, in memory or decoded when it is read.

Images are 8-bit, of one square size, with 1 or 3 channels as the data have them; those
in memory may be numbers instead, which no one scales (`mixtures`).
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, UInt8

from gan_jax.config.errors import InputError

_STRETCH = 256  # images that a thread reads at a time


class Skipped(NamedTuple):
    """An input that could not be used, and why, in one line."""

    path: str
    reason: str


class Example(NamedTuple):
    """One image, cropped and resized, with its label (-1 = none)."""

    image: (
        UInt8[np.ndarray, "height width channels"]
        | Float32[np.ndarray, "height width channels"]
    )
    label: int


@runtime_checkable
class Source(Protocol):
    """What the feed reads: images by index, all of one shape."""

    name: str
    """E.g. `digits`, `fashion_mnist`, the name of a folder."""
    shape: tuple[int, int, int]
    """Height, width, channels."""
    classes: tuple[str, ...]
    """Names of the classes, none where the images are not labelled."""
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> Example:
        """Read one image."""


class Dataset(NamedTuple):
    """A data set as its authors publish it."""

    train: Source
    test: Source | None
    """None where the set has no test part of its own."""


class ArraySource:
    """Images in memory: `images` as uint8 or float32, `labels` as int32 or None."""

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
        """Count the images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Example:
        """Read one image."""
        label = -1 if self.labels is None else int(self.labels[index])
        return Example(self.images[index], label)


class LazySource:
    """Images that are decoded when they are read: `read(indices)` gives some."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int],
        count: int,
        read: Callable[[Sequence[int]], list[Example]],
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
        """Count the images."""
        return len(self._positions)

    def __getitem__(self, index: int) -> Example:
        """Read one image.

        Raises:
            InputError: it can no longer be read.
        """
        return self.take([index])[0]

    def take(self, indices: Sequence[int]) -> list[Example]:
        """Read some images at once.

        Raises:
            InputError: one can no longer be read.
        """
        return self._read([self._positions[index] for index in indices])


def select(source: Source, indices: Int[np.ndarray, "count"]) -> Source:
    """Take a subset in the given order; what is in memory stays there."""
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


def take(source: Source, indices: Sequence[int]) -> list[Example]:
    """Read images together, which is faster than one by one where they are files."""
    if isinstance(source, LazySource):
        return source.take(indices)
    return [source[index] for index in indices]


def threads() -> ThreadPoolExecutor:
    """Start a pool to decode in: Pillow lets threads run side by side."""
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _stretches(source: Source) -> Iterator[list[Example]]:
    """Read all images in order, in threads, holding only a few stretches of them."""

    def read(start: int) -> list[Example]:
        return take(source, range(start, min(start + _STRETCH, len(source))))

    starts = range(0, len(source), _STRETCH)
    with threads() as pool:
        for first in range(0, len(starts), 16):
            yield from pool.map(read, starts[first : first + 16])


def in_memory(source: Source) -> ArraySource:
    """Read all of a source; one that is in memory is given back as it is.

    Raises:
        InputError: an image can no longer be read, or the memory does not suffice.
    """
    if isinstance(source, ArraySource):
        return source
    try:
        images = np.empty((len(source), *source.shape), np.uint8)
    except MemoryError:
        raise InputError(
            f"{source.name}: {len(source)} images of {source.shape} do not fit into "
            "memory: lower data.size"
        ) from None
    labels = np.empty(len(source), np.int32)
    index = 0
    for stretch in _stretches(source):
        for image, label in stretch:
            images[index], labels[index] = image, label
            index += 1
    known = labels if source.classes else None
    return ArraySource(source.name, images, known, source.classes, source.skipped)


def fingerprint(source: Source) -> str:
    """Hash the shape, images and labels of a source (SHA-256)."""
    digest = hashlib.sha256(repr((len(source), source.shape)).encode())
    for stretch in _stretches(source):
        for image, label in stretch:
            digest.update(np.ascontiguousarray(image).data)
            digest.update(str(label).encode())
    return digest.hexdigest()
