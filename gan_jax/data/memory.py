"""What is read into memory: regular files, arrays that fit, pixels a few at a time."""

import contextlib
import io
import math
import stat
import threading
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.config.limits import available_memory

Stream = io.BufferedReader | io.BytesIO
"""A file that is open for reading, or its content."""

FILE_LIMIT = 2**30
"""Largest size in bytes of a file that is read as a whole."""


class UnreadableFileError(Exception):
    """A file that cannot be read.

    The message is the reason in one line, without the file's name, which callers add.
    """


def open_file(file: Path, limit: int | None = None) -> io.BufferedReader:
    """Open a regular file for reading.

    Folders, devices, pipes, sockets and most files below /proc are refused: reading
    them may wait or go on forever.

    Args:
        file: Path of the file.
        limit: Largest size of the file in bytes; None = no limit.

    Raises:
        UnreadableFileError: If there is no such file, or it is empty, too large, not a
            regular file, or may not be read.
    """
    try:
        if not _size(file, limit):
            raise UnreadableFileError("the file is empty")
        return file.open("rb")
    except FileNotFoundError:
        raise UnreadableFileError("the file does not exist") from None
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
    except ValueError as error:  # also for a name that no file can have
        raise UnreadableFileError(str(error)) from None


def open_data(data: bytes | Path, limit: int | None = None) -> Stream:
    """Open what a file holds, or a regular file by its path, as `open_file` does."""
    if isinstance(data, Path):
        return open_file(data, limit)
    if not data:
        raise UnreadableFileError("the file is empty")
    return io.BytesIO(data)


def read_file(file: Path, limit: int = FILE_LIMIT) -> bytes:
    """Return the content of a regular file; errors are those of `open_file`."""
    with open_file(file, limit) as stream:
        try:
            return stream.read()
        except OSError as error:
            raise UnreadableFileError(error.strerror or str(error)) from None


def read_regular(file: Path, limit: int) -> bytes:
    """Return the content of a regular file that a run has written.

    Nothing is read of a file whose size is 0, as of most files below /proc.

    Args:
        file: Path of the file.
        limit: Largest size of the file in bytes.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        ValueError: If it is too large, or no regular file.
    """
    try:
        size = _size(file, limit)
    except ValueError as error:
        raise ValueError(f"{file.name}: {error}") from None
    with file.open("rb") as stream:
        return stream.read(size)


def _size(file: Path, limit: int | None) -> int:
    """Return the size of a regular file in bytes.

    Errors are those of `read_regular`, without the file's name.
    """
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait forever
        raise ValueError("not a file")
    if limit is not None and status.st_size > limit:
        raise ValueError(f"the file is over the limit of {limit} bytes")
    return status.st_size


def check_fits(
    what: str, needed: int, remedy: str, available: int | None = None
) -> None:
    """Refuse what does not fit into memory, before it is read.

    Args:
        what: What is read, for the message.
        needed: Its size in bytes.
        remedy: What the user can do.
        available: Number of bytes that it may take; None = `available_memory()`.

    Raises:
        InputError: If more bytes are needed than a run may take.
    """
    if available is None:
        available = available_memory()
    if needed > available:
        raise InputError(
            f"{what} needs {needed / 2**30:,.1f} GiB of memory, and "
            f"{available / 2**30:,.1f} GiB are available: {remedy}"
        )


def check_arrays(
    what: str,
    stream: Stream,
    names: Collection[str],
    remedy: str,
    held: int = 0,
    available: int | None = None,
) -> None:
    """Refuse an .npy or .npz file by the sizes that its headers declare.

    Args:
        what: Name of the file, for the message.
        stream: The file; it is back at its start afterwards.
        names: Arrays of an .npz file that are read.
        remedy: What the user can do.
        held: Bytes of what was read before, and stays in memory.
        available: As `check_fits` takes it.

    Raises:
        InputError: If the arrays do not fit into memory.
        Exception: If the file is broken.
    """
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            needed = 0
            for member in archive.infolist():
                if member.filename.removesuffix(".npy") in names:
                    with archive.open(member) as array:
                        needed += max(member.file_size, _declared_size(array))
    else:
        stream.seek(0)
        needed = _declared_size(stream)
    stream.seek(0)
    check_fits(what, held + needed, remedy, available)


def _declared_size(stream: io.BufferedIOBase | IO[bytes]) -> int:
    """Return the size in bytes that the header of an .npy file declares."""
    npy = np.lib.format
    read_header = (
        npy.read_array_header_1_0
        if npy.read_magic(stream) == (1, 0)
        else npy.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    return math.prod(shape) * dtype.itemsize


class PixelBudget:
    """A semaphore that counts pixels: threads work on so many of them at once.

    A thread that holds pixels does not wait for more, so no two threads wait for each
    other. One that asks for more than there are gets all of them, and works alone.
    """

    def __init__(self, pixels: int):
        """Share out a number of pixels."""
        self._most = self._free = pixels
        self._turn = threading.Lock()
        self._returned = threading.Condition()
        self._thread = threading.local()

    @contextlib.contextmanager
    def holding(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels are free, and hold them for a while."""
        if getattr(self._thread, "holds", False):
            yield
            return
        share = min(pixels, self._most)
        # One waits at a time, so that small images do not overtake a large one forever.
        with self._turn, self._returned:
            self._returned.wait_for(lambda: share <= self._free)
            self._free -= share
        self._thread.holds = True
        try:
            yield
        finally:
            self._thread.holds = False
            with self._returned:
                self._free += share
                self._returned.notify()
