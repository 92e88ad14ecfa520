"""Masks in image files: which pixels they mark as known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float16, Num, Shaped, UInt8

from gan_jax.config.limits import Size
from gan_jax.data.decode import (
    AT_WORK,
    PIXEL_LIMIT,
    BrokenImageError,
    Image8,
    convert_levels,
    open_image,
    upright,
)
from gan_jax.data.files.levels import WHOLE, Scaling
from gan_jax.data.memory import Stream

if TYPE_CHECKING:
    from PIL import Image, ImageFile

Known = Bool[np.ndarray, "height width"]

WHITE_IS_KNOWN: Mapping[str, bool] = {"known": True, "missing": False}
"""Whether white pixels of a mask are known, by the values of `masks_white`."""

NEITHER_LIMIT = 0.05
"""Largest share of a mask's pixels that may be neither black nor white."""

_MARGIN = 0.05  # of the range of levels: what counts as black, and as white
_OPAQUE = 0.95  # of full opacity: soft edges of an eraser are missing
_STRAY_COLOUR, _STRAY_LIMIT = 0.25, 0.01  # a photograph's marking is of one colour
_SAME, _SAME_SHARE = 0.02, 0.99  # differences of levels through compression
_SAMPLE = 20_000  # pixels that are converted at once, or have a typical colour
_LARGEST = (1, 255)  # levels that are white; a file of more bits has its own
_RANGE = 0.25  # of all levels: a mask with less has one level, and some noise
_ALIKE = 0.5  # of the pixels in areas of one level


class Layers(NamedTuple):
    """An image, and which of its pixels it holds."""

    image: Image8
    """Levels as `decode` returns them."""
    opaque: Known | None
    """Whether each pixel is opaque; None = all are."""


def decode_layers(
    data: bytes | Path, pixel_limit: int = PIXEL_LIMIT, scaling: Scaling = WHOLE
) -> Layers:
    """Decode one image with its transparency; otherwise as `decode`."""

    def layers(image: "ImageFile.ImageFile", stream: Stream) -> Layers:
        levels, _ = convert_levels(image, stream, scaling)
        return Layers(levels, _opaque(upright(image)))

    return open_image(data, pixel_limit, layers)


def _opaque(image: "Image.Image") -> Known | None:
    """Return which pixels are opaque; None where all are."""
    if image.mode.startswith("I") or image.mode == "F":
        return None
    if not image.has_transparency_data:
        return None
    layers = image if "A" in image.getbands() else image.convert("RGBA")
    opaque: Known = np.asarray(layers.getchannel("A")) >= round(255 * _OPAQUE)
    return None if opaque.all() else opaque


class _Marks(NamedTuple):
    """What is drawn in the file of a mask."""

    levels: Shaped[np.ndarray, "height width channels"]
    """As they are stored, of any type; palettes are resolved to colours."""
    opaque: Known


def _marks(opened: "ImageFile.ImageFile", stream: Stream) -> _Marks:
    image = upright(opened)
    opaque = _opaque(image)
    grey = image.mode in ("1", "L", "F") or image.mode.startswith("I")
    if not grey:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    levels = np.asarray(image, np.uint8 if image.mode == "1" else None)
    levels = levels.reshape(*levels.shape[:2], -1)
    whole = np.ones(levels.shape[:2], bool)
    return _Marks(levels, whole if opaque is None else opaque)


def read_mask(
    data: bytes | Path, white_is_known: bool = True, image: Image8 | None = None
) -> Known:
    """Return the known pixels that the file of a mask marks.

    A mask has two levels or colours, the brighter of which is its white: 0 and 1, 0 and
    255, 16 bits, a palette. Compression and smoothed edges may blur up to
    `NEITHER_LIMIT` of it. Transparent pixels are missing; if the others are not black
    and white, or black alone, they are known.

    Args:
        data: Content of the file, or its path.
        white_is_known: Whether white pixels are known; otherwise they are missing.
        image: The image that it is a mask of; None = it is not compared with it.

    Raises:
        BrokenImageError: As `decode`, or the mask has another size than its image, is
            the image itself, or is not black and white.
    """
    levels, opaque = open_image(data, PIXEL_LIMIT, _marks)
    if image is not None and opaque.shape != image.shape[:2]:
        raise BrokenImageError(_sizes(opaque.shape, image.shape))
    with AT_WORK.holding(opaque.size):
        return _known(levels, opaque, white_is_known, image)


def _known(
    levels: Num[np.ndarray, "height width channels"],
    opaque: Known,
    white_is_known: bool,
    image: UInt8[np.ndarray, "height width others"] | None,
) -> Known:
    whole = bool(opaque.all())
    drawn = levels.reshape(-1, levels.shape[-1]) if whole else levels[opaque]
    same = image is not None and _is_same(drawn, image[opaque])
    if whole and same:
        raise BrokenImageError(
            "it is the image itself: give what is missing in black and white"
        )
    if whole:
        return (_bright(drawn) == white_is_known).reshape(opaque.shape)
    known = opaque.copy()
    try:
        bright = _bright(drawn)
    except BrokenImageError:  # a picture whose hole was erased
        return known
    if bright.any() and not same:
        known[opaque] = bright == white_is_known
    return known


def _sizes(mask: Sequence[int], image: Sequence[int]) -> str:
    """Return the reason why a mask does not fit an image of another shape."""
    sizes = [Size(*shape[:2]) for shape in (mask, image)]
    turned = sizes[0] == sizes[1][::-1]
    advice = ": turn it as the image's file says it is turned (EXIF)" if turned else ""
    return f"it is {sizes[0]}, the image {sizes[1]} (height x width){advice}"


def _bright(levels: Num[np.ndarray, "count channels"]) -> Bool[np.ndarray, " count"]:
    """Return which pixels have the brighter of two levels or colours.

    Raises:
        BrokenImageError: If there are more.
    """
    shades = _shades(levels)
    if not np.isfinite(shades).all():
        raise BrokenImageError("its levels are not finite numbers")
    low, high = float(shades.min(initial=1)), float(shades.max(initial=0))
    bright: Bool[np.ndarray, " count"] = shades == high
    if low == high or not (bright == (shades != low)).all():
        if high - low < _RANGE:  # one level, which is black or white as it is
            if high < _RANGE and _has_areas(shades, low):
                raise BrokenImageError(
                    f"it has several levels, and {levels.max()} is the brightest, as "
                    "labels of a segmentation: give a mask of black (0) and white (255)"
                )
            low, high = 0.0, 1.0
        bright = shades > (low + high) / 2
        margin = _MARGIN * (high - low)
        neither = ((shades > low + margin) & (shades < high - margin)).mean()
        if neither > NEITHER_LIMIT:
            raise BrokenImageError(
                f"{neither:.0%} of its pixels are neither black nor white: give a mask "
                "of these two alone"
            )
    if _stray(levels, bright) > _STRAY_LIMIT:
        raise BrokenImageError(
            "it has several colours, as a marked picture has: give a mask of black and "
            "white alone"
        )
    return bright


def _has_areas(shades: Float16[np.ndarray, " count"], low: float) -> bool:
    """Return whether most pixels above the lowest level are as bright as the next one.

    Those of noise are not.
    """
    above = shades[:-1] != low
    alike = (shades[:-1] == shades[1:])[above].mean() if above.any() else 0
    return bool(alike > _ALIKE)


def _shades(
    levels: Num[np.ndarray, "count channels"],
) -> Float16[np.ndarray, " count"]:
    """Return the mean of the channels; 1 = 1, 255, or the largest level above it."""
    highest = levels.max(initial=0)
    largest = next((each for each in _LARGEST if each >= highest), highest)
    shades = np.empty(len(levels), np.float16)
    for at in range(0, len(levels), _SAMPLE):
        some = levels[at : at + _SAMPLE].mean(axis=-1, dtype=np.float64)
        shades[at : at + _SAMPLE] = some / float(largest)
    return shades


def _stray(
    levels: Num[np.ndarray, "count channels"], bright: Bool[np.ndarray, " count"]
) -> float:
    """Return the share of pixels whose colour is not that of the others as bright."""
    if levels.shape[-1] == 1:
        return 0.0
    stray = 0
    for part in (levels[bright], levels[~bright]):
        if not len(part):
            continue
        sample = part[:: -(-len(part) // _SAMPLE)].astype(np.int16)
        typical = np.median(sample - sample.mean(axis=-1, keepdims=True), axis=0)
        for at in range(0, len(part), _SAMPLE):
            some = part[at : at + _SAMPLE].astype(np.float32)
            tint = some - some.mean(axis=-1, keepdims=True)
            stray += (abs(tint - typical).max(axis=-1) > 255 * _STRAY_COLOUR).sum()
    return float(stray / len(levels))


def _is_same(
    levels: Num[np.ndarray, "count channels"], image: Num[np.ndarray, "count others"]
) -> bool:
    """Return whether a mask of several levels shows what its image shows."""
    shades = _shades(levels)
    difference = abs(shades - _shades(image))
    several = shades.min(initial=1) < shades.max(initial=0)
    return bool(several and (difference <= _SAME).mean() >= _SAME_SHARE)
