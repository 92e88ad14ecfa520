"""The images that a search is to complete: unseen ones of the data, or the user's."""

import functools
import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray, UInt8
from scipy import ndimage

from gan_jax.build import datasets
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.datasets.folders import image_files, list_images
from gan_jax.data.decode import (
    PADDED_SIZES,
    PADDING,
    BrokenImageError,
    crop_and_resize,
    decode,
    to_float_numpy,
    undo_resize,
    with_channels,
)
from gan_jax.data.feed import read
from gan_jax.data.holes import Hole
from gan_jax.networks.compilation import compiled
from gan_jax.report.grids import to_uint8
from gan_jax.runs.prior import Prior
from gan_jax.search.blending import poisson_blend

Image8 = UInt8[np.ndarray, "height width channels"]
Known = Bool[np.ndarray, "height width"]


class MaskedImage(NamedTuple):
    """An image to be completed, at the size it came in."""

    name: str
    """Of the file without its suffix, or the number of a test image."""
    source: str
    """The path of the file; the name of a test image."""
    image: Image8
    """With the prior's channels."""
    known: Known
    """Which pixels of it are known."""


class Window(NamedTuple):
    """The square of an image that a prior sees: the largest central one."""

    top: int
    left: int
    side: int


def window(height: int, width: int) -> Window:
    """Return the largest central square of an image."""
    side = min(height, width)
    return Window((height - side) // 2, (width - side) // 2, side)


def of_data(
    prior: Prior, part: str, count: int, hole: Hole, seed: int
) -> list[MaskedImage]:
    """Take images of the data that a prior was trained on, as many as there are.

    Args:
        prior: whose data they are.
        part: `test`, images that the prior has not seen; `validation` or `train`.
        count: of images, at most.
        hole: what is cut out of them.
        seed: of holes that are drawn.
    """
    source = datasets.parts(prior.config)[part]["real"]
    images = np.asarray(read(source, np.arange(min(count, len(source)))).image)
    names = [f"{index:05d}" for index in range(len(images))]
    return [
        MaskedImage(
            name, name, image, _cover(hole, key_of(name, seed), image, len(image))
        )
        for name, image in zip(names, images, strict=True)
    ]


def files(
    images: str, masks: str | Hole, size: int, channels: int, seed: int = 0
) -> tuple[list[MaskedImage], list[Skipped]]:
    """Read the user's images, each with a mask file or under a kind of hole.

    Args:
        images: their folder.
        masks: as `cutter` takes it, and the following too.
        size: at which they will be searched.
        channels: at which they will be searched.
        seed: of holes that are drawn.

    Returns:
        What can be completed, and what cannot, with the reason.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    found = list_images(images)
    return read_files(found, cutter(masks, size, channels, seed))


def cutter(
    masks: str | Hole, size: int, channels: int, seed: int = 0
) -> Callable[[Path, Image8], MaskedImage]:
    """Return what makes targets of the user's images, by a mask file or a kind of hole.

    Args:
        masks: the folder of their masks, of the same names and sizes, or a hole.
        size: at which they will be searched; holes are cut at it.
        channels: at which they will be searched.
        seed: of holes that are drawn.

    Returns:
        `cut(file, image)`, which raises `BrokenImageError` where that cannot be
        completed.

    Raises:
        InputError: the folder of masks may not be read.
    """
    by_stem: dict[str, list[Path]] = {}
    if isinstance(masks, str):
        for file in image_files(Path(masks).expanduser()):
            by_stem.setdefault(file.stem, []).append(file)

    def cut(file: Path, image: Image8) -> MaskedImage:
        if image.shape[-1] > channels:
            raise BrokenImageError("in colour, and grey images are searched")
        image = with_channels(image, channels)
        known = (
            _read_mask(by_stem.get(file.stem, []), image)
            if isinstance(masks, str)
            else _cover(masks, key_of(file.stem, seed), image, size)
        )
        _check(known)
        return MaskedImage(file.stem, str(file), image, known)

    return cut


def read_files(
    found: Sequence[Path],
    cut: Callable[[Path, Image8], MaskedImage],
    read: Callable[[Path], bytes | Path] = lambda file: file,
) -> tuple[list[MaskedImage], list[Skipped]]:
    """Read the user's images; a second file of a name is none that can be completed.

    Args:
        found: their files.
        cut: makes targets of them, a `cutter`.
        read: gives what `decode` takes; it may raise `BrokenImageError`.

    Returns:
        What can be completed, and what cannot, with the reason.
    """
    targets: list[MaskedImage] = []
    skipped: list[Skipped] = []
    names: set[str] = set()
    for file in found:
        try:
            if file.stem in names:
                raise BrokenImageError("another image has the same name")
            targets.append(cut(file, decode(read(file))))
        except BrokenImageError as error:
            skipped.append(Skipped(str(file), str(error)))
            continue
        names.add(file.stem)
    return targets, skipped


def _read_mask(masks: Sequence[Path], image: Image8) -> Known:
    if len(masks) != 1:
        some = "several masks have its name" if masks else "no mask has its name"
        raise BrokenImageError(some)
    try:
        mask = decode(masks[0])
    except BrokenImageError as error:
        raise BrokenImageError(f"its mask: {error}") from None
    if mask.shape[:2] != image.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, image.shape)]
        raise BrokenImageError(f"its mask is {sizes[0]}, the image {sizes[1]}")
    known: Known = mask.mean(axis=-1) > 127
    return known


def _cover(hole: Hole, key: PRNGKeyArray, image: Image8, size: int) -> Known:
    """Cut a hole of a kind, drawn at a size, into the square that the prior sees."""
    height, width, _ = image.shape
    top, left, side = window(height, width)
    known = np.ones((height, width), bool)
    inside = np.asarray(hole(key, size, size))[..., 0] > 0
    at = _cells(side, size)
    known[top : top + side, left : left + side] = inside[at][:, at]
    return known


def _cells(side: int, size: int) -> Int[np.ndarray, " side"]:
    """Return in which of `size` pixels each of `side` pixels has its centre."""
    if (side, size) == PADDED_SIZES:
        return np.arange(side) + PADDING
    return ((np.arange(side) + 0.5) * size / side).astype(int)


def _check(known: Known) -> None:
    if not known.any():
        raise BrokenImageError("nothing is known: its mask is black")
    top, left, side = window(*known.shape)
    outside = ~known
    outside[top : top + side, left : left + side] = False
    if not known[top : top + side, left : left + side].any():
        raise BrokenImageError("nothing is known of its central square")
    if outside.any():
        raise BrokenImageError(
            f"{outside.sum()} missing pixels lie outside the central square of "
            f"{side}x{side}, which is all that the prior sees: crop it"
        )


def with_holes(given: Sequence[MaskedImage]) -> tuple[list[MaskedImage], list[Skipped]]:
    """Set apart the images of which something is missing."""
    holed = [target for target in given if not target.known.all()]
    return holed, [
        Skipped(target.source, "nothing is missing: its mask is white")
        for target in given
        if target.known.all()
    ]


def key_of(name: str, seed: int = 0) -> PRNGKeyArray:
    """Return a key that an image has whichever others are completed with it."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(os.fsencode(name)))


class Reduced(NamedTuple):
    """What a prior sees of an image, at the prior's size."""

    image: Float[np.ndarray, "size size channels"]
    """In [-1, 1]; nothing of it comes from what is missing."""
    mask: Float[np.ndarray, "size size 1"]
    """1 where all pixels are known that have their centres in this one."""
    truth: Float[np.ndarray, "size size channels"]
    """In [-1, 1], with what the file holds in its holes."""


def reduced(target: MaskedImage, size: int) -> Reduced:
    """Bring what the prior sees of an image to its size."""
    height, width, _ = target.image.shape
    top, left, side = window(height, width)
    place = np.s_[top : top + side, left : left + side]
    image, known = target.image[place], target.known[place]
    filled = image
    if side != size and known.any():
        # What lies in a hole must not shine through where sizes change: the nearest
        # known pixels stand for it.
        nearest = ndimage.distance_transform_edt(
            ~known, return_distances=False, return_indices=True
        )
        filled = image[tuple(nearest)]
    mask = _reduce_mask(known, size)[..., None]
    return Reduced(
        to_float_numpy(crop_and_resize(filled, size)),
        mask.astype(np.float32),
        to_float_numpy(crop_and_resize(image, size)),
    )


def _reduce_mask(known: Known, size: int) -> Bool[np.ndarray, "size size"]:
    side = len(known)
    if (side, size) == PADDED_SIZES:
        return np.pad(known, PADDING, mode="edge")
    if side < size:
        at = _cells(size, side)
        return known[at][:, at]
    first = np.searchsorted(_cells(side, size), np.arange(size))
    rows = np.logical_and.reduceat(known, first, axis=0)
    return np.logical_and.reduceat(rows, first, axis=1)


def restored(
    target: MaskedImage,
    pasted: UInt8[np.ndarray, "size size channels"],
    blend: bool = False,
) -> Image8:
    """Put what was generated into the holes of an image, at the image's size.

    Args:
        target: the image; its known pixels keep their values.
        pasted: what was generated in place of what the prior sees of it.
        blend: without a visible edge (Poisson).
    """
    height, width, _ = target.image.shape
    top, left, side = window(height, width)
    place = np.s_[top : top + side, left : left + side]
    image, known = target.image[place], target.known[place][..., None]
    inside = undo_resize(pasted, side)
    if blend:
        floats = to_float_numpy(inside), to_float_numpy(image), known.astype(np.float32)
        inside = to_uint8(np.asarray(blending()(*floats)))
    whole = target.image.copy()
    whole[place] = np.where(known, image, inside)
    return whole


@functools.cache
def blending() -> Callable[..., Any]:
    """Return the compiled blending, one for all sizes."""
    blend: Callable[..., Any] = compiled(poisson_blend)
    return blend


def digest(targets: Sequence[MaskedImage]) -> str:
    """Hash the images and what is known of them (SHA-256)."""
    found = hashlib.sha256()
    for target in targets:
        found.update(os.fsencode(f"{target.name}{target.image.shape}"))
        found.update(target.image.tobytes() + target.known.tobytes())
    return found.hexdigest()
