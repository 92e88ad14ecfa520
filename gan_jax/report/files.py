"""Files written atomically: to a temporary name first, then renamed.

A reader, and a run that continues after `kill -9`, sees either the old file or the new
one, never a part. A killed writer may leave its temporary file behind
(`.gan_jax-<random>.tmp` beside the target). Nothing reads it, and `remove_temporaries`
deletes it.
"""

import contextlib
import errno
import io
import json
import math
import os
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import printable_lines
from gan_jax.data.memory import read_regular

_LARGEST = 2**24  # bytes of a file of JSON
_SMALL = 2**22  # pixels of a PNG that is compressed as well as possible
# Short, so that a name of 255 bytes, the most that file systems take, can be written.
_TEMPORARY = re.compile(r"\.gan_jax-[0-9a-f]{8}\.tmp")
_TEMPORARY_BEFORE = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")
"""Temporary files of earlier versions, with the name of their target."""

_NO_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})  # on this disk
_OF_ONE_FOLDER = _NO_NAME | {errno.EEXIST, errno.ENOTDIR}  # a file lies in its place
_OF_ONE_NAME = _NO_NAME | {
    *(errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EBUSY),  # it is taken
    *(errno.EACCES, errno.EPERM),  # a file of another user or that is immutable
}


class UnwritableError(OSError):
    """A file cannot be written under its name, while others in its folder can."""


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Add a file name to an `OSError` that has none, as those of failing writes."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically; missing folders are created.

    Raises:
        UnwritableError: If only the name of `path` is in the way.
        OSError: If the folder cannot be written, the disk is full, and the like. The
            file at `path` is untouched in both cases.
    """
    with writing(Path(path)) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[io.BufferedRandom]:
    """Open a file that gets its name `path` once its content is whole.

    Errors are those of `write_bytes`; after any error the file at `path` is untouched.
    """
    # The same folder, because a rename is atomic only within one file system; a
    # random part, because two processes may write the same report.
    temporary = path.with_name(f".gan_jax-{secrets.token_hex(4)}.tmp")
    with named(path), _writable(path, _OF_ONE_FOLDER):
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = temporary.open("x+b")
    try:
        with named(path), opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _writable(path, _OF_ONE_NAME):
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def _writable(path: Path, of_name: Set[int]) -> Iterator[None]:
    """Make an `OSError` of some numbers an `UnwritableError` of a path."""
    try:
        yield
    except OSError as error:
        if error.errno not in of_name:
            raise
        raise UnwritableError(error.errno, error.strerror, str(path)) from error


def remove_temporaries(folder: Path, writes: Callable[[str], bool]) -> None:
    """Remove the temporary files that killed writers left in a folder.

    Sub-folders are left alone. No other writer may be at work there; `writes` is that
    of `is_temporary`.
    """
    for path in folder.glob(".*.tmp"):
        if is_temporary(path.name, writes) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def is_temporary(name: str, writes: Callable[[str], bool]) -> bool:
    """Return whether a name is one of a temporary file.

    Those of earlier versions contain the name of the target, which `writes` has to be
    true of.
    """
    before = _TEMPORARY_BEFORE.fullmatch(name)
    return bool(_TEMPORARY.fullmatch(name) or (before and writes(before[1])))


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, so that nothing is written over it.

    Returns:
        The new path, in the same folder.
    """
    return path.rename(path.with_suffix(f".unreadable-{time.time_ns()}"))


def short_name(text: str) -> str:
    """Return text as a name that has room for a suffix of some 50 bytes.

    Too long ones are cut, and end in a hash of the whole.
    """
    content = os.fsencode(text)
    if len(content) <= 200:
        return text
    return f"{text[:40]}-{zlib.crc32(content):08x}"


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power failure, if the system supports it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it; the file itself is written
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, as `write_bytes` does.

    Halves of surrogate pairs, which UTF-8 cannot encode and file names of a broken
    encoding contain, are written as backslash escapes.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` to `path` as strict JSON, indented by 2, keys in the given order.

    Raises:
        ValueError: If a number is NaN or infinite; the message names its place.
        TypeError: If JSON has no form for a value.
        OSError: As `write_bytes`.
    """
    write_text(path, encode_json(value, indent=2) + "\n")


def encode_json(value: Any, indent: int | None = None) -> str:
    """Return `value` as strict JSON text, on one line unless `indent` is given.

    Scalars of numpy, and arrays without dimensions, are written as numbers. Errors are
    those of `write_json`.
    """
    try:
        text = json.dumps(
            value, indent=indent, allow_nan=False, ensure_ascii=False, default=_number
        )
        return printable_lines(text)  # its escapes are JSON's: readers see no change
    except ValueError as error:
        place = _nonfinite_place(value)
        if place is None:
            raise
        message = f"{place} is not finite: strict JSON has only null for it"
        raise ValueError(message) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file of strict JSON, as `decode_json` does.

    Raises:
        OSError: If the file is missing or cannot be read.
        ValueError: If it holds anything else, more than 16 MiB, or is no regular file.
    """
    return decode_json(read_regular(path, _LARGEST))


def decode_json(text: str | bytes) -> dict[str, Any]:
    """Return the object in strict JSON text, or in its UTF-8 bytes.

    Raises:
        ValueError: If it is no JSON, or JSON but no object. Names that occur twice,
            NaN, infinities, integers beyond 64 bits and deep nesting are refused too.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")  # editors of Windows write a mark first
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return names


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not JSON")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= 2**63:
        raise ValueError("an integer has more than 64 bits")
    return number


def _number(value: Any) -> Any:
    """Return the Python number in a numpy scalar or an array without dimensions."""
    if isinstance(value, np.generic) or getattr(value, "ndim", None) == 0:
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _nonfinite_place(value: Any, place: str = "") -> str | None:
    """Return the place of the first NaN or infinity, e.g. `metrics.fid`."""
    if isinstance(value, Mapping):
        parts = [(f"{place}.{key}" if place else str(key), value[key]) for key in value]
    elif isinstance(value, list | tuple):
        parts = [(f"{place}[{index}]", part) for index, part in enumerate(value)]
    elif isinstance(value, str | int | None):
        return None
    else:
        return None if math.isfinite(value) else place or "the value"
    places = (_nonfinite_place(part, name) for name, part in parts)
    return next((path for path in places if path is not None), None)


def encode_png(image: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """Return an image of 1 (grey), 3 (RGB) or 4 (RGBA) channels as a PNG file.

    Images of more than 4 megapixels are compressed less: in a twelfth of the time, to
    files that are a fifth larger.

    Raises:
        ValueError: If the image has another number of channels, or no pixels.
    """
    from PIL import Image

    if image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise ValueError(f"no PNG holds an image of shape {image.shape}")
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    small = image.shape[0] * image.shape[1] <= _SMALL
    effort: dict[str, Any] = {"optimize": True} if small else {"compress_level": 1}
    picture.save(buffer, format="png", **effort)
    return buffer.getvalue()
