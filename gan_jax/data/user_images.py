"""The user's own images, decoded a few at a time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import UInt8

from gan_jax.data.datasets.dataset import Skipped, threads
from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    LargeImageError,
    decode,
    read_file,
)

Image8 = UInt8[np.ndarray, "_ _ _"]
"""`[height, width, channels]`; each image has its own shape."""

Prepared = TypeVar("Prepared")
Read = Callable[[Path], bytes]
"""Returns the content of a file, or raises `BrokenImageError`."""

Attempt: TypeAlias = tuple[Prepared, str] | BrokenImageError
"""A prepared image and the SHA-256 of its file, or why there is none."""


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
    read: Read = read_file,
) -> Iterator[DecodedFiles[Prepared]]:
    """Yield files decoded in threads, a chunk at a time.

    Files that cannot be used are skipped with the reason. Files whose stem was already
    seen are skipped, since outputs are named after their inputs.

    Args:
        files: The files.
        preprocess: Function of a file and its image; it may raise `BrokenImageError`.
        chunk_size: Number of files in a chunk. It has fewer where images are large:
            chunks end before the large ones have more than `PIXEL_LIMIT` pixels.
        read: Function that returns the content of a file.
    """
    names: set[str] = set()

    def attempt(file: Path, pixel_limit: int = PIXEL_LIMIT) -> Attempt[Prepared]:
        try:
            data = read(file)
            prepared = preprocess(file, decode(data, pixel_limit))
            return prepared, hashlib.sha256(data).hexdigest()
        except BrokenImageError as error:
            return error

    def attempt_small(file: Path) -> Attempt[Prepared]:
        # However many there are of them, they have no more pixels together.
        return attempt(file, PIXEL_LIMIT // chunk_size)

    def finish(first: tuple[Path, Attempt[Prepared]]) -> Attempt[Prepared]:
        file, result = first
        return attempt(file) if isinstance(result, LargeImageError) else result

    with threads() as pool:
        for first in range(0, len(files), chunk_size):
            paths = files[first : first + chunk_size]
            attempts = zip(paths, pool.map(attempt_small, paths), strict=True)
            for group in _groups(attempts):
                chunk: DecodedFiles[Prepared] = DecodedFiles([], [], [], [])
                results = pool.map(finish, group)
                for (file, _), result in zip(group, results, strict=True):
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


def _groups(
    attempts: Iterable[tuple[Path, Attempt[Prepared]]],
) -> Iterator[list[tuple[Path, Attempt[Prepared]]]]:
    """Yield the attempts in groups whose large images may be decoded together."""
    group: list[tuple[Path, Attempt[Prepared]]] = []
    total = 0
    for file, result in attempts:
        pixels = result.pixels if isinstance(result, LargeImageError) else 0
        if group and total + pixels > PIXEL_LIMIT:
            yield group
            group, total = [], 0
        group.append((file, result))
        total += pixels
    yield group


def same_name(file: Path) -> Skipped:
    """Return the report of a file whose stem another image has."""
    return Skipped(str(file), "another image has the same name")
