"""The user's own images, decoded a few at a time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from gan_jax.data.datasets.dataset import Skipped, threads
from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    count_pixels,
    decode,
    open_image,
    read_content,
)
from gan_jax.data.memory import Stream

Image8 = UInt8[np.ndarray, "_ _ _"]
"""`[height, width, channels]`; each image has its own shape."""

Prepared = TypeVar("Prepared")
Open = Callable[[Path], Stream]
"""Opens a file for reading, or raises `BrokenImageError`."""


class DecodedFiles(NamedTuple, Generic[Prepared]):
    """A chunk of the files: the prepared images, and the files that were skipped."""

    files: list[Path]
    images: list[Prepared]
    digests: list[str]
    """SHA-256 of each file that was decoded."""
    skipped: list[Skipped]


def decode_files(
    files: Sequence[Path],
    preprocess: Callable[[Path, Image8], Prepared],
    chunk_size: int,
    open_file: Open = open_image,
) -> Iterator[DecodedFiles[Prepared]]:
    """Yield files decoded in threads, a chunk at a time.

    A chunk ends before the file with which its images would have more than
    `PIXEL_LIMIT` pixels.

    Files that cannot be used are skipped with the reason. Files whose stem was already
    seen are skipped, since outputs are named after their inputs.

    Args:
        files: The files.
        preprocess: Function of a file and its image; it may raise `BrokenImageError`.
        chunk_size: Largest number of files in a chunk.
        open_file: Function that opens a file.
    """
    names: set[str] = set()

    def measure(file: Path) -> int:
        try:
            with open_file(file) as stream:
                return count_pixels(stream)
        except BrokenImageError:
            return 0  # `attempt` gives the reason

    def attempt(file: Path) -> tuple[Prepared, str] | BrokenImageError:
        try:
            with open_file(file) as stream:
                data = read_content(stream)
            return preprocess(file, decode(data)), hashlib.sha256(data).hexdigest()
        except BrokenImageError as error:
            return error

    with threads() as pool:
        for first in range(0, len(files), chunk_size):
            some = files[first : first + chunk_size]
            for paths in _groups(some, pool.map(measure, some)):
                chunk: DecodedFiles[Prepared] = DecodedFiles([], [], [], [])
                for file, result in zip(paths, pool.map(attempt, paths), strict=True):
                    if isinstance(result, BrokenImageError):
                        chunk.skipped.append(Skipped(str(file), str(result)))
                    elif file.stem in names:
                        chunk.skipped.append(same_name(file))
                    else:
                        names.add(file.stem)
                        chunk.files.append(file)
                        image, digest = result
                        chunk.images.append(image)
                        chunk.digests.append(digest)
                yield chunk


def _groups(files: Sequence[Path], pixels: Iterable[int]) -> Iterator[list[Path]]:
    """Yield the files in groups of at most `PIXEL_LIMIT` pixels, or of one file."""
    group: list[Path] = []
    total = 0
    for file, count in zip(files, pixels, strict=True):
        if group and total + count > PIXEL_LIMIT:
            yield group
            group, total = [], 0
        group.append(file)
        total += count
    yield group


def same_name(file: Path) -> Skipped:
    """Return the report of a file whose stem another image has."""
    return Skipped(str(file), "another image has the same name")
