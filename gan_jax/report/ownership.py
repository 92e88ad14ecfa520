"""What of a workdir belongs to its run: the names that runs write, and their pictures.

A name of the tables is the run's, since a workdir in which one is taken is refused.
Below `images` and `samples` users may put files of their own: pictures are signed, and
nothing else is written over.
"""

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.memory import read_regular
from gan_jax.report import files

FILES = frozenset(
    {
        *("config.json", "data.json", "metrics.jsonl", "report.html"),
        "results.jsonl",
        *("summary.json", "gan.json", "teacher.msgpack"),
    }
)
"""Files that a run of any program writes into its workdir."""

FOLDERS = frozenset(
    {
        *("checkpoints", "epochs", "history", "prior", "tensorboard", "unreadable"),
        *("samples", "images", "realisations", "results", "searches"),
        *("acceptance", "snapshots", "detector", "gan", "runs"),
    }
)
"""Folders that a run of any program writes into its workdir."""

NAMES = FILES | FOLDERS
_OF_PICTURES = frozenset({"images", "samples"})  # where a user's own files may lie

SIGNED = ".gan_jax"
"""File in a workdir that says whether all pictures of its run are signed. Earlier
versions have signed nothing: what was among the pictures of their workdirs when this
one continued them counts as the run's."""
_ALL_SIGNED = "All pictures of this run are signed.\n"
_NOT_SIGNED = "Pictures of this run may lack a signature.\n"

_SUFFIXES = frozenset({".png", ".svg", ".npz", ".parquet"})


def taken(workdir: Path) -> str | None:
    """Return the first name in a folder that a run would write; None if all are free.

    A `config.json` is not looked for: it tells whose the folder is.
    """
    names = sorted(NAMES - {"config.json"})
    return next((name for name in names if os.path.lexists(workdir / name)), None)


def misplaced(workdir: Path) -> str | None:
    """Return what is at a run's name and is not of its kind, in words, if anything."""
    for name in sorted(NAMES):
        path = workdir / name
        if path.is_symlink():
            return f"{name} is a link"
        kind = _kind(path)
        if kind and kind != ("folder" if name in FOLDERS else "file"):
            return f"{name} is a {kind}"
    return None


def _kind(path: Path) -> str:
    """Return what is at a path, in a word; "" for nothing."""
    if not path.exists():
        return ""
    if path.is_dir():
        return "folder"
    return "file" if path.is_file() else "pipe or device"


def sign(workdir: Path) -> None:
    """Note in a workdir without a note whether all pictures of its run are signed.

    They are unless there are some and none is signed. A copy may have lost the note.

    Raises:
        OSError: If it cannot be written.
    """
    if os.path.lexists(workdir / SIGNED):
        return
    pictures = list(_pictures(workdir))
    earlier = pictures and not any(map(is_signed, pictures))
    files.write_text(workdir / SIGNED, _NOT_SIGNED if earlier else _ALL_SIGNED)


def _pictures(workdir: Path) -> Iterator[Path]:
    """Yield the files among the pictures of a run."""
    for folder in _folders(workdir, _OF_PICTURES):
        if not folder.is_symlink():
            yield from (path for path in folder.iterdir() if path.is_file())


def check_links(workdir: Path) -> None:
    """Raise if there is a link in a folder of a workdir that is the run's alone.

    Raises:
        InputError: Names the link.
    """
    for folder in _folders(workdir, FOLDERS - _OF_PICTURES):
        if folder.is_symlink():
            raise InputError(
                f"{folder} is a link, and the run would write elsewhere: put a folder "
                "in its place"
            )


def remove_temporaries(workdir: Path) -> None:
    """Remove the temporary files that a killed run left in its workdir.

    Workdirs of other runs inside it are left alone.
    """
    files.remove_temporaries(workdir, FILES.__contains__)
    for folder in _folders(workdir, FOLDERS):
        files.remove_temporaries(folder, _is_written)


def _is_written(name: str) -> bool:
    """Return whether runs write such a name into one of their folders."""
    return name in FILES or Path(name).suffix in _SUFFIXES


def _folders(workdir: Path, names: Set[str]) -> Iterator[Path]:
    """Yield some folders of a run, those in them, and links, which are not entered."""
    for name in sorted(names):
        for parent, folders, _ in os.walk(workdir / name):
            yield Path(parent)
            below = [Path(parent, folder) for folder in folders]
            yield from (folder for folder in below if folder.is_symlink())
            folders[:] = [
                folder.name for folder in below if not (folder / "config.json").exists()
            ]


def write_image(
    workdir: Path, path: Path, image: UInt8[np.ndarray, "height width channels"]
) -> None:
    """Write an image of a run as PNG; otherwise as `write_picture`.

    Raises:
        ValueError: As `files.encode_png`.
    """
    write_picture(workdir, path, files.encode_png(image))


def write_picture(workdir: Path, path: Path, picture: bytes) -> None:
    """Write a PNG or SVG file of a run, signed, and over nothing that no run wrote.

    Raises:
        UnwritableError: If something else is at `path`, or the name cannot be written.
        OSError: As `files.write_bytes`.
    """
    folders = [workdir / name for name in path.relative_to(workdir).parents[:-1]]
    if any(map(os.path.islink, folders)):
        reason = "its folder is a link"
    elif os.path.lexists(path) and not _is_own(workdir, path):
        reason = "something that no run wrote is there"
    else:
        files.write_bytes(path, signed(picture))
        return
    raise files.UnwritableError(errno.EEXIST, reason, str(path))


def unwritten(workdir: Path, error: files.UnwritableError) -> str:
    """Return the reason why an image has no picture in a workdir."""
    place = Path(error.filename).relative_to(workdir)
    return f"its output {place} cannot be written: {error.strerror}"


def _is_own(workdir: Path, path: Path) -> bool:
    """Return whether a run wrote the picture at a path."""
    if path.is_symlink() or not path.is_file():
        return False
    return is_signed(path) or _note(workdir) == _NOT_SIGNED


def _note(workdir: Path) -> str:
    """Return what a workdir says of its pictures; "" where it says nothing."""
    with contextlib.suppress(OSError, ValueError):
        return read_regular(workdir / SIGNED, len(_NOT_SIGNED)).decode()
    return ""


_PNG_HEADER = 33  # bytes of the signature and of the first chunk


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    length, checksum = len(content), zlib.crc32(kind + content)
    return length.to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")


_PNG_SIGNATURE = _chunk(b"tEXt", b"Software\0gan_jax")
_SVG_SIGNATURE = b"<!-- gan_jax -->\n"


def signed(picture: bytes) -> bytes:
    """Return a PNG or SVG file with the name of this package in it."""
    if picture.startswith(b"\x89PNG"):
        return picture[:_PNG_HEADER] + _PNG_SIGNATURE + picture[_PNG_HEADER:]
    return picture + _SVG_SIGNATURE


def is_signed(path: Path) -> bool:
    """Return whether a file is one that `signed` returned, and can be read."""
    try:
        with path.open("rb") as file:
            if file.read(_PNG_HEADER + len(_PNG_SIGNATURE)).endswith(_PNG_SIGNATURE):
                return True
            length = len(_SVG_SIGNATURE)
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            return file.read(length) == _SVG_SIGNATURE
    except PermissionError:
        return False
