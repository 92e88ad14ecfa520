"""Image files of any format that Pillow reads, to 8-bit arrays of one size."""

import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

PIXEL_LIMIT = 64_000_000
"""Images of more pixels are refused from their header, before decoding."""

Image8 = UInt8[np.ndarray, "height width channels"]


class BrokenImageError(Exception):
    """An image file that cannot be used; the message is the reason, in one line."""


def decode(data: bytes | Path, pixel_limit: int = PIXEL_LIMIT) -> Image8:
    """Decode one image to 8 bits with 1 (grey) or 3 (RGB) channels.

    Sixteen-bit images are scaled to 8 bits; CMYK and palettes become RGB; transparent
    pixels are laid on white; EXIF orientation is applied.

    Raises:
        BrokenImageError: the file is empty, truncated, too large or no image.
    """
    from PIL import Image, ImageOps

    try:
        raw = data.read_bytes() if isinstance(data, Path) else data
    except OSError as error:
        raise BrokenImageError(error.strerror or "cannot be read") from None
    if not raw:
        raise BrokenImageError("empty file")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large or odd images; the limit below decides instead.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(raw)) as image:
                width, height = image.size
                if width * height > pixel_limit:
                    raise BrokenImageError(
                        f"{width}x{height} pixels, over the limit of {pixel_limit}"
                    )
                image.load()
                return _to_array(ImageOps.exif_transpose(image))
    except BrokenImageError:
        raise
    except Exception as error:  # Pillow's readers raise anything on broken bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenImageError(f"not a readable image ({reason[:120]})") from None


def _to_array(image: object) -> Image8:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        # 16-bit files come as I;16 or as I; what fits 8 bits already stays.
        levels = values if values.max(initial=0) <= 255 else values / 257
        return np.rint(levels.clip(0, 255)).astype(np.uint8)[..., None]
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        grey = image.mode in ("L", "LA", "La", "1")
        image = Image.alpha_composite(white, layers).convert("L" if grey else "RGB")
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    array = np.asarray(image, np.uint8)
    return array[..., None] if array.ndim == 2 else array


def fit(image: Image8, size: int, crop: int = 0) -> Image8:
    """Crop the centre and resize to size x size; an image of that size is untouched.

    Args:
        image: 1 or 3 channels.
        size: height and width wanted.
        crop: side of the centre square to keep; 0 keeps the largest one.
    """
    from PIL import Image

    height, width, channels = image.shape
    side = min(crop or height, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top : top + side, left : left + side]
    if side == size:
        return image
    flat = image[..., 0] if channels == 1 else image
    resized = Image.fromarray(flat).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(resized, np.uint8).reshape(size, size, channels)


def with_channels(image: Image8, channels: int) -> Image8:
    """Give a grey image three equal channels where RGB is wanted.

    Raises:
        ValueError: colour is to be turned to grey, which would lose data silently.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 1:
        raise ValueError("a colour image among grey ones")
    return np.repeat(image, 3, axis=-1)
