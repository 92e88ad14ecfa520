"""Files that are whole at any moment: a temporary name first, then a rename.

A reader, and a run that continues after `kill -9`, sees either the file as it was or
the new one, never a part of it. A killed writer may leave its temporary file behind
(`.<name>.<random>.tmp` beside the target); nothing ever reads it, and
`remove_temporaries` clears it away.
"""

import contextlib
import io
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Return an `OSError` without a file's name this one: a failing write has none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Puts `data` at `path` in one step; missing folders are made.

    Raises:
        OSError: the folder cannot be written, the disk is full, and the like. What
            was at `path` before is untouched then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same folder, because a rename is atomic only within one file system; a
    # random part, because two processes may write the same report.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with named(path), temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove_temporaries(folder: Path) -> None:
    """Removes what killed writers left in a folder and the folders in it.

    Nothing may be writing there meanwhile.

    Raises:
        OSError: the folder cannot be written.
    """
    for path in folder.rglob(".*.tmp"):
        if is_temporary(path.name):
            path.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file's name is of what a killed writer left."""
    return _TEMPORARY.fullmatch(name) is not None


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself survive a power failure, where the system can."""
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
    """Puts `text` at `path` as UTF-8, in one step.

    What UTF-8 cannot hold (halves of surrogate pairs, which file names of a broken
    encoding contain) is written as a backslash escape.

    Raises:
        OSError: as `write_bytes`.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Puts `value` at `path` as strict JSON, indented by 2, keys in the given order.

    Args:
        path: where.
        value: dicts, lists, tuples, strings, numbers, booleans and None; also arrays
            of no dimension and numpy's scalars, written as the numbers they are.

    Raises:
        ValueError: a number is NaN or infinite, which JSON has no word for; the
            message names its place.
        TypeError: a value of another kind.
        OSError: as `write_bytes`.
    """
    write_text(path, encode_json(value, indent=2) + "\n")


def encode_json(value: Any, indent: int | None = None) -> str:
    """The strict JSON text of `value`, on one line unless `indent` is given.

    Raises:
        ValueError: a number is NaN or infinite; the message names its place.
        TypeError: a value that JSON has no form for.
    """
    try:
        return json.dumps(
            value, indent=indent, allow_nan=False, ensure_ascii=False, default=_number
        )
    except ValueError as error:
        place = _nonfinite_place(value)
        if place is None:
            raise
        message = f"{place} is not finite: strict JSON has only null for it"
        raise ValueError(message) from error


def _number(value: Any) -> Any:
    """The plain number in a numpy scalar, or in any array of no dimension."""
    if isinstance(value, np.generic) or getattr(value, "ndim", None) == 0:
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _nonfinite_place(value: Any, place: str = "") -> str | None:
    """Where in a nested value the first NaN or infinity is, e.g. `metrics.fid`."""
    if isinstance(value, Mapping):
        parts = [(f"{place}.{key}" if place else str(key), value[key]) for key in value]
    elif isinstance(value, list | tuple):
        parts = [(f"{place}[{index}]", part) for index, part in enumerate(value)]
    elif isinstance(value, str | int | None):
        return None
    else:
        return None if math.isfinite(value) else place or "the value"
    places = (_nonfinite_place(part, name) for name, part in parts)
    return next((found for found in places if found is not None), None)


def write_image(
    path: str | os.PathLike[str], image: UInt8[np.ndarray, "height width channels"]
) -> None:
    """Puts an image at `path` as PNG, in one step.

    Args:
        path: where; the content is PNG whatever the suffix.
        image: 1 (grey), 3 (RGB) or 4 (RGBA) channels.

    Raises:
        ValueError: another number of channels.
        OSError: as `write_bytes`.
    """
    write_bytes(path, encode_png(image))


def encode_png(image: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """The image as the bytes of a PNG file, for a page or an event file.

    Raises:
        ValueError: the image has neither 1, 3 nor 4 channels, or no pixels.
    """
    from PIL import Image

    if image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise ValueError(f"no PNG holds an image of shape {image.shape}")
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
