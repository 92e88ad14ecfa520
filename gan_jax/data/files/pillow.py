"""Pillow, which decodes image files: what is read by it, and what it says of images."""

import contextlib
import functools
import importlib
import importlib.util
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Num, UInt8

from gan_jax.data.files.levels import Scaling, Stored, to_8_bits, whole_range

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# Pillow's readers of these formats decode the pixels themselves, after the size that
# their headers state was checked. Others start a program (EPS), open an image of any
# format or size inside (IPTC, BLP, ICNS), decode before their size is known (ICO), or
# unpack without a limit (FITS).
_FORMATS = frozenset(
    {"AVIF", "BMP", "DDS", "GIF", "HEIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM"}
    | {"PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"}
)
_OF_PAGES = ("GIF", "PNG", "TIFF", "WEBP")  # more images in a JPEG are for its viewers
_TILE_SIDES = (322, 323)  # tags of a TIFF file: width and height of its tiles
_PILLOW = re.compile(r"PIL\.")
_STRIP = 2**20  # pixels that leave Pillow at once: it copies an image at every step
_SWAPPED = {"RGB;16L": "RGB;16B", "RGB;16B": "RGB;16L", "RGB;16N": "RGB;16B"}
"""The ways to read colours of 16 bits, of which Pillow keeps the upper 8, and the ways
that keep the lower 8: they take the bytes in the other order."""


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that are read; HEIF where its reader is there."""
    from PIL import Image

    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    return tuple(name for name in Image.ID if name in _FORMATS)


def image_suffixes() -> frozenset[str]:
    """Return the file suffixes, in lower case, of the formats that are read."""
    from PIL import Image

    known = formats()
    return frozenset(
        suffix
        for suffix, name in Image.registered_extensions().items()
        if name in known
    )


def ignore_warnings() -> None:
    """Silence Pillow, which warns of large images and odd metadata.

    `warnings.catch_warnings` is not thread-safe, so the filter stays.
    """
    if warnings.filters[:1] != [("ignore", None, Warning, _PILLOW, 0)]:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def tile_size(image: "Image.Image") -> tuple[int, int]:
    """Return the width and height of a TIFF's tiles, which may exceed the image's."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 1) for tag in _TILE_SIDES)
    return width, height


def pages(image: "ImageFile.ImageFile") -> int:
    """Return the number of images in a file; 1 if its pages are broken."""
    if image.format in _OF_PAGES:
        with contextlib.suppress(Exception):  # Pillow's readers raise anything
            return int(getattr(image, "n_frames", 1))
    return 1


def orientation(image: "Image.Image") -> int:
    """Return the orientation that EXIF states, 1 to 8; 1 if it states none."""
    from PIL import ExifTags

    with contextlib.suppress(Exception):  # with broken metadata it is as it is stored
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def kind_of(image: "ImageFile.ImageFile") -> str:
    """Return how an opened image, not yet decoded, stores its levels.

    It is `8-bit`, `16-bit`, `32-bit` or `float`, and the format of the file.
    """
    if image.mode == "F":
        sample = "float"
    elif image.mode == "I" and image.format not in ("PNG", "PPM"):
        sample = "32-bit"
    else:
        sample = (
            "16-bit" if image.mode[0] == "I" or has_16_bit_colours(image) else "8-bit"
        )
    return f"{sample} {image.format}"


def has_16_bit_colours(image: "ImageFile.ImageFile") -> bool:
    """Return whether an opened image, not yet decoded, has colours of 16 bits."""
    ways = [_way(tile) for tile in image.tile]
    return bool(ways) and all(way in _SWAPPED for way in ways)


def _way(tile: Any) -> str:
    """Return the way in which Pillow reads a tile."""
    return str(tile.args[0] if isinstance(tile.args, tuple) else tile.args)


def take_lower_bits(image: "ImageFile.ImageFile") -> None:
    """Let an opened image of 16-bit colours be decoded to their lower 8 bits."""

    def swapped(tile: Any) -> Any:
        way = _SWAPPED[_way(tile)]
        return (way, *tile.args[1:]) if isinstance(tile.args, tuple) else way

    image.tile = [tile._replace(args=swapped(tile)) for tile in image.tile]


def to_array(
    image: "Image.Image", lower: "Image.Image | None", kind: str, scaling: Scaling
) -> tuple[UInt8[np.ndarray, "height width channels"], Stored]:
    """Return the 8-bit levels of a decoded image, and the levels that it stores.

    Args:
        image: The image; of 16-bit colours their upper 8 bits.
        lower: The lower 8 bits of 16-bit colours; None = they are not needed.
        kind: Result of `kind_of`.
        scaling: How levels become 8 bits.
    """
    width, height = image.size
    rows = max(1, _STRIP // width) if width * height > _STRIP else height
    channels = _levels(image.crop((0, 0, 1, 1))).shape[-1]
    array = np.empty((height, width, channels), np.uint8)
    low, high = np.inf, -np.inf
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        levels = _levels(image if rows == height else image.crop(box))
        if lower is not None:
            levels = levels * np.uint16(256) + _levels(lower.crop(box))
        array[top : box[-1]] = to_8_bits(levels, kind, scaling)
        low, high = min(low, float(levels.min())), max(high, float(levels.max()))
    if levels.dtype == np.uint8 and whole_range(kind).high > 255:  # the upper 8 bits
        low, high = 256 * low, 256 * high + 255
    return array, Stored(kind, low, high)


def _levels(image: "Image.Image") -> Num[np.ndarray, "height width channels"]:
    """Return the levels of an image, as they are stored if they have more than 8 bits.

    Transparent pixels are blended with white.
    """
    from PIL import Image

    if image.mode[0] in "IF":
        return np.asarray(image)[..., None]
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        image = Image.alpha_composite(white, layers)
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array
