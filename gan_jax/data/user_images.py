"""The user's own images, decoded a few at a time."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8

from gan_jax.data.datasets.dataset import Skipped, threads
from gan_jax.data.decode import BrokenImageError, decode, read_file

Image8 = UInt8[np.ndarray, "_ _ _"]
"""`[height, width, channels]`; each image has its own shape."""

Prepared = TypeVar("Prepared")
Read = Callable[[Path], bytes]
"""Returns the content of a file, or raises `BrokenImageError`."""


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
        chunk_size: Number of files in a chunk.
        read: Function that returns the content of a file.
    """
    names: set[str] = set()

    def attempt(file: Path) -> tuple[Prepared, str] | BrokenImageError:
        try:
            data = read(file)
            return preprocess(file, decode(data)), hashlib.sha256(data).hexdigest()
        except BrokenImageError as error:
            return error

    with threads() as pool:
        for first in range(0, len(files), chunk_size):
            paths = files[first : first + chunk_size]
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


def same_name(file: Path) -> Skipped:
    """Return the report of a file whose stem another image has."""
    return Skipped(str(file), "another image has the same name")
