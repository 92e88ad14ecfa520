"""Datasets in folders of image files."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
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
from gan_jax.data.datasets.reading import Reading, Shape, is_colourless
from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    Image8,
    crop_and_resize,
    decode,
    decode_stored,
    with_channels,
)
from gan_jax.data.files.contents import Content, content_of
from gan_jax.data.files.levels import AUTO, Scaling, Stored, choose, given_range, in_use
from gan_jax.data.files.listing import (
    UNREADABLE,
    LeftOut,
    count_left,
    image_files,
    list_folder,
    nothing_read,
)
from gan_jax.data.memory import UnreadableFileError

MEMORY_LIMIT = 2 * 2**30
"""Size in bytes up to which the prepared images of a folder are kept in memory."""

_CHUNK = 100  # images that are prepared before one is released, at most
_CHUNK_BYTES = 2**28  # and what they take

_TEST_NAMES = ("test", "validation", "valid", "val")


class _File(NamedTuple):
    """A usable file of a part, and what it stores."""

    path: Path
    shape: Shape
    stored: Stored
    pages: int
    colourless: bool
    content: Content


class _Checked(NamedTuple):
    """The usable files of one part, and the skipped ones."""

    files: list[_File]
    """Files that can be decoded."""
    images: list[Image8]
    """Prepared images of the files; empty if they exceed the memory limit."""
    skipped: list[Skipped]
    """Files that cannot be used."""

    @property
    def colour(self) -> bool:
        """Whether any image is in colour."""
        return any(file.shape[-1] == 3 for file in self.files)


def read_folder(
    path: str,
    size: int | Size,
    crop: int = 0,
    pixel_limit: int = PIXEL_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
    levels: str = AUTO,
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
        levels: How levels become 8 bits, as `levels.choose` takes it.

    Raises:
        InputError: If the folder does not exist or holds no usable image.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(f"image folder {path!r} does not exist: check its spelling")
    listing = list_folder(root)
    parts = _parts(root, listing.images)
    kept = min(memory_limit, available_memory() // 4) // len(parts)
    wanted, given = size_of(size), Scaling(given_range(levels))

    def prepare(path: Path) -> tuple[_File, Image8]:
        whole, stored, pages = decode_stored(path, pixel_limit, given)
        image = crop_and_resize(whole, wanted, crop)
        height, width, channels = whole.shape
        shape = (height, width, channels)
        grey, content = is_colourless(image), content_of(path)
        return _File(path, shape, stored, pages, grey, content), image

    checked = [_check(files, prepare, wanted, kept) for files in parts.values()]
    for place, part in zip(parts, checked, strict=True):
        if not part.files:
            raise InputError(_nothing(place, part.skipped, listing.left))
    found = in_use(file.stored for part in checked for file in part.files)
    scaling = choose(levels, found)
    channels = 3 if any(part.colour for part in checked) else 1

    def read(file: Path) -> Image8:
        try:
            image = crop_and_resize(decode(file, pixel_limit, scaling), wanted, crop)
            return with_channels(image, channels)
        except BrokenImageError as error:
            raise InputError(
                f"{file} can no longer be read ({error}): restore the file"
            ) from None

    for part in checked:
        _stretch(part, scaling.by_kind, read)
    used = [file for part in checked for file in part.files]
    groups = [
        [_group(place, file.path) for file in part.files]
        for place, part in zip(parts, checked, strict=True)
    ]
    names = {name for part in groups for name in part}
    classes = tuple(sorted(names)) if len(names) > 1 and "" not in names else ()
    number = {name: label for label, name in enumerate(classes)}
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
    skipped = [Path(name) for part in checked for name, _ in part.skipped]
    reading = Reading(
        shapes=Counter(file.shape for file in used),
        classes=_classes_by_part(groups) if classes else {},
        left={**listing.left, **count_left(skipped, UNREADABLE)},
        pages=sum(file.pages - 1 for file in used),
        colourless=sum(file.colourless for file in used),
        levels=found,
        scaling=scaling,
    )
    contents = {file.path.relative_to(root).as_posix(): file.content for file in used}
    test = sources[1] if len(sources) > 1 else None
    return Dataset(sources[0], test, reading=reading, contents=contents)


def _classes_by_part(groups: Sequence[Sequence[str]]) -> dict[str, dict[str, int]]:
    """Return the number of images of each class in each part."""
    parts = ("train", "test") if len(groups) > 1 else ("",)
    return {
        part: dict(sorted(Counter(group).items()))
        for part, group in zip(parts, groups, strict=True)
    }


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


class Place(NamedTuple):
    """Where an image file lies in a folder that `read_folder` reads."""

    part: str
    """Name of its official part, e.g. `test`; empty where there are no parts."""
    folder: Path
    """Folder of its part, in which those of the classes lie."""
    kind: str
    """Name of its class; empty where it lies in no class's folder."""


def places(root: Path, files: Sequence[Path]) -> dict[Path, Place]:
    """Return the places of files of a folder; those in no part have none."""
    parts = _parts(root, list(files))
    return {
        file: Place(part.name if len(parts) > 1 else "", part, _group(part, file))
        for part, own in parts.items()
        for file in own
    }


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
    candidates: list[Path],
    prepare: Callable[[Path], tuple[_File, Image8]],
    size: Size,
    memory_limit: int,
) -> _Checked:
    length = max(1, min(_CHUNK, _CHUNK_BYTES // (3 * size.pixels)))

    def attempt(path: Path) -> tuple[_File, Image8] | Skipped:
        try:
            return prepare(path)
        except (BrokenImageError, UnreadableFileError) as error:
            return Skipped(str(path), str(error))

    checked = _Checked([], [], [])
    fits, channels = True, 1
    with threads() as pool:
        # In chunks, so that images that are not kept are released before the next.
        for first in range(0, len(candidates), length):
            for result in pool.map(attempt, candidates[first : first + length]):
                if isinstance(result, Skipped):
                    checked.skipped.append(result)
                    continue
                file, image = result
                checked.files.append(file)
                checked.images.append(image)
                channels = max(channels, image.shape[-1])
            usable = len(candidates) - len(checked.skipped)  # as far as is known
            fits = fits and usable * size.pixels * channels <= memory_limit
            if not fits:
                checked.images.clear()
    return checked


def _stretch(
    part: _Checked, kinds: Collection[str], read: Callable[[Path], Image8]
) -> None:
    """Read the files of some kinds again, in threads, now that their range is known."""
    again = [
        index
        for index, file in enumerate(part.files)
        if file.stored.kind in kinds and (part.images or file.shape[-1] == 3)
    ]
    with threads() as pool:
        paths = [part.files[index].path for index in again]
        for index, image in zip(again, pool.map(read, paths), strict=True):
            file = part.files[index]
            grey = file.shape[-1] == 3 and is_colourless(image)
            part.files[index] = file._replace(colourless=grey)
            if part.images:
                part.images[index] = image


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
        return ArraySource(name, images, known, classes, tuple(part.skipped))

    def examples(indices: Sequence[int]) -> list[LabelledImage]:
        return [
            LabelledImage(read(part.files[index].path), int(labels[index]))
            for index in indices
        ]

    skipped = tuple(part.skipped)
    return LazySource(name, shape, len(part.files), examples, classes, skipped)


def _nothing(place: Path, skipped: Sequence[Skipped], left: LeftOut) -> str:
    if not skipped:
        return nothing_read(str(place), left)
    reasons = "; ".join(f"{Path(name).name}: {why}" for name, why in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"{place} holds no usable image ({reasons}{more}): replace the files"
