"""Images to be completed, with their masks: of the prior's data, or the user's."""

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, UInt8, UInt32
from scipy import ndimage

from gan_jax.build import datasets
from gan_jax.config.limits import available_memory
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.decode import (
    AT_WORK,
    PADDED_SIZES,
    PADDING,
    BrokenImageError,
    crop_and_resize,
    to_float_numpy,
    with_channels,
)
from gan_jax.data.feed import read
from gan_jax.data.files.levels import WHOLE, Scaling
from gan_jax.data.holes import Hole
from gan_jax.data.mask_files import Layers, read_mask
from gan_jax.data.memory import check_fits
from gan_jax.data.user_images import InputFile, decode_files
from gan_jax.networks.compilation import compiled
from gan_jax.runs.prior import Prior

Image8 = UInt8[np.ndarray, "height width channels"]
Known = Bool[np.ndarray, "height width"]

NOISE, STARTS = 1, 2  # uses of an image's key, each folded into it

_CHUNK = 250  # files decoded at once
_ROWS = 256  # of an image that is filled at once


class MaskedImage(NamedTuple):
    """An image to be completed, at its own size."""

    name: str
    """Name of the file's outputs, or number of a test image."""
    source: str
    """Path of the file, or number of a test image."""
    image: Image8
    """With the prior's channels."""
    known: Known
    """Whether each pixel is known."""
    has_truth: bool = True
    """Whether the image holds the truth in its hole."""

    @property
    def missing(self) -> float:
        """Return the share of the pixels that are missing."""
        return 1 - float(self.known.mean())


Masker: TypeAlias = Callable[[InputFile, Layers], MaskedImage]
"""`mask(file, layers)` returns a user's image with its mask. It raises
`BrokenImageError` if the image cannot be completed."""


def central_square(height: int, width: int) -> tuple[slice, slice]:
    """Return the slices of the largest central square, which is all a prior sees."""
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


def of_data(
    prior: Prior, part: str, count: int, hole: Hole, seed: int
) -> list[MaskedImage]:
    """Return images of the data that a prior was trained on, with holes.

    Args:
        prior: The trained run.
        part: `test` (images that the prior has not seen), `validation` or `train`.
        count: Number of images, if the part has as many.
        hole: The hole that is cut into each.
        seed: Seed of holes that are drawn.
    """
    source = datasets.parts(prior.config)[part]["real"]
    images = np.asarray(read(source, np.arange(min(count, len(source)))).image)
    names = [f"{index:05d}" for index in range(len(images))]
    draw = _drawn(hole, images.shape[1], seed)
    return [
        MaskedImage(name, name, image, _cover(draw(name), image))
        for name, image in zip(names, images, strict=True)
    ]


def masker(
    masks: Mapping[Path, Sequence[Path]] | Hole,
    size: int,
    channels: int,
    seed: int = 0,
    white_is_known: bool = True,
) -> Masker:
    """Return the function that masks the user's images.

    Transparent pixels of an image are missing: beside those of its mask, or instead of
    a hole.

    Args:
        masks: The mask files of each image file, or a hole.
        size: Side of the images at which they are searched; holes are cut at it.
        channels: Channels at which they are searched.
        seed: Seed of holes that are drawn.
        white_is_known: Whether white pixels of mask files are known.
    """
    draw = None if isinstance(masks, Mapping) else _drawn(masks, size, seed)

    def mask(file: InputFile, layers: Layers) -> MaskedImage:
        image, opaque = layers
        if image.shape[-1] > channels:
            raise BrokenImageError("in colour, and grey images are searched")
        image = with_channels(image, channels)
        if isinstance(masks, Mapping):
            known = _read_mask(masks.get(file.path, ()), layers, white_is_known)
        elif opaque is not None:
            known = opaque
        else:
            assert draw is not None
            known = _cover(draw(file.name), image)
        _check(known)
        has_truth = draw is not None and opaque is None
        return MaskedImage(file.name, str(file.path), image, known, has_truth)

    return mask


def read_files(
    files: Sequence[InputFile], mask: Masker, scaling: Scaling = WHOLE
) -> tuple[list[MaskedImage], list[Skipped]]:
    """Read the user's images and mask them.

    Files that cannot be completed are skipped. The scaling is how levels become 8 bits.

    Returns:
        The masked images, and the skipped files with their reasons.

    Raises:
        InputError: If the images do not fit into memory together.
    """
    free, taken = available_memory(), 0
    images: list[MaskedImage] = []
    skipped: list[Skipped] = []
    for chunk in decode_files(files, mask, _CHUNK, scaling=scaling):
        images += chunk.images
        skipped += chunk.skipped
        taken += sum(each.image.nbytes + each.known.nbytes for each in chunk.images)
        check_fits(
            f"{len(images)} of {len(files)} images",
            taken,
            "name fewer, or use python -m launch.batch, which holds a few at a time",
            free,
        )
    return images, skipped


def _read_mask(masks: Sequence[Path], layers: Layers, white_is_known: bool) -> Known:
    image, opaque = layers
    if not masks and opaque is not None:
        return opaque
    if len(masks) != 1:
        count = "several masks have" if masks else "no mask has"
        raise BrokenImageError(f"{count} its name")
    try:
        known = read_mask(masks[0], white_is_known, image)
    except BrokenImageError as error:
        raise BrokenImageError(f"its mask: {error}") from None
    return known if opaque is None else known & opaque


def _drawn(
    hole: Hole, size: int, seed: int
) -> Callable[[str], Bool[np.ndarray, "size size"]]:
    """Return the function that draws a hole for an image by its name.

    An image's hole does not depend on the other images. True = known.
    """

    @compiled
    def draw(name_hash: Array) -> Array:
        key = jax.random.fold_in(jax.random.key(seed), name_hash)
        return hole(key, size, size)[..., 0] > 0

    return lambda name: np.asarray(draw(name_hashes([name])[0]))


def _cover(inside: Bool[np.ndarray, "size size"], image: Image8) -> Known:
    """Return the known pixels of an image, given those of its central square."""
    place = central_square(*image.shape[:2])
    known = np.ones(image.shape[:2], bool)
    at = _cells(min(known.shape), len(inside))
    known[place] = inside[at][:, at]
    return known


def _cells(side: int, size: int) -> Int[np.ndarray, " side"]:
    """Return the index of the pixel, of `size`, that holds each of `side` centres."""
    if (side, size) == PADDED_SIZES:
        return np.arange(side) + PADDING
    return ((np.arange(side) + 0.5) * size / side).astype(int)


def _check(known: Known) -> None:
    if not known.any():
        raise BrokenImageError("nothing is known: all its pixels are missing")
    place, side = central_square(*known.shape), min(known.shape)
    outside = ~known
    outside[place] = False
    if not known[place].any():
        raise BrokenImageError("nothing is known of its central square")
    if outside.any():
        raise BrokenImageError(
            f"{outside.sum()} missing pixels lie outside the central square of "
            f"{side}x{side}, which is all that the prior sees: crop it"
        )


def with_holes(
    images: Sequence[MaskedImage],
) -> tuple[list[MaskedImage], list[Skipped]]:
    """Return the images of which something is missing, and the others as skipped."""
    reason = "nothing is missing: all its pixels are known"
    return (
        [image for image in images if not image.known.all()],
        [Skipped(image.source, reason) for image in images if image.known.all()],
    )


def name_hashes(names: Sequence[str]) -> UInt32[np.ndarray, " count"]:
    """Return a hash of each name that can be folded into a key (CRC-32)."""
    return np.array([zlib.crc32(os.fsencode(name)) for name in names], np.uint32)


def keys_of(
    hashes: UInt32[Array | np.ndarray, " count"], key: PRNGKeyArray, use: int
) -> Key[Array, " count"]:
    """Return a random key of each image for one use.

    An image's key does not depend on the other images.

    Args:
        hashes: Hashes of the images' names, as `name_hashes` returns them.
        key: Key of the run.
        use: Number that is folded into each image's key: `NOISE` or `STARTS`.
    """

    def key_of(name_hash: Array) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.fold_in(key, name_hash), use)

    keys: Key[Array, " count"] = jax.vmap(key_of)(jnp.asarray(hashes))
    return keys


class Reduced(NamedTuple):
    """The square of an image that a prior sees, at the prior's size."""

    image: Float[np.ndarray, "size size channels"]
    """In [-1, 1]; missing pixels do not affect it."""
    mask: Float[np.ndarray, "size size 1"]
    """1 where every source pixel whose centre falls in this pixel is known."""
    truth: Float[np.ndarray, "size size channels"]
    """In [-1, 1], with the file's pixels in its holes."""


def reduced(masked: MaskedImage, size: int) -> Reduced:
    """Return the square of an image that a prior sees, at the prior's size."""
    place = central_square(*masked.known.shape)
    image, known = masked.image[place], masked.known[place]
    with AT_WORK.holding(known.size):
        filled = image
        if len(known) != size and known.any():
            filled = _filled(image, known)
        mask = _reduce_mask(known, size)[..., None]
        return Reduced(
            to_float_numpy(crop_and_resize(filled, size)),
            mask.astype(np.float32),
            to_float_numpy(crop_and_resize(image, size)),
        )


def _filled(image: Image8, known: Known) -> Image8:
    """Return an image whose missing pixels are replaced by the nearest known ones.

    So they do not affect their neighbours where sizes change.
    """
    rows, columns = ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    filled = np.empty_like(image)
    for top in range(0, len(image), _ROWS):  # indexing copies the indices, as int64
        at = slice(top, top + _ROWS)
        filled[at] = image[rows[at], columns[at]]
    return filled


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


def digest(images: Sequence[MaskedImage]) -> str:
    """Return the SHA-256 of images and their masks."""
    sha256 = hashlib.sha256()
    for masked in images:
        sha256.update(os.fsencode(f"{masked.name}{masked.image.shape}"))
        for array in (masked.image, masked.known):
            sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()
