"""Known values of a grid, read from files of several forms.

A file holds points (CSV, a point set of GSLIB) or a whole grid with a mask (an image
with a second one as its mask, an `.npz` file). Values are native: levels 0 to 255,
codes of facies or a property in its unit.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gan_jax.config.errors import InputError, printable
from gan_jax.config.limits import Size
from gan_jax.data.decode import (
    PIXEL_BYTES,
    PIXEL_LIMIT,
    BrokenImageError,
    LargeImageError,
    decode_values,
    read_header,
)
from gan_jax.data.files.levels import WHOLE, Scaling
from gan_jax.data.grids.csv_files import decoded, is_label, is_table, read_points, shown
from gan_jax.data.grids.points import Content, KnownGrid, Points, known_grid
from gan_jax.data.grids.tables import parse_table
from gan_jax.data.grids.volumes import axis_of
from gan_jax.data.mask_files import decode_layers, read_mask
from gan_jax.data.memory import (
    FILE_LIMIT,
    UnreadableFileError,
    check_arrays,
    check_fits,
    open_data,
    read_file,
)

_COPIES = 10  # memory of points, as a multiple of their file's size, at most
_START = 4096  # bytes by which a file is recognised
_ARRAY = b"\x93NUMPY"
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")

POINT_LINES = "wells | 3 | X | Y | porosity | 10 20 0.3"
"""The first lines of a point set."""


def read_known(
    data: bytes | Path,
    mask: bytes | Path | None = None,
    levels: bool = True,
    scaling: Scaling = WHOLE,
    variable: str = "",
    usual: str = "",
    what: str = "",
    memory: int | None = None,
) -> Content:
    """Read known values, by what their file holds.

    Args:
        data: Content of a CSV file, a point set of GSLIB, an `.npz` file, or an image;
            or the path of one.
        mask: The image that is the mask of an image, white = known; None = no mask. An
            image of levels may have transparent pixels instead, which are not known.
        levels: Whether the values of an image are reduced to levels from 0 to 255;
            otherwise they are those that are stored.
        scaling: How levels of more than 8 bits are reduced.
        variable: Column of a point set that holds the values; empty = the only one.
        usual: Column that is taken where none is named and there are several, if it is
            there.
        what: The file, for messages; empty = as the key `known` and its path.
        memory: Bytes that its values may take; None = those of the machine.

    Raises:
        InputError: The file cannot be read, or does not fit into memory. The message is
            one line that names the file and, of text, the line.
    """
    what = what or f"--config.known {data if isinstance(data, Path) else ''}".strip()
    try:
        if mask is not None:
            _check_pixels(data, memory)
            _check_pixels(mask, memory)
            return _masked_image(data, mask, scaling if levels else None)
        with open_data(data) as stream:
            start, size = stream.read(_START), stream.seek(0, os.SEEK_END)
        if start.startswith(b"PK"):
            return _arrays(what, data, memory)
        if start.startswith(_IMAGES):
            _check_pixels(data, memory)
            if levels and (grid := _transparent_image(data, scaling)) is not None:
                return grid
            raise UnreadableFileError(
                "an image without transparent pixels does not say which are known: "
                "name its mask after a comma, image.png,mask.png, or in a folder "
                "name.png and name_mask.png, white = known"
            )
        if start.startswith(_ARRAY):
            raise UnreadableFileError(
                "an .npy array does not say which of its cells are known: save values "
                "and mask in an .npz file, np.savez(name, values=..., mask=...)"
            )
        check_fits(what, _COPIES * size, "give fewer points", memory)
        if is_table(decoded(start)):
            text = data if isinstance(data, bytes) else read_file(data)
            return read_points(decoded(text))
        return _point_set(what, data, variable, usual)
    except UnreadableFileError as error:
        raise InputError(f"{what}: {error}") from None


def _check_pixels(data: bytes | Path, memory: int | None) -> None:
    """Refuse an image, by its header, that takes more memory than there is."""
    if memory is None:
        return
    try:
        read_header(data, min(PIXEL_LIMIT, memory // PIXEL_BYTES))
    except LargeImageError as error:
        raise UnreadableFileError(str(error)) from None
    except BrokenImageError:
        pass  # decoding says what is wrong, and of which of the files


def _point_set(what: str, data: bytes | Path, variable: str, usual: str) -> Points:
    """Return the points of a file in GSLIB's format: x, y, perhaps z, and values."""
    try:
        with open_data(data, FILE_LIMIT) as stream:
            table = parse_table(stream, what)
    except OSError as error:
        raise UnreadableFileError(error.strerror or str(error)) from None
    except InputError as error:
        message = str(error).partition("; a grid begins like")[0]
        raise InputError(
            f"{message}; a point set begins like {POINT_LINES} (a title, the number of "
            "columns, their names, and a row for each point)"
        ) from None
    if table.size is not None:
        raise UnreadableFileError(
            f"it holds a whole grid, not points: a point set begins like {POINT_LINES} "
            "(a title, the number of columns, their names, and a row for each point)"
        )
    x, y, value = _columns_of_points(table.names, variable, usual)
    count = len(table.values)
    broken = ~np.isfinite(table.values[:, [x, y, value]]).all(axis=1)
    if broken.any():
        raise UnreadableFileError(
            f"line {table.line + int(np.argmax(broken))} has a value that is not finite"
        )
    return Points(
        table.values[:, x],
        table.values[:, y],
        table.values[:, [value]],
        np.full(count, np.nan),
        table.line + np.arange(count),
        upward=True,
    )


def _columns_of_points(
    names: Sequence[str], variable: str, usual: str
) -> tuple[int, int, int]:
    """Return the columns of x, of y, and of the values.

    The first two columns are x and y where none is named so.
    """
    axes: dict[int, int] = {}
    for column, name in enumerate(names):
        axis = axis_of(name)
        if axis is not None:
            axes.setdefault(axis, column)
    if not {0, 1} <= axes.keys():
        axes = {0: 0, 1: 1, **({2: 2} if axes.get(2) == 2 else {})}
    every = [at for at in range(len(names)) if at not in axes.values()]
    values = [at for at in every if not is_label(names[at])] or every
    # A depth may be the property itself.
    depth = [axes[2]] if 2 in axes else []
    columns = {names[at].lower(): at for at in (*depth, *every)}
    asked = variable.strip().lower()
    if asked in columns:
        return axes[0], axes[1], columns[asked]
    listed = shown(", ".join(names[at] for at in values))
    if asked:
        raise UnreadableFileError(
            f"it has no column {shown(variable)} of values, but {listed}: choose one "
            "with --config.variable"
        )
    if usual.lower() in columns and len(values) != 1:
        return axes[0], axes[1], columns[usual.lower()]
    if not values:
        raise UnreadableFileError(
            "it has no column of values beside x, y and z: name one of them with "
            f"--config.variable, or give points that begin like {POINT_LINES}"
        )
    if len(values) > 1:
        raise UnreadableFileError(
            f"it has {len(values)} columns of values beside x, y and z ({listed}): "
            "choose one with --config.variable"
        )
    return axes[0], axes[1], values[0]


def _masked_image(
    data: bytes | Path, mask: bytes | Path, scaling: Scaling | None
) -> KnownGrid:
    """Return the known pixels of an image: opaque ones where its mask is white.

    Its values become levels by the scaling; None = they are those that are stored.
    """
    try:
        if scaling is not None:
            image, opaque = decode_layers(data, scaling=scaling)
        else:
            image, opaque = decode_values(data)[..., None], None
    except BrokenImageError as error:
        raise UnreadableFileError(str(error)) from None
    try:
        known = read_mask(mask)  # pixels that are all white equal their mask
    except BrokenImageError as error:
        raise UnreadableFileError(f"its mask: {error}") from None
    if known.shape != image.shape[:2]:
        sizes = [Size(*each.shape[:2]) for each in (known, image)]
        raise UnreadableFileError(
            f"its mask is {sizes[0]}, the image {sizes[1]} (height x width)"
        )
    return known_grid(image, known if opaque is None else known & opaque, None)


def _transparent_image(data: bytes | Path, scaling: Scaling) -> KnownGrid | None:
    """Return the opaque pixels of an image as known; None if all are opaque."""
    try:
        image, opaque = decode_layers(data, scaling=scaling)
    except BrokenImageError as error:
        raise UnreadableFileError(str(error)) from None
    return None if opaque is None else known_grid(image, opaque, None)


def _arrays(what: str, data: bytes | Path, memory: int | None) -> KnownGrid:
    """Return the known cells of an `.npz` file with `values` and `mask`."""
    names = ("values", "mask", "error")
    try:
        with open_data(data) as stream:
            check_arrays(what, stream, names, "give a smaller grid", available=memory)
            with np.load(stream, allow_pickle=False) as found:
                arrays = {each: found[each] for each in names if each in found.files}
    except (InputError, UnreadableFileError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file leads to
        words = " ".join(str(error).split())[:200]
        raise UnreadableFileError(f"it is no .npz file ({printable(words)})") from None
    if not {"values", "mask"} <= arrays.keys():
        raise UnreadableFileError("it lacks the array values or mask")
    values, mask = arrays["values"], arrays["mask"]
    for each, kinds in (("values", "biuf"), ("mask", "biuf"), ("error", "iuf")):
        if each in arrays and arrays[each].dtype.kind not in kinds:
            raise UnreadableFileError(f"its {each} are not numbers")
    if values.ndim == 2:
        values = values[..., None]
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise UnreadableFileError("its mask has NaN: 1 = known, 0 = not")
    if values.ndim != 3 or values.shape[:2] != mask.shape or not values.size:
        raise UnreadableFileError(
            f"its values have the shape {arrays['values'].shape} and its mask "
            f"{mask.shape}: both must be [height, width], values may have channels"
        )
    errors = arrays.get("error")
    if errors is not None and errors.shape != mask.shape:
        raise UnreadableFileError(f"its error has the shape {errors.shape}")
    return known_grid(values, mask != 0, errors)
