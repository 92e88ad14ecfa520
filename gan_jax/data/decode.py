"""Image files of any format that Pillow reads, to 8-bit arrays of one size."""

import functools
import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

from gan_jax.config.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

PIXEL_LIMIT = 64_000_000
"""Images of more pixels are refused from their header, before decoding."""

Image8 = UInt8[np.ndarray, "height width channels"]

FRAMED, FRAME = (28, 32), 2
"""A side and a size between which two pixels on each side are added, no more."""

# EPS starts Ghostscript, an external program; the others are recognised by Pillow
# but not decoded without a plug-in or another system.
_REFUSED_FORMATS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_PILLOW = re.compile(r"PIL\.")


FILE_LIMIT = 2**30
"""Files of more bytes are refused unread."""


class BrokenImageError(Exception):
    """An image that cannot be used; the message is the reason, in one line.

    The reason names no file: the caller does.
    """


def decode(data: bytes | Path, pixel_limit: int = PIXEL_LIMIT) -> Image8:
    """Decode one image to 8 bits with 1 (grey) or 3 (RGB) channels.

    Sixteen-bit grey levels are divided by 257 and floating-point ones multiplied by
    255. CMYK and palettes become RGB; transparent pixels are laid on white; EXIF
    orientation is applied; of an animation the first frame is taken. Colour profiles
    are not applied.

    Args:
        data: the content of a file, or the path of one.
        pixel_limit: images of more pixels are refused from their header. Pillow itself
            refuses those of more than about 179 million.

    Raises:
        BrokenImageError: the file cannot be read, is empty, truncated, too large or no
            image. Nothing else is raised, whatever the bytes.
    """
    from PIL import Image

    _ignore_warnings()
    try:
        if not (_size(data) if isinstance(data, Path) else len(data)):
            raise BrokenImageError("the file is empty")
        opened = data if isinstance(data, Path) else io.BytesIO(data)
        with Image.open(opened, formats=_formats()) as image:
            width, height = image.size
            if width * height > pixel_limit:
                raise BrokenImageError(
                    f"{width}x{height} pixels are over the limit of {pixel_limit}"
                )
            return _to_array(_upright(image))
    except BrokenImageError:
        raise
    except Exception as error:  # Pillow's readers raise anything on broken bytes
        raise BrokenImageError(_reason(error, pixel_limit)) from None


def content(file: Path) -> bytes:
    """Read a whole file, for `decode`.

    Raises:
        BrokenImageError: it cannot be read, or it is over `FILE_LIMIT`.
    """
    try:
        if _size(file) > FILE_LIMIT:
            raise BrokenImageError(f"the file is over the limit of {FILE_LIMIT} bytes")
        return file.read_bytes()
    except OSError as error:
        raise BrokenImageError(_reason(error, PIXEL_LIMIT)) from None


def _size(file: Path) -> int:
    if not file.exists():
        raise BrokenImageError("the file does not exist")
    if not file.is_file():  # opening a pipe would wait for ever
        raise BrokenImageError("not a file")
    return file.stat().st_size


def suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of the files that `decode` reads."""
    from PIL import Image

    formats = _formats()
    return frozenset(
        suffix
        for suffix, name in Image.registered_extensions().items()
        if name in formats
    )


@functools.cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def _ignore_warnings() -> None:
    # Pillow warns of many pixels and of odd metadata; here the limit and the result
    # decide. `warnings.catch_warnings` is not safe in threads, so the filter stays.
    if warnings.filters[:1] != [("ignore", None, Warning, _PILLOW, 0)]:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _reason(error: Exception, pixel_limit: int) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its pixels are over the limit of {pixel_limit}"
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.strerror:  # the file, not its content
        return error.strerror
    words = "".join(
        letter for letter in " ".join(str(error).split()) if letter.isprintable()
    )
    return f"broken image file ({words[:120] or type(error).__name__})"


def _upright(image: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken metadata cost the orientation, not the image
        return image


def _to_array(image: "Image.Image") -> Image8:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(np.asarray(image))[..., None]
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        image = Image.alpha_composite(white, layers)
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array


def _to_8_bits(levels: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    whole = levels.dtype.kind in "iu"
    lowest, highest = levels.min(initial=0), levels.max(initial=0)
    if not (lowest >= 0 and highest <= (65535 if whole else 1)):  # NaN fails too
        raise BrokenImageError(
            f"grey levels of {lowest:.6g} to {highest:.6g} are neither 16-bit ones nor "
            "fractions of 1"
        )
    scaled = levels / 257 if whole else levels.astype(np.float64) * 255
    return np.rint(scaled).astype(np.uint8)


def fit(
    image: Image8, size: int, crop: int = 0
) -> UInt8[np.ndarray, "size size channels"]:
    """Crop the centre and resize to size x size, with antialiasing (Lanczos).

    An image of that size is untouched. A 28x28 one at size 32 gets two more pixels on
    each side that repeat its border, as is customary for MNIST, and no resampling.

    Args:
        image: 1 or 3 channels.
        size: height and width wanted.
        crop: side of the centre square to keep; 0 keeps the largest one.

    Raises:
        BrokenImageError: the image is smaller than the crop.
        InputError: size or crop is negative, or size 0.
    """
    if size < 1 or crop < 0:
        raise InputError(
            f"data.size {size} must be above 0, and data.crop {crop} not below"
        )
    height, width = image.shape[:2]
    if crop > min(height, width):
        raise BrokenImageError(
            f"{width}x{height} is smaller than the crop of {crop}: lower data.crop"
        )
    side = crop or min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top : top + side, left : left + side]
    if side == size:
        return image
    if (side, size) == FRAMED:
        return np.pad(image, ((FRAME, FRAME), (FRAME, FRAME), (0, 0)), mode="edge")
    return _resize(image, size)


def unfit(
    image: UInt8[np.ndarray, "size size channels"], side: int
) -> UInt8[np.ndarray, "side side channels"]:
    """Bring an image back from the size that `fit` gave a square of `side` pixels."""
    size = len(image)
    if (side, size) == FRAMED:
        return image[FRAME:-FRAME, FRAME:-FRAME]
    return image if side == size else _resize(image, side)


def _resize(image: Image8, size: int) -> UInt8[np.ndarray, "size size channels"]:
    from PIL import Image

    channels = image.shape[-1]
    flat = np.ascontiguousarray(image[..., 0] if channels == 1 else image)
    resized = Image.fromarray(flat).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(resized).reshape(size, size, channels)


def fit_all(
    images: UInt8[np.ndarray, "count height width channels"], size: int, crop: int = 0
) -> UInt8[np.ndarray, "count size size channels"]:
    """Apply `fit` to every image; images of that size are not copied."""
    if images.shape[1:3] == (size, size) and crop in (0, size):
        return images
    return np.stack([fit(image, size, crop) for image in images])


def to_numbers(
    image: UInt8[np.ndarray, "*shape"],
) -> Float32[np.ndarray, "*shape"]:
    """Scale 8-bit levels to [-1, 1] on the host.

    `feed.to_float` is compiled for every new shape, and the user's images have many.
    """
    scaled: np.ndarray = image / np.float32(127.5) - 1
    return scaled


def with_channels(
    image: Image8, channels: int
) -> UInt8[np.ndarray, "height width wanted"]:
    """Return a grey image three equal channels where RGB is wanted.

    Raises:
        BrokenImageError: colour would be turned to grey, which loses data silently.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 1:
        raise BrokenImageError("in colour, among grey images")
    return np.repeat(image, 3, axis=-1)
