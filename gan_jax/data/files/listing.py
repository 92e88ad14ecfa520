"""The files of a folder: images that are read, and what is left out and why."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gan_jax.config.errors import InputError
from gan_jax.data.files.pillow import image_suffixes

NOT_READ, HIDDEN, UNREADABLE = "not read", "hidden", "unreadable"
"""Reasons why files are left out."""

_SHOWN = 12  # names that a line lists

_CONVERT = "convert it to PNG or TIFF"
_ADVICE: Mapping[str, str] = {
    **dict.fromkeys(
        (".heic", ".heif", ".hif"),
        "HEIC is not read: convert it to JPEG or PNG, or pip install pillow-heif",
    ),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".raw"),
        f"raw files of cameras are not read: {_CONVERT}",
    ),
    **dict.fromkeys(
        (".dcm", ".nii", ".czi", ".lif", ".nd2", ".svs", ".exr", ".hdr", ".jxl"),
        f"this format is not read: {_CONVERT}",
    ),
    **dict.fromkeys((".svg", ".pdf", ".eps"), f"drawings are not read: {_CONVERT}"),
    **dict.fromkeys(
        (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"),
        "archives are not read: unpack it",
    ),
    "": "files without a suffix are not read: name them after their format, as in .png",
}
"""What to do with files that look like images and are not read, by suffix."""

LeftOut = Mapping[str, Mapping[str, int]]
"""Numbers of files that were left out, by reason and suffix."""


class Listing(NamedTuple):
    """The files of a folder and its sub-folders."""

    images: list[Path]
    """Files with the suffix of an image format, in a fixed order."""
    left: LeftOut
    """The other files, and the hidden ones."""


def list_folder(place: Path) -> Listing:
    """Return the files of a folder and its sub-folders, images and others.

    Raises:
        InputError: If a folder cannot be read, or is too deep.
    """
    by_reason: dict[str, list[Path]] = {"": [], NOT_READ: [], HIDDEN: []}
    for file, reason in _files(place):
        by_reason[reason].append(file)
    images, *others = by_reason.values()
    left: dict[str, Mapping[str, int]] = {}
    for reason, files in zip((NOT_READ, HIDDEN), others, strict=True):
        left |= count_left(files, reason)
    return Listing(images, left)


def list_users_images(folder: str) -> Listing:
    """Return the files of a folder of the user's images (`images` of a config).

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        what = "is not a folder" if os.path.lexists(root) else "is no such folder"
        raise InputError(f"--config.images {folder!r} {what}: check its spelling")
    listing = list_folder(root)
    if not listing.images:
        raise InputError(nothing_read(f"--config.images {folder}", listing.left))
    return listing


def image_files(place: Path) -> Iterator[Path]:
    """Yield the files with the suffix of an image format, in a fixed order.

    Raises:
        InputError: If a folder cannot be read, or is too deep.
    """
    return (file for file, reason in _files(place) if not reason)


def _files(place: Path) -> Iterator[tuple[Path, str]]:
    """Yield all files in a fixed order, each with the reason why it is left out."""
    try:
        yield from _walk(place)
    except RecursionError:  # of `os.walk`, up to Python 3.11
        raise InputError(
            f"folder {place} has too many folders within each other: move its images up"
        ) from None


def _walk(place: Path) -> Iterator[tuple[Path, str]]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"folder {error.filename} cannot be read ({error.strerror}): change its "
            "permissions or move it away"
        )

    known = image_suffixes()
    visited: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(place, onerror=refuse, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link that leads back
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent) / name
            if name.startswith("."):
                yield file, HIDDEN
            else:
                yield file, "" if file.suffix.lower() in known else NOT_READ


def count_left(files: Iterable[Path], reason: str) -> dict[str, dict[str, int]]:
    """Return the number of files of each suffix that were left out for a reason.

    What looks like images comes first.
    """
    spelled: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for file in files:
        counts[spelled.setdefault(file.suffix.lower(), file.suffix)] += 1
    ordered = sorted(
        counts.items(), key=lambda each: (each[0].lower() not in _ADVICE, -each[1])
    )
    return {reason: dict(ordered)} if counts else {}


def left_line(left: LeftOut) -> str:
    """Return which files were left out, e.g. `left 3 .HEIC, 1 .DNG: not read`."""
    groups = [f"{_counted(counts)}: {reason}" for reason, counts in left.items()]
    return f"left {'; '.join(groups)}"


def looks_like_images(left: LeftOut) -> bool:
    """Return whether files that were left out look like images."""
    return any(each.lower() in _ADVICE for each in left.get(NOT_READ, {}))


def nothing_read(what: str, left: LeftOut) -> str:
    """Return the message for a place that holds no image that is read.

    Args:
        what: The place.
        left: The files that were left out.
    """
    unread = left.get(NOT_READ, {})
    advice = [_ADVICE[each.lower()] for each in unread if each.lower() in _ADVICE]
    if not advice:
        beside = f" ({left_line(left)})" if left else ""
        return f"{what} holds no image files{beside}: give another folder"
    return f"{what} holds {_counted(unread)}: {'; '.join(dict.fromkeys(advice))}"


def shortened(names: Sequence[str]) -> str:
    """Return names in one line, of many the first ones and the number of the others."""
    others = len(names) - _SHOWN
    more = f" and {others} others" if others > 0 else ""
    return ", ".join(names[:_SHOWN]) + more


def _counted(counts: Mapping[str, int]) -> str:
    return shortened(
        [f"{count:,} {name or 'without a suffix'}" for name, count in counts.items()]
    )
