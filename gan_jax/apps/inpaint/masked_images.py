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
from jaxtyping import Array, Bool, Key, PRNGKeyArray, UInt8, UInt32
from ml_collections import ConfigDict

from gan_jax.build import datasets, searches
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, available_memory
from gan_jax.config.names import closest
from gan_jax.data import windows
from gan_jax.data.datasets.dataset import Skipped, Source
from gan_jax.data.decode import BrokenImageError, with_channels
from gan_jax.data.feed import read
from gan_jax.data.files.levels import WHOLE, Scaling
from gan_jax.data.holes import HOLES, Hole
from gan_jax.data.mask_files import Layers, read_mask
from gan_jax.data.memory import check_fits
from gan_jax.data.user_images import InputFile, decode_files, list_masked
from gan_jax.data.windows import Window
from gan_jax.networks.compilation import compiled
from gan_jax.runs.prior import Prior

Image8 = UInt8[np.ndarray, "height width channels"]
Images8 = UInt8[np.ndarray, "count height width channels"]
Known = Bool[np.ndarray, "height width"]

NOISE, STARTS = 1, 2  # uses of an image's key, each folded into it

_CHUNK = 250  # files decoded at once


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


def named_holes(masks: str) -> dict[str, Hole | None]:
    """Return holes by their names; None stands for mask files.

    Raises:
        InputError: If a name is unknown, or there is none.
    """
    names = [name for name in masks.split(",") if name]
    if not names:
        raise InputError("--config.masks is empty: name holes, or a folder of masks")
    if names[0].partition(":")[0] not in HOLES:
        if os.path.exists(Path(masks).expanduser()):  # noqa: PTH110 - too long: False
            return {masks: None}
        raise InputError(
            f"--config.masks {masks}: there is no such folder or file, and no hole of "
            f"that name{closest(names[0], HOLES)}; known: {', '.join(HOLES)}"
        )
    return dict(zip(names, searches.holes(masks), strict=True))


def masked_files(config: ConfigDict, files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return the user's images, each with its mask files, and no masks among them.

    Args:
        config: A config with `images` and, perhaps, `masks`.
        files: The image files of the folder `images`.

    Raises:
        InputError: As `named_holes` and `list_masked`.
    """
    if config.get("masks", "") and None in named_holes(config.masks).values():
        return list_masked(files, config.images, config.masks)
    return {file: [] for file in files}


def of_data(source: Source, count: int, hole: Hole, seed: int) -> list[MaskedImage]:
    """Return the first images of a part of a prior's data, with holes.

    Args:
        source: The images.
        count: Number of images, if there are as many.
        hole: The hole that is cut into each.
        seed: Seed of holes that are drawn.
    """
    return with_hole(first_images(source, count), hole, seed)


def read_part(prior: Prior, part: str, count: int) -> Images8:
    """Return the first images of a part of the data that a prior was trained on.

    Raises:
        InputError: If the data cannot be read.
    """
    return first_images(datasets.parts(prior.config)[part]["real"], count)


def first_images(source: Source, count: int) -> Images8:
    """Return the first images of a source, all where there are fewer."""
    return np.asarray(read(source, np.arange(min(count, len(source)))).image)


def with_hole(images: Images8, hole: Hole, seed: int) -> list[MaskedImage]:
    """Return images that are called by their numbers, with a hole cut into each."""
    names = [f"{index:05d}" for index in range(len(images))]
    draw = _drawn(hole, Size(*images.shape[1:3]), seed)
    return [
        MaskedImage(name, name, image, draw(name))
        for name, image in zip(names, images, strict=True)
    ]


def adapted(image: Image8, channels: int) -> UInt8[np.ndarray, "height width new"]:
    """Return a user's image with the channels of a prior.

    A colour image whose channels are equal is grey, as screenshots of grey images are.

    Raises:
        BrokenImageError: If it has colours, and the prior is one of grey images.
    """
    if image.shape[-1] > channels:
        if (image != image[..., :1]).any():
            raise BrokenImageError("it is in colour, and the prior knows grey images")
        return image[..., :channels]
    return with_channels(image, channels)


def masker(
    masks: Mapping[Path, Sequence[Path]] | Hole,
    size: Size,
    channels: int,
    seed: int = 0,
    white_is_known: bool = True,
    hole_window: Callable[[Size], Window] | None = None,
) -> Masker:
    """Return the function that masks the user's images.

    Transparent pixels of an image are missing: beside those of its mask, or instead of
    a hole.

    Args:
        masks: The mask files of each image file, or a hole.
        size: Size of the images at which they are searched; holes are cut at it.
        channels: Channels at which they are searched.
        seed: Seed of holes that are drawn.
        white_is_known: Whether white pixels of mask files are known.
        hole_window: Function of an image's size that returns the window into which a
            hole is cut, or raises `BrokenImageError`; None = the largest central one.
    """
    draw = None if isinstance(masks, Mapping) else _drawn(masks, size, seed)

    def mask(file: InputFile, layers: Layers) -> MaskedImage:
        image, opaque = adapted(layers.image, channels), layers.opaque
        if isinstance(masks, Mapping):
            known = _read_mask(masks.get(file.path, ()), layers, white_is_known)
        elif opaque is not None:
            known = opaque
        else:
            assert draw is not None
            known = _cut(draw(file.name), image, hole_window)
        if not known.any():
            raise BrokenImageError("nothing is known: all its pixels are missing")
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
    if not masks and layers.opaque is not None:
        return layers.opaque
    if len(masks) != 1:
        count = "several masks have" if masks else "no mask has"
        raise BrokenImageError(f"{count} its name")
    return known_pixels(masks[0], layers, white_is_known)


def known_pixels(
    mask: bytes | Path, layers: Layers, white_is_known: bool = True
) -> Known:
    """Return the known pixels of an image with a mask: those that it holds, and marks.

    Args:
        mask: Content of the mask's file, or its path.
        layers: The image.
        white_is_known: Whether white pixels of the mask are known.

    Raises:
        BrokenImageError: As `read_mask`.
    """
    try:
        known = read_mask(mask, white_is_known, layers.image)
    except BrokenImageError as error:
        raise BrokenImageError(f"its mask: {error}") from None
    return known if layers.opaque is None else known & layers.opaque


def _drawn(hole: Hole, size: Size, seed: int) -> Callable[[str], Known]:
    """Return the function that draws a hole for an image by its name.

    An image's hole does not depend on the other images. True = known.
    """

    @compiled
    def draw(name_hash: Array) -> Array:
        key = jax.random.fold_in(jax.random.key(seed), name_hash)
        return hole(key, *size)[..., 0] > 0

    return lambda name: np.asarray(draw(name_hashes([name])[0]))


def _cut(
    inside: Bool[np.ndarray, "rows columns"],
    image: Image8,
    hole_window: Callable[[Size], Window] | None,
) -> Known:
    """Return the known pixels of an image, given those of a window, at its size."""
    size = Size(*image.shape[:2])
    if hole_window is None:
        window = windows.centre(size, Size(*inside.shape))
    else:
        window = hole_window(size)
    known = np.ones(size, bool)
    known[window.at] = windows.enlarge_mask(inside, window.size)
    return known


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


def digest(images: Sequence[MaskedImage]) -> str:
    """Return the SHA-256 of images and their masks."""
    sha256 = hashlib.sha256()
    for masked in images:
        sha256.update(os.fsencode(f"{masked.name}{masked.image.shape}"))
        for array in (masked.image, masked.known):
            sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()
