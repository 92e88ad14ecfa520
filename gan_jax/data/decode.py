"""Decoding of image files, in the usual formats, to 8-bit arrays of one size."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data import memory, windows
from gan_jax.data.files import pillow
from gan_jax.data.files.levels import WHOLE, LevelsError, Scaling, Stored, whole_range
from gan_jax.data.memory import FILE_LIMIT, PixelBudget, UnreadableFileError
from gan_jax.data.windows import PADDING

if TYPE_CHECKING:
    from PIL import Image, ImageFile

PIXEL_BYTES = 20
"""Bytes of memory that a pixel takes while it is decoded, about."""

PIXEL_LIMIT = 64_000_000
"""Largest number of pixels; larger images are refused by their header, undecoded."""

AT_WORK = PixelBudget(PIXEL_LIMIT)
"""Pixels of images that all threads of the process decode, convert, resize or encode at
once. One pixel takes about `PIXEL_BYTES` then, and 3 before and after."""

Image8 = UInt8[np.ndarray, "height width channels"]
Result = TypeVar("Result")

_UPRIGHT = 4  # the largest EXIF orientation that keeps the sides


class BrokenImageError(Exception):
    """An image that cannot be used.

    The message is the reason in one line, without the file's name, which callers add.
    """


class LargeImageError(BrokenImageError):
    """An image of more pixels than a limit."""

    def __init__(self, width: int, height: int, pixel_limit: int):
        super().__init__(f"{width}x{height} pixels are over the limit of {pixel_limit}")
        self.pixels = width * height


class Decoded(NamedTuple):
    """A decoded image, and what its file stores."""

    image: Image8
    stored: Stored
    """The levels of the file."""
    pages: int
    """Number of images in the file, of which this is the first."""


class Header(NamedTuple):
    """What a file states of its image, which is not decoded."""

    height: int
    width: int
    channels: int
    """1 (grey) or 3 (colour)."""
    kind: str
    """How levels are stored, as `pillow.kind_of` returns it."""
    pages: int
    """Number of images in the file, of which the first is read."""


def decode(
    data: bytes | Path, pixel_limit: int = PIXEL_LIMIT, scaling: Scaling = WHOLE
) -> Image8:
    """Decode one image to 8-bit levels with 1 (grey) or 3 (RGB) channels.

    CMYK and palettes are converted to RGB, and transparent pixels are blended with
    white. The EXIF orientation is applied, colour profiles are not. Of an animation the
    first frame is decoded.

    Args:
        data: Content of an image file, or its path.
        pixel_limit: Largest number of pixels, at most `PIXEL_LIMIT`; larger images are
            refused by their header.
        scaling: How levels of more than 8 bits become 8. By default 16-bit levels are
            divided by 257, floating-point levels multiplied by 255.

    Raises:
        BrokenImageError: If the file cannot be read, or is empty, truncated, not an
            image, or (`LargeImageError`) too large. No other exception is raised,
            whatever the bytes.
    """
    return open_image(
        data,
        pixel_limit,
        lambda image, stream: convert_levels(image, stream, scaling)[0],
    )


def decode_stored(
    data: bytes | Path, pixel_limit: int = PIXEL_LIMIT, scaling: Scaling = WHOLE
) -> Decoded:
    """Decode one image as `decode` does, and return what its file stores too."""

    def convert(image: "ImageFile.ImageFile", stream: memory.Stream) -> Decoded:
        pages = pillow.pages(image)
        return Decoded(*convert_levels(image, stream, scaling), pages)

    return open_image(data, pixel_limit, convert)


def read_header(data: bytes | Path, pixel_limit: int = PIXEL_LIMIT) -> Header:
    """Return what an image file states of its image, without decoding it.

    Raises:
        BrokenImageError: As `decode`, of what the header can tell.
    """

    def header(image: "ImageFile.ImageFile", stream: memory.Stream) -> Header:
        grey = image.mode in ("1", "L", "LA") or image.mode[0] in "IF"
        turned = pillow.orientation(image) > _UPRIGHT
        return Header(
            *(image.size if turned else image.size[::-1]),
            1 if grey else 3,
            pillow.kind_of(image),
            pillow.pages(image),
        )

    return open_image(data, pixel_limit, header)


def decode_values(data: bytes | Path) -> Shaped[np.ndarray, "height width"]:
    """Decode the image of one number a pixel that a file holds, as it is stored.

    Nothing is scaled: 8 and 16-bit levels, palette indices and floating-point values
    (TIFF) are returned in their type. A colour image whose channels are equal is grey.

    Args:
        data: Content of an image file of at most `PIXEL_LIMIT` pixels, or its path.

    Raises:
        BrokenImageError: As `decode`, or if the image has colours or transparency.
    """
    return open_image(data, PIXEL_LIMIT, lambda image, _: _values(upright(image)))


def _values(image: "Image.Image") -> Shaped[np.ndarray, "height width"]:
    # Transparency of a palette is ignored: its indices are the values.
    array = np.asarray(image)
    if array.ndim == 3 and image.mode in ("RGB", "RGBA", "LA"):
        colours = array[..., : 1 if image.mode == "LA" else 3]
        opaque = image.mode == "RGB" or (array[..., -1] == 255).all()
        if opaque and (colours == colours[..., :1]).all():
            array = colours[..., 0]
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise BrokenImageError(
            f"its pixels are no single numbers (mode {image.mode}): save it in grey"
        )
    return array


def open_image(
    data: bytes | Path,
    pixel_limit: int,
    convert: "Callable[[ImageFile.ImageFile, memory.Stream], Result]",
) -> Result:
    """Return what a function makes of an opened image and its file; see `decode`."""
    from PIL import Image

    pillow.ignore_warnings()
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT // 2  # Pillow refuses twice as many
    try:
        stream = memory.open_data(data, FILE_LIMIT)
        with stream, Image.open(stream, formats=pillow.formats()) as image:
            sides = max(image.size, pillow.tile_size(image), key=math.prod)
            if math.prod(sides) > pixel_limit:
                raise LargeImageError(*sides, pixel_limit)
            with AT_WORK.holding(math.prod(sides)):
                return convert(image, stream)
    except BrokenImageError:
        raise
    except (UnreadableFileError, LevelsError) as error:
        raise BrokenImageError(str(error)) from None
    except Exception as error:  # Pillow's readers raise anything on broken bytes
        raise BrokenImageError(_reason(error, pixel_limit)) from None


def read_file(file: Path) -> bytes:
    """Read a whole file, for `decode`.

    Raises:
        BrokenImageError: If the file is empty, larger than `FILE_LIMIT`, not a regular
            file, or cannot be read.
    """
    try:
        return memory.read_file(file)
    except UnreadableFileError as error:
        raise BrokenImageError(str(error)) from None


def _reason(error: Exception, pixel_limit: int) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"its pixels are over the limit of {min(pixel_limit, PIXEL_LIMIT)}"
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.strerror:  # the file cannot be opened
        return error.strerror
    words = "".join(filter(str.isprintable, " ".join(str(error).split())))
    return f"broken image file ({words[:120] or type(error).__name__})"


def convert_levels(
    image: "ImageFile.ImageFile", stream: memory.Stream, scaling: Scaling
) -> tuple[Image8, Stored]:
    """Return an opened image as `decode` does, and the levels that it stores."""
    kind = pillow.kind_of(image)
    lower = None
    if pillow.has_16_bit_colours(image) and scaling.of(kind) != whole_range(kind):
        lower = _lower_bits(stream)
    return pillow.to_array(upright(image), lower, kind, scaling)


def upright(image: "Image.Image") -> "Image.Image":
    """Return an opened image, decoded and turned as its EXIF orientation says."""
    from PIL import ImageOps

    declared = image.size
    image.load()
    if image.im.size != declared:
        raise BrokenImageError(
            "broken image file (its pixels are not as many as its header states)"
        )
    try:
        turned = pillow.orientation(image) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except Exception:  # with broken metadata the image is used as it is stored
        return image


def _lower_bits(stream: memory.Stream) -> "Image.Image":
    """Return the lower 8 bits of the 16-bit colours of an image."""
    from PIL import Image

    stream.seek(0)
    image = Image.open(stream, formats=pillow.formats())
    pillow.take_lower_bits(image)
    return upright(image)


def crop_and_resize(
    image: Image8, size: int | Size, crop: int = 0
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    """Return the centre of an image, resized with antialiasing (Lanczos).

    A 28x28 square at size 32 is not resized, but padded by two pixels on each side that
    repeat the border, as is customary for MNIST.

    Args:
        image: Image with 1 or 3 channels.
        size: Size of the result; a number is that of a square.
        crop: Longer side of the centre, in pixels; 0 = the largest of its proportions.

    Raises:
        BrokenImageError: If the image is smaller than the crop.
        InputError: If `size` is not positive, or `crop` is negative.
    """
    wanted = size_of(size)
    if crop < 0:
        raise InputError(f"--config.data.crop is {crop} and must not be negative")
    try:
        window = windows.centre(Size(*image.shape[:2]), wanted, crop)
    except ValueError as error:
        raise BrokenImageError(str(error)) from None
    return resize(image[window.at], wanted)


def resize(image: Image8, size: Size) -> UInt8[np.ndarray, "new_high new_wide _"]:
    """Return a whole image at another size, as `crop_and_resize` does."""
    part = Size(*image.shape[:2])
    if part == size:
        return image
    if windows.is_padded(part, size):
        return np.pad(image, (*2 * [2 * (PADDING,)], (0, 0)), mode="edge")
    return _resize(image, size)


def undo_resize(
    image: UInt8[np.ndarray, "height width channels"], part: Size
) -> UInt8[np.ndarray, "part_height part_width channels"]:
    """Return the part of an image that `resize` took, from its result."""
    size = Size(*image.shape[:2])
    if windows.is_padded(part, size):
        return image[PADDING:-PADDING, PADDING:-PADDING]
    return image if part == size else _resize(image, part)


def _resize(image: Image8, size: Size) -> UInt8[np.ndarray, "new_high new_wide _"]:
    from PIL import Image

    height, width, channels = image.shape
    with AT_WORK.holding(max(height * width, size.pixels)):
        flat = np.ascontiguousarray(image[..., 0] if channels == 1 else image)
        resized = Image.fromarray(flat).resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(resized).reshape(*size, channels)


def crop_and_resize_all(
    images: UInt8[np.ndarray, "count height width channels"],
    size: int | Size,
    crop: int = 0,
) -> UInt8[np.ndarray, "count new_height new_width channels"]:
    """Apply `crop_and_resize` to images; images of the wanted size are not copied."""
    wanted = size_of(size)
    if images.shape[1:3] == wanted and crop in (0, max(wanted)):
        return images
    return np.stack([crop_and_resize(image, wanted, crop) for image in images])


def to_float_numpy(
    image: UInt8[np.ndarray, "*shape"],
) -> Float32[np.ndarray, "*shape"]:
    """Return 8-bit levels scaled to [-1, 1], in NumPy.

    `feed.to_float` would be compiled for every new shape, and users' images have many.
    """
    scaled: np.ndarray = image / np.float32(127.5) - 1
    return scaled


def with_channels(
    image: Image8, channels: int
) -> UInt8[np.ndarray, "height width wanted"]:
    """Return an image with the wanted channels; grey becomes RGB by repetition.

    Raises:
        BrokenImageError: If a colour image would have to become grey.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 1:
        raise BrokenImageError("it is a colour image, but grey images are expected")
    return np.repeat(image, 3, axis=-1)
