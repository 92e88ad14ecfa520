"""Arrays and images as training images: their numbers as they are, the upper row first.

A row of an array or an image is a row of the field, and its first row lies at the top.
"""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from gan_jax.config.errors import InputError
from gan_jax.data.decode import BrokenImageError, decode_values
from gan_jax.data.grids.volumes import Volume
from gan_jax.data.memory import UnreadableFileError, check_arrays, check_fits, open_file

_START = 512  # bytes by which a text is told
SUFFIXES = (".npy", ".npz")
"""Suffixes of arrays."""


def read_raster(path: str, wanted: str, what: str) -> Volume:
    """Read an image of one number a pixel, or an array `[height, width]`.

    An array `[layers, height, width]` has its lowest layer first. Pickled objects are
    never loaded.

    Args:
        path: A .npy or .npz file, or an image file of any other suffix.
        wanted: Name of the array of an .npz file; empty = the only one.
        what: The file, for messages.

    Raises:
        InputError: If it cannot be read, or is neither.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() in SUFFIXES:
        name, array = _read_array(place, wanted, what)
    else:
        name = ""
        try:
            array = decode_values(place)
        except BrokenImageError as error:
            raise InputError(f"{what}: {error}") from None
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(
            f"{what} has an array of type {array.dtype} and shape {list(array.shape)}: "
            "save numbers as [height, width] or [layers, height, width]"
        )
    values = _real(array)
    return Volume(name, values[..., ::-1, :].reshape(-1, *array.shape[-2:]))


def _real(array: Shaped[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return numbers in single or double precision; NaN marks what has no value."""
    if array.dtype == np.float16:  # 0.1 stays 0.1, in the precision of the result
        patterns = np.arange(2**16, dtype=np.uint16).view(np.float16)
        decimals = np.array([*map(float, map(str, patterns))], np.float32)
        return decimals[array.astype(np.float16, order="C").view(np.uint16)]
    # Small whole numbers are exact in 32 bits.
    kind = np.result_type(array.dtype, np.float32)
    with np.errstate(over="ignore"):  # numbers beyond double precision are infinite
        return array.astype(kind if kind.itemsize <= 8 else np.float64)


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of a file by name, none of which is loaded.

    The array of an .npy file has the name "". There are none if the file is broken.
    """
    try:
        with open_file(path) as stream:
            if path.suffix.lower() == ".npy":
                return {"": _shape(stream)}
            with np.load(stream, allow_pickle=False) as arrays:
                shapes = {}
                for name in arrays.files:
                    with arrays.zip.open(f"{name}.npy") as member:
                        shapes[name] = _shape(member)
                return shapes
    except Exception:  # whatever broken bytes lead to: the reader of the file says it
        return {}


def remedy(file: Path) -> str:
    """Return what to do about a broken file of arrays.

    A download that broke off, and a page that a server sent in its place, are commoner
    than arrays that were saved wrongly.
    """
    with contextlib.suppress(UnreadableFileError), open_file(file) as stream:
        start = stream.read(_START).lstrip()
        if start[:1] in (b"<", b"{") or start.startswith(b"version https://git-lfs"):
            return "it is a text, as an error page is: download it again"
    save = {".npy": "np.save", ".npz": "np.savez"}.get(file.suffix.lower())
    return "download it again" + (f", or save it again with {save}" if save else "")


def _shape(stream: Any) -> tuple[int, ...]:
    npy = np.lib.format
    first = npy.read_magic(stream) == (1, 0)
    read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
    shape: tuple[int, ...] = read(stream)[0]
    return shape


def _read_array(
    place: Path, wanted: str, what: str
) -> tuple[str, Shaped[np.ndarray, "..."]]:
    try:
        with open_file(place) as stream:
            names = [*shapes_of(place)]
            name = wanted if wanted in names else names[0] if len(names) == 1 else ""
            if name not in names or (wanted and name != wanted):
                raise InputError(
                    f"{what} has the arrays {', '.join(names) or 'of nothing readable'}"
                    ": choose one with --config.data.variable"
                )
            check_arrays(what, stream, (name,), "give a smaller array")
            loaded: Any = np.load(stream, allow_pickle=False)
            array = loaded if isinstance(loaded, np.ndarray) else loaded[name]
            check_fits(what, array.nbytes + 8 * array.size, "give a smaller array")
            return name, array
    except InputError:
        raise
    except UnreadableFileError as error:
        raise InputError(f"{what}: {error}: give an array") from None
    except Exception as error:  # zip and header errors share no base class
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if "pickle" in reason or "Object arrays" in reason:
            reason = "it holds Python objects, which are never loaded"
        raise InputError(
            f"{what} cannot be read as an array ({reason}): {remedy(place)}"
        ) from None
