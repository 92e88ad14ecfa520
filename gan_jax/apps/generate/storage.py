"""Realisations on the disk: written as they are made, and never all in memory.

While images are made they are appended to a plain file. A second file says how many of
them are whole, with their checksum, so that a killed program continues there. Once all
are made they are copied into an `.npz` file, and the plain file is removed.
"""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Num

from gan_jax.apps.generate.agreement import Stages, as_json, from_json
from gan_jax.data.memory import open_file
from gan_jax.report import files
from gan_jax.report.terminal import say

NAME = "realisations.npz"
_MEMBER = "realisations.npy"
_RAW, _STATE = "realisations.raw", "state.json"
_COPIED = 2**20  # bytes that are copied at once
ENTRIES = 2**23
"""Values of all realisations of a set that are in memory at once, for statistics."""


Read: TypeAlias = Callable[[int], bytes]
"""`read(size)`: the next bytes of images, fewer at the end."""


class State(NamedTuple):
    """What is known of the images of a set that have been made."""

    done: int = 0
    """Number of images."""
    crc32: int = 0
    """Checksum of their bytes."""
    stages: Stages = MappingProxyType({})
    """How far they agree with the known values."""
    line: dict[str, Any] | None = None
    """The set's line of `results.jsonl`, once all its files are written."""
    files: tuple[str, ...] = ()
    """Paths of these files in the folder."""

    def as_json(self) -> dict[str, Any]:
        """Return an entry of JSON, which `_state` reads."""
        return {
            **self._asdict(),
            "stages": as_json(self.stages),
            "files": [*self.files],
        }


def _state(entry: Any) -> State:
    """Return the state of an entry of JSON.

    Raises:
        ValueError: It is not such an entry.
    """
    if not isinstance(entry, dict) or {*entry} != {*State._fields}:
        raise ValueError("it is not what a run writes")
    kinds = {"done": int, "crc32": int, "stages": dict, "files": list}
    for name, kind in kinds.items():
        if type(entry[name]) is not kind:
            raise ValueError(f"{name} is {str(entry[name])[:40]!r}")
    line, paths = entry["line"], entry["files"]
    if entry["done"] < 0 or not all(isinstance(path, str) for path in paths):
        raise ValueError("done is below 0, or files are not paths")
    if line is not None and not isinstance(line, dict):
        raise ValueError(f"line is {str(line)[:40]!r}")
    stages = from_json(entry["stages"])
    return State(entry["done"], entry["crc32"], stages, line, tuple(paths))


class Store:
    """The realisations of one set, in a folder."""

    def __init__(
        self, folder: Path, identity: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ):
        """Read what has been made, but no image; nothing is written.

        Args:
            folder: Folder of the set.
            identity: A hash of all that the images depend on.
            shape: Shape of an image.
            dtype: Type of its values.
        """
        self.folder, self._identity = folder, identity
        self.shape, self.dtype = shape, dtype
        self.others = 0
        """Number of images of another identity that the folder holds."""
        self._forgotten = ""  # why images of before cannot be used
        self.state = self._read_state()

    @property
    def _bytes(self) -> int:
        """Return the bytes of an image."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def _read_state(self) -> State:
        path = self.folder / _STATE
        try:
            written = files.read_json(path)
            if {*written} != {"identity", "crc32", "state"}:
                raise ValueError("it is not what a run writes")
            if written["crc32"] != _checksum(written["state"]):
                raise ValueError("its checksum differs")
            state = _state(written["state"])
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            self._forgotten = f"{path} cannot be used ({error})"
            return State()
        if written["identity"] != self._identity:
            self.others = state.done
            return State()
        return state

    def complete(self, count: int) -> bool:
        """Return whether so many images, and all files of the set, are written."""
        state = self.state
        if state.line is None or state.done != count:
            return False
        if not all((self.folder / path).is_file() for path in state.files):
            return False
        return self._copied(self.folder / NAME, lambda part: None)

    def begin(self) -> None:
        """Make the plain file hold exactly the images of the state.

        If they are lost, the state is that before the first image. It is written.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        raw, packed = self.folder / _RAW, self.folder / NAME
        if raw.is_file() and self._copied(raw, lambda part: None):
            with files.named(raw), raw.open("r+b") as file:
                file.truncate(self.state.done * self._bytes)
        else:
            with files.writing(raw) as file:
                if not self._copied(packed, file.write):
                    self._forgotten = f"{self.folder} has lost its realisations"
                    self.state = State()
                    file.truncate(0)
        if self._forgotten:
            say(f"{self._forgotten}: making all anew")
            self._forgotten = ""
        self._write_state(self.state._replace(line=None, files=()))

    def _copied(self, path: Path, write: Callable[[bytes], object]) -> bool:
        """Write the images of the state to a file; return whether another has them.

        Args:
            path: The file that is read, plain or `.npz`.
            write: Writes to the other one.

        Raises:
            OSError: They cannot be written.
        """
        crc32, left = 0, self.state.done * self._bytes
        if not left:
            return True
        with contextlib.ExitStack() as stack:
            try:
                parts = _parts(stack.enter_context(_reading(path)), left)
            except MemoryError:
                raise
            except Exception:  # whatever a missing or a damaged file leads to
                return False
            while left:
                try:
                    part = next(parts, b"")
                except MemoryError:
                    raise
                except Exception:  # as above
                    return False
                if not part:
                    return False
                write(part)
                crc32, left = zlib.crc32(part, crc32), left - len(part)
        return crc32 == self.state.crc32

    def append(self, images: Num[np.ndarray, "some ..."], stages: Stages) -> None:
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
        self._write_state(State(self.state.done + len(images), crc32, stages))

    def _write_state(self, state: State) -> None:
        entry = state.as_json()
        written = {"identity": self._identity, "crc32": _checksum(entry)}
        files.write_json(self.folder / _STATE, {**written, "state": entry})
        self.state = state

    def first(self, count: int) -> Num[np.ndarray, "some ..."]:
        """Return the first images, as many as there are."""
        count = min(count, self.state.done)
        raw = self.folder / _RAW
        with _reading(raw if raw.is_file() else self.folder / NAME) as read:
            content = b"".join(_parts(read, count * self._bytes))
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape)

    def blocks(
        self, entries: int = ENTRIES
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

    def values(
        self, at: slice, count: int | None = None
    ) -> Num[np.ndarray, "realisations some"]:
        """Return the values of realisations at some places of the flat image.

        Args:
            at: The places.
            count: Number of realisations, from the first one on; None = all.
        """
        places, size = int(np.prod(self.shape)), self.dtype.itemsize
        done = self.state.done if count is None else min(count, self.state.done)
        values = np.empty((done, at.stop - at.start), self.dtype)
        # A buffer would read far more than a row, and anew for each.
        with (self.folder / _RAW).open("rb", buffering=0) as file:
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
        written = tuple(
            path.relative_to(self.folder).as_posix()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
            and path.name not in (_RAW, _STATE)
            and not path.name.startswith(".")  # of a killed program
        )
        self._write_state(self.state._replace(line=line, files=written))
        self.discard()

    def discard(self) -> None:
        """Remove the plain file of a complete set, if a killed program has left it.

        Raises:
            OSError: It cannot be removed.
        """
        (self.folder / _RAW).unlink(missing_ok=True)


def _checksum(entry: Any) -> int:
    """Return a checksum of an entry of JSON."""
    return zlib.crc32(files.encode_json(entry).encode())


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
