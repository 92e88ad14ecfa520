"""Realisations on the disk: written as they are made, and never all in memory.

While images are made they are appended to a plain file. A second file says how many of
them are whole, with their checksum, so that a killed program continues there. Once all
are made they are copied into an `.npz` file, and the plain file is removed.
"""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Num

from gan_jax.data.memory import open_file
from gan_jax.report import files
from gan_jax.report.terminal import say

NAME = "realisations.npz"
_MEMBER = "realisations.npy"
_RAW, _STATE = "realisations.raw", "state.json"
_COPIED = 2**20  # bytes that are copied at once
_ENTRIES = 2**24  # of all realisations that are in memory at once


Read: TypeAlias = Callable[[int], bytes]
"""`read(size)`: the next bytes of images, fewer at the end."""


class State(NamedTuple):
    """What is known of the images of a set that have been made."""

    done: int = 0
    """Number of images."""
    crc32: int = 0
    """Checksum of their bytes."""
    tally: Mapping[str, Any] = MappingProxyType({})
    """What was counted while they were made."""
    line: dict[str, Any] | None = None
    """The set's line of `results.jsonl`, once all its files are written."""


class Store:
    """The realisations of one set, in a folder."""

    def __init__(
        self, folder: Path, identity: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ):
        """Read what has been made; nothing is written.

        Args:
            folder: Folder of the set.
            identity: A hash of all that the images depend on; others are forgotten.
            shape: Shape of an image.
            dtype: Type of its values.
        """
        self.folder, self._identity = folder, identity
        self.shape, self.dtype = shape, dtype
        self.state = self._read_state()

    @property
    def _bytes(self) -> int:
        """Return the bytes of an image."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def _read_state(self) -> State:
        try:
            written = files.read_json(self.folder / _STATE)
            identity = written.pop("identity")
            state = State(**written)
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, TypeError, KeyError) as error:
            say(f"{self.folder / _STATE} cannot be used ({error}): making all anew")
            return State()
        if identity != self._identity:
            say(f"{self.folder} is of another prior or other values: making all anew")
            return State()
        for path in (self.folder / NAME, self.folder / _RAW):
            if self._holds(path, state):
                return state
        say(f"{self.folder} has lost its realisations: making all anew")
        return State()

    def _holds(self, path: Path, state: State) -> bool:
        """Return whether a file begins with the images of a state."""
        crc32, left = 0, state.done * self._bytes
        try:
            with _reading(path) as read:
                for part in _parts(read, left):
                    crc32, left = zlib.crc32(part, crc32), left - len(part)
        except MemoryError:
            raise
        except Exception:  # whatever a missing or a damaged file leads to
            return False
        return not left and crc32 == state.crc32

    def complete(self, count: int) -> bool:
        """Return whether so many images, and all files of the set, are written."""
        state, path = self.state, self.folder / NAME
        complete = state.line is not None and state.done == count
        return complete and path.is_file() and self._holds(path, state)

    def begin(self) -> None:
        """Make the plain file hold exactly the images of the state.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        raw = self.folder / _RAW
        if self._holds(raw, self.state):
            with files.named(raw), raw.open("r+b") as file:
                file.truncate(self.state.done * self._bytes)
        else:
            with files.writing(raw) as file:
                if self.state.done:  # more images than before are asked for
                    with _reading(self.folder / NAME) as read:
                        file.writelines(_parts(read, self.state.done * self._bytes))
        self._write_state(self.state._replace(line=None))

    def append(
        self, images: Num[np.ndarray, "some ..."], tally: dict[str, Any]
    ) -> None:
        """Write further images.

        Raises:
            OSError: They cannot be written; those of before are whole.
        """
        content = np.ascontiguousarray(images, self.dtype).tobytes()
        raw = self.folder / _RAW
        with files.named(raw), raw.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        crc32 = zlib.crc32(content, self.state.crc32)
        self._write_state(State(self.state.done + len(images), crc32, tally))

    def _write_state(self, state: State) -> None:
        entry = {"identity": self._identity, **state._asdict()}
        files.write_json(self.folder / _STATE, entry | {"tally": dict(state.tally)})
        self.state = state

    def first(self, count: int) -> Num[np.ndarray, "some ..."]:
        """Return the first images, as many as there are."""
        count = min(count, self.state.done)
        raw = self.folder / _RAW
        with _reading(raw if raw.is_file() else self.folder / NAME) as read:
            content = b"".join(_parts(read, count * self._bytes))
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape)

    def blocks(
        self, entries: int = _ENTRIES
    ) -> Iterator[tuple[slice, Num[np.ndarray, "realisations some"]]]:
        """Yield the values of all realisations, some places of the image at a time.

        Args:
            entries: Number of values in a block, if an image has as many places.

        Yields:
            The places, of the flat image, and the values there.
        """
        places = int(np.prod(self.shape))
        step = max(1, entries // self.state.done)
        for start in range(0, places, step):
            at = slice(start, min(start + step, places))
            yield at, self.values(at)

    def values(self, at: slice) -> Num[np.ndarray, "realisations some"]:
        """Return the values of all realisations at some places of the flat image."""
        places, size = int(np.prod(self.shape)), self.dtype.itemsize
        values = np.empty((self.state.done, at.stop - at.start), self.dtype)
        with (self.folder / _RAW).open("rb") as file:
            for image, row in enumerate(values):
                file.seek((image * places + at.start) * size)
                file.readinto(row.data)
        return values

    def finish(self, line: dict[str, Any]) -> None:
        """Write the `.npz` file and the set's line; remove the plain file.

        Raises:
            OSError: The disk failed; the plain file is whole.
        """
        raw, path = self.folder / _RAW, self.folder / NAME
        # Levels and facies shrink to a fraction; other numbers hardly shrink.
        kind = zipfile.ZIP_DEFLATED if self.dtype == np.uint8 else zipfile.ZIP_STORED
        with (
            raw.open("rb") as source,
            files.writing(path) as file,
            zipfile.ZipFile(file, "w", kind, compresslevel=1) as archive,
            archive.open(_MEMBER, "w", force_zip64=True) as member,
        ):
            header = {
                "descr": np.lib.format.dtype_to_descr(self.dtype),
                "fortran_order": False,
                "shape": (self.state.done, *self.shape),
            }
            np.lib.format.write_array_header_1_0(member, header)
            for part in _parts(source.read, self.state.done * self._bytes):
                member.write(part)
        self._write_state(self.state._replace(line=line))
        raw.unlink()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Read]:
    """Open the images of a plain or of an `.npz` file."""
    with open_file(path) as file:
        if path.suffix != ".npz":
            yield file.read
            return
        with zipfile.ZipFile(file) as archive, archive.open(_MEMBER) as member:
            np.lib.format.read_magic(member)
            np.lib.format.read_array_header_1_0(member)
            yield member.read


def _parts(read: Read, size: int) -> Iterator[bytes]:
    """Yield so many bytes, or as many as there are, a part at a time."""
    while size and (part := read(min(_COPIED, size))):
        yield part
        size -= len(part)
