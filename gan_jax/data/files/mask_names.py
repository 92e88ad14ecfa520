"""Names of masks: whose masks the files of a folder are."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MASK = ("mask",)
"""Words in the names of masks, such as `photo_mask.png` and, of LaMa, `_mask001`."""


class _Name(NamedTuple):
    """What an image and its mask have in common, in Unicode's normal form."""

    folder: str
    stem: str


def pair(
    images: Sequence[Path],
    folder: Path,
    masks: Sequence[Path],
    place: Path,
    words: Sequence[str] = MASK,
) -> dict[Path, list[Path]]:
    """Return the images, each with its masks: none, one, or several.

    A mask has the name of its image, or that and `_mask` or `_mask001`, with any
    suffix. It lies where its image lies; or anywhere, if no other image has the name.
    Names are alike if they look alike (Unicode's normal forms). A single mask that has
    no image's name is that of all. Masks among the images are left out.

    Args:
        images: Image files in `folder` and its sub-folders.
        folder: The folder of the images.
        masks: Image files in `place` and its sub-folders.
        place: The folder of the masks, which may be that of the images; or one mask.
        words: Words in the names of masks, as `image_stem` takes them.
    """
    if folder.resolve() == place.resolve():
        place, masks = folder, images
        images = _without_masks(images, folder, words)
    else:
        images, masks = _apart(images, folder, masks, place)
    if not place.is_dir():
        return {image: [*masks] for image in images}
    named = {image: _name(image, folder) for image in images}
    names, stems = {*named.values()}, Counter(name.stem for name in named.values())
    by_name: dict[_Name, list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        name = _name(mask, place)
        if name not in names:
            name = _name_of_image(name, words) or name
        by_name.setdefault(name, []).append(mask)
        by_stem.setdefault(name.stem, []).append(mask)
    pairs: dict[Path, list[Path]] = {}
    for image, name in named.items():
        found = by_name.get(name, [])
        if not found and stems[name.stem] == 1:
            found = by_stem.get(name.stem, [])
        # Beside a mask that is called so, a file of the image's name is the image.
        called = [mask for mask in found if _name(mask, place).stem != name.stem]
        pairs[image] = called or ([image] if image in found else found)
    if len(masks) == 1 and not any(pairs.values()):
        return {image: [*masks] for image in pairs}
    return pairs


def _name(file: Path, folder: Path) -> _Name:
    place, stem = file.relative_to(folder).parent.as_posix(), file.stem
    return _Name(*(unicodedata.normalize("NFC", part) for part in (place, stem)))


def image_stem(stem: str, words: Sequence[str] = MASK) -> str:
    """Return the stem of the image of a mask; empty if a stem is not called a mask.

    A mask has the stem of its image and one of some words, perhaps with a number:
    `photo_mask`, `photo_mask001`.
    """
    pattern = rf"(.+)[-_. ](?:{'|'.join(words)})[-_ ]?\d*"
    found = re.fullmatch(pattern, stem, re.IGNORECASE)
    return found[1] if found else ""


def _name_of_image(mask: _Name, words: Sequence[str]) -> _Name | None:
    """Return the name of the image of a file that is called a mask."""
    stem = image_stem(mask.stem, words)
    return mask._replace(stem=stem) if stem else None


def _without_masks(
    images: Sequence[Path], folder: Path, words: Sequence[str]
) -> list[Path]:
    """Return images without those that are called masks of others."""
    named = {image: _name(image, folder) for image in images}
    names = {*named.values()}
    return [
        image
        for image, name in named.items()
        if _name_of_image(name, words) not in names
    ]


def _apart(
    images: Sequence[Path], folder: Path, masks: Sequence[Path], place: Path
) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return images and masks without those that lie in the other's inner folder."""
    here, there = folder.resolve(), place.resolve()
    if there.is_relative_to(here):
        known = {there / mask.relative_to(place) for mask in masks}
        at = {image: here / image.relative_to(folder) for image in images}
        images = [image for image in images if at[image] not in known]
    elif here.is_relative_to(there):
        known = {here / image.relative_to(folder) for image in images}
        at = {mask: there / mask.relative_to(place) for mask in masks}
        masks = [mask for mask in masks if at[mask] not in known]
    return images, masks
