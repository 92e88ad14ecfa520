"""Datasets in folders of image files."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, available_memory, size_of
from gan_jax.data.datasets.dataset import (
    ArraySource,
    Dataset,
    LabelledImage,
    LazySource,
    Skipped,
    Source,
    threads,
)
from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    Image8,
    crop_and_resize,
    decode,
    image_suffixes,
    with_channels,
)

MEMORY_LIMIT = 2 * 2**30
"""Size in bytes up to which the prepared images of a folder are kept in memory."""

_CHUNK = 100  # images that are prepared before one is released, at most
_CHUNK_BYTES = 2**28  # and what they take

_TEST_NAMES = ("test", "validation", "valid", "val")


class _Checked(NamedTuple):
    """The usable files of one part, and the skipped ones."""

    files: list[Path]
    """Files that can be decoded."""
    images: list[Image8]
    """Prepared images of the files; empty if they exceed the memory limit."""
    colour: bool
    """Whether any image is in colour."""
    skipped: tuple[Skipped, ...]
    """Files that cannot be used."""


def read_folder(
    path: str,
    size: int | Size,
    crop: int = 0,
    pixel_limit: int = PIXEL_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """Read a dataset of image files in a folder and its sub-folders.

    Parts: if the folder holds `train` and `test` (or `validation`, `valid` or `val`,
    the first one found), these are the official parts and all else is ignored. A single
    sub-folder that contains all images is entered first. Classes: the sub-folders of a
    part are the classes, if there are at least two and every image is in one. Images
    are grey if all files are grey, else RGB.

    Links to folders are followed once. Hidden files and files with other suffixes are
    ignored. Every file is decoded once at the start, in threads; files that cannot be
    used are listed in `skipped`.

    Args:
        path: Path of the folder.
        size: Size to which images are resized; a number is that of squares.
        crop: Longer side of the centre that is kept; 0 keeps the largest centre.
        pixel_limit: Largest number of pixels of an image; larger ones are skipped.
        memory_limit: Size in bytes up to which prepared images are kept in memory, at
            most a quarter of what there is. Above it files are decoded again whenever
            they are read.

    Raises:
        InputError: If the folder does not exist or holds no usable image.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(f"image folder {path!r} does not exist: check its spelling")
    parts = _parts(root, list(image_files(root)))
    kept = min(memory_limit, available_memory() // 4) // len(parts)
    wanted = size_of(size)
    checked = [
        _check(files, wanted, crop, pixel_limit, kept) for files in parts.values()
    ]
    for place, part in zip(parts, checked, strict=True):
        if not part.files:
            raise InputError(_nothing(place, part.skipped))
    channels = 3 if any(part.colour for part in checked) else 1
    groups = [
        [_group(place, file) for file in part.files]
        for place, part in zip(parts, checked, strict=True)
    ]
    names = {name for part in groups for name in part}
    classes = tuple(sorted(names)) if len(names) > 1 and "" not in names else ()
    number = {name: label for label, name in enumerate(classes)}

    def read(file: Path) -> Image8:
        return with_channels(
            crop_and_resize(decode(file, pixel_limit), wanted, crop), channels
        )

    sources = [
        _source(
            root.resolve().name,
            (*wanted, channels),
            part,
            np.array([number.get(name, -1) for name in group], np.int32),
            classes,
            read,
        )
        for part, group in zip(checked, groups, strict=True)
    ]
    return Dataset(sources[0], sources[1] if len(sources) > 1 else None)


def official_parts(root: Path) -> list[Path]:
    """Return the folders of a folder's official parts, if they lie directly in it.

    Links are left out: what they lead to may lie elsewhere in the folder.
    """

    def holds_images(folder: Path) -> bool:
        known = folder.is_dir() and not folder.is_symlink()
        return known and next(image_files(folder), None) is not None

    train, *tests = (root / name for name in ("train", *_TEST_NAMES))
    test = next(filter(holds_images, tests), None)
    return [train, test] if test is not None and holds_images(train) else []


def list_images(folder: str) -> list[Path]:
    """Return the image files of a folder (`images` of a config) and its sub-folders.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(
            f"--config.images {folder!r} is not a folder: check its spelling"
        )
    files = list(image_files(root))
    if not files:
        raise InputError(
            f"--config.images {folder} holds no image files: give another folder"
        )
    return files


def image_files(place: Path) -> Iterator[Path]:
    """Yield the files with the suffix of an image format, in a fixed order.

    Raises:
        InputError: If a folder cannot be read, or is too deep.
    """
    try:
        yield from _image_files(place)
    except RecursionError:  # of `os.walk`, up to Python 3.11
        raise InputError(
            f"folder {place} has too many folders within each other: move its images up"
        ) from None


def _image_files(place: Path) -> Iterator[Path]:
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
            if not name.startswith(".") and Path(name).suffix.lower() in known:
                yield Path(parent) / name


def _parts(root: Path, files: list[Path]) -> dict[Path, list[Path]]:
    """Return the files of each official part by its folder, the training part first."""
    if not files:
        return {root: []}
    base = Path(os.path.commonpath([file.parent for file in files]))
    top = {_group(base, file) for file in files}
    test = next((name for name in _TEST_NAMES if name in top), None)
    if "train" not in top or test is None:
        return {base: files}
    return {
        base / name: [file for file in files if _group(base, file) == name]
        for name in ("train", test)
    }


def _group(place: Path, file: Path) -> str:
    """Return the name of the sub-folder of a place that holds a file, or ""."""
    return file.relative_to(place).parts[0] if file.parent != place else ""


def _check(
    candidates: list[Path], size: Size, crop: int, pixel_limit: int, memory_limit: int
) -> _Checked:
    length = max(1, min(_CHUNK, _CHUNK_BYTES // (3 * size.pixels)))

    def attempt(file: Path) -> Image8 | str:
        try:
            return crop_and_resize(decode(file, pixel_limit), size, crop)
        except BrokenImageError as error:
            return str(error)

    files: list[Path] = []
    images: list[Image8] = []
    skipped: list[Skipped] = []
    colour, fits = False, True
    with threads() as pool:
        # In chunks, so that images that are not kept are released before the next.
        for first in range(0, len(candidates), length):
            chunk = candidates[first : first + length]
            for file, result in zip(chunk, pool.map(attempt, chunk), strict=True):
                if isinstance(result, str):
                    skipped.append(Skipped(str(file), result))
                    continue
                files.append(file)
                images.append(result)
                colour = colour or result.shape[-1] == 3
            usable = len(candidates) - len(skipped)  # as far as is known
            fits = fits and usable * size.pixels * (3 if colour else 1) <= memory_limit
            if not fits:
                images.clear()
    return _Checked(files, images, colour, tuple(skipped))


def _source(
    name: str,
    shape: tuple[int, int, int],
    part: _Checked,
    labels: Int32[np.ndarray, "count"],
    classes: tuple[str, ...],
    read: Callable[[Path], Image8],
) -> Source:
    if part.images:
        images = np.empty((len(part.images), *shape), np.uint8)
        for index in range(len(images)):
            images[index] = part.images[index]  # broadcasting turns grey into RGB
            part.images[index] = images[index]  # releases the first copy
        known = labels if classes else None
        return ArraySource(name, images, known, classes, part.skipped)

    def example(index: int) -> LabelledImage:
        file = part.files[index]
        try:
            return LabelledImage(read(file), int(labels[index]))
        except BrokenImageError as error:
            raise InputError(
                f"{file} can no longer be read ({error}): restore the file"
            ) from None

    def examples(indices: Sequence[int]) -> list[LabelledImage]:
        return [example(index) for index in indices]

    return LazySource(name, shape, len(part.files), examples, classes, part.skipped)


def _nothing(root: Path, skipped: tuple[Skipped, ...]) -> str:
    if not skipped:
        return f"{root} holds no image files: give a folder of images"
    reasons = "; ".join(f"{Path(name).name}: {why}" for name, why in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"{root} holds no usable image ({reasons}{more}): replace the files"
