"""Known values of a grid, read from files of several forms.

A file holds points (CSV, a point set of GSLIB) or a whole grid with a mask (an image
with a second one as its mask, an `.npz` file). Values are native: levels 0 to 255,
codes of facies or a property in its unit.
"""

import array
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from gan_jax.config.errors import InputError, printable
from gan_jax.data.decode import BrokenImageError, decode, decode_values
from gan_jax.data.grids.points import Content, KnownGrid, Points, known_grid
from gan_jax.data.grids.tables import read_table
from gan_jax.data.grids.volumes import axis_of
from gan_jax.data.memory import (
    UnreadableFileError,
    check_arrays,
    check_fits,
    open_file,
    read_file,
)

_COPIES = 10  # memory of points, as a multiple of their file's size, at most
_LINE = 2**16  # characters of a line
_START = 4096  # bytes by which a file is recognised
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d{1,4})?", re.ASCII)
_EXPONENT = str.maketrans("dD", "ee")  # of Fortran

_COLOURS = ("r", "g", "b")
_ERRORS = ("error", "std", "sigma")
_PLACES = {"x": ("x",), "y": ("y",), "row": ("row",), "column": ("column", "col")}


POINT_LINES = "wells | 3 | X | Y | porosity | 10 20 0.3"
"""The first lines of a point set."""


def read_known(
    file: Path,
    mask: Path | None = None,
    levels: bool = True,
    variable: str = "",
    usual: str = "",
) -> Content:
    """Read a file of known values, by what it holds.

    Args:
        file: A CSV file, a point set of GSLIB, an `.npz` file, or an image.
        mask: The image that is the mask of an image, white = known; None = no mask.
        levels: Whether the values of an image are reduced to levels from 0 to 255;
            otherwise they are those that are stored.
        variable: Column of a point set that holds the values; empty = the only one.
        usual: Column that is taken where none is named and there are several, if it is
            there.

    Raises:
        InputError: The file cannot be read, or does not fit into memory. The message is
            one line that names the file and, of text, the line.
    """
    what = f"--config.known {file}"
    try:
        if mask is not None:
            return _masked_image(file, mask, levels)
        with open_file(file) as stream:
            start = stream.read(_START)
        if start.startswith(b"PK"):
            return _arrays(what, file)
        if start.startswith(_IMAGES):
            raise UnreadableFileError(
                "an image alone does not say which of its pixels are known: name its "
                "mask after a comma, image.png,mask.png, white = known"
            )
        check_fits(what, _COPIES * file.stat().st_size, "give fewer points")
        if _is_comma_separated(start):
            return _comma_separated(_decoded(read_file(file)))
        return _point_set(file, variable, usual)
    except UnreadableFileError as error:
        raise InputError(f"{what}: {error}") from None


def _decoded(content: bytes) -> str:
    """Return text of UTF-8, UTF-16 with a mark, or else latin-1; lines end alike."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    if "\0" in text:
        raise UnreadableFileError(
            "it is neither text (CSV or GSLIB), an image with a mask, nor .npz"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbers and the contents of lines that are not blank."""
    start = number = 0
    while start < len(text):  # a list of all lines would take many times the text
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        if end - start > _LINE:
            raise UnreadableFileError(f"line {number} has more than {_LINE} characters")
        line, start = text[start:end], end + 1
        if line.strip(" \t,;"):
            yield number, line.strip(" ")


def _is_comma_separated(start: bytes) -> bool:
    """Return whether text begins as CSV; the title of a point set may have commas."""
    first = [line for line in _decoded(start).split("\n") if line.strip(" \t,;")]
    title = len(first) > 1 and first[1].strip().isdecimal()
    return bool(first) and bool(_separator(first[0])) and not title


def _number(text: str) -> float:
    """Return the number in text; NaN where it is none."""
    found = _NUMBER.fullmatch(text)
    return float(text.translate(_EXPONENT)) if found else math.nan


def _separator(header: str) -> str:
    """Return what separates the columns of a CSV file, by its header; "" if nothing."""
    return next((mark for mark in (";", "\t", ",") if mark in header), "")


def _comma_separated(text: str) -> Points:
    """Return the points of a CSV file.

    With decimal commas, columns are separated by semicolons or tabs.
    """
    rows = _lines(text)
    _, header = next(rows)
    separator = _separator(header)
    names = [name.strip(" \t\"'").lower() for name in header.split(separator)]
    places, values, error = _columns(names)
    decimal = separator != ","
    numbers, lines = array.array("d"), array.array("q")
    for number, line in rows:
        fields = [field.strip(" \t\"'") for field in line.split(separator)]
        while len(fields) > len(names) and not fields[-1]:
            fields.pop()  # spreadsheets write empty columns
        if len(fields) != len(names):
            raise UnreadableFileError(
                f"line {number} has {len(fields)} columns, and its header "
                f"{len(names)}: {_WANTED}"
            )
        for column, field in enumerate(fields):
            value = _number(field.replace(",", ".") if decimal else field)
            if column == error and not field:
                numbers.append(math.nan)
                continue
            if not math.isfinite(value):
                raise UnreadableFileError(
                    f"line {number}: {names[column]} is {_shown(field)}, not a number"
                )
            numbers.append(value)
        lines.append(number)
    table = np.frombuffer(numbers, np.float64).reshape(-1, len(names))
    errors = table[:, error] if error >= 0 else np.broadcast_to(np.nan, len(table))
    at = np.frombuffer(lines, np.int64)
    _check_errors(errors, at)
    x, y = (table[:, place] for place in places)
    if not len(table):
        raise UnreadableFileError("it holds no point: give one at least")
    return Points(x, y, table[:, values], errors, at, upward=False)


def _check_errors(
    errors: Float[np.ndarray, " points"], lines: Int[np.ndarray, " points"]
) -> None:
    if (errors < 0).any():
        raise UnreadableFileError(
            f"line {lines[np.argmax(errors < 0)]}: its error is below 0, and it is a "
            "standard deviation"
        )


_WANTED = (
    "its first line must name the columns, x,y,value or row,column,value, e.g. "
    "x,y,value / 3,5,200 / 20,14,0"
)


def _columns(names: Sequence[str]) -> tuple[tuple[int, int], list[int], int]:
    """Return the columns of x and y, of the values, and of the error; -1 = no error."""

    def place(name: str) -> int:
        return next((names.index(each) for each in _PLACES[name] if each in names), -1)

    x, y = place("x"), place("y")
    column, row = place("column"), place("row")
    if min(x, y) < 0 and min(column, row) < 0:
        raise UnreadableFileError(f"it does not say where the points are: {_WANTED}")
    if max(x, y) >= 0 and max(column, row) >= 0:
        raise UnreadableFileError(f"it has both x, y and row, column: {_WANTED}")
    where = (x, y) if min(x, y) >= 0 else (column, row)
    error = next((names.index(name) for name in _ERRORS if name in names), -1)
    colours = [names.index(name) for name in _COLOURS if name in names]
    plain = [names.index("value")] if "value" in names else []
    used = {*where, error, *colours, *plain}
    others = [name for at, name in enumerate(names) if at not in used]
    if others or len({*names}) < len(names):
        raise UnreadableFileError(
            f"its header {_shown(','.join(names))} has a column that is none of x, y, "
            "row, column, value, r, g, b and error, or has one twice: leave it out"
        )
    if bool(plain) == bool(colours) or len(colours) not in (0, len(_COLOURS)):
        raise UnreadableFileError(
            f"it has no column of values, or not all of r, g and b: {_WANTED}"
        )
    return where, plain or colours, error


def _shown(text: str) -> str:
    """Return a file's words for a message, shortened."""
    return f"'{printable(text[:40])}'" if text else "empty"


def _point_set(file: Path, variable: str, usual: str) -> Points:
    """Return the points of a file in GSLIB's format: x, y, perhaps z, and values."""
    try:
        table = read_table(str(file), "known")
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
    broken = ~np.isfinite(table.values).all(axis=1)
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
    values = [at for at in range(len(names)) if at not in axes.values()]
    columns = {names[at].lower(): at for at in values}
    asked = variable.strip().lower()
    if asked in columns:
        return axes[0], axes[1], columns[asked]
    listed = _shown(", ".join(names[at] for at in values))
    if asked:
        raise UnreadableFileError(
            f"it has no column {_shown(variable)} of values, but {listed}: choose one "
            "with --config.variable"
        )
    if usual.lower() in columns and len(values) > 1:
        return axes[0], axes[1], columns[usual.lower()]
    if not values:
        raise UnreadableFileError(
            f"it has no column of values beside x, y and z: a point set begins like "
            f"{POINT_LINES}"
        )
    if len(values) > 1:
        raise UnreadableFileError(
            f"it has {len(values)} columns of values beside x, y and z ({listed}): "
            "choose one with --config.variable"
        )
    return axes[0], axes[1], values[0]


def _masked_image(file: Path, mask: Path, levels: bool) -> KnownGrid:
    """Return the known pixels of an image, those where its mask is white."""
    try:
        image = decode(file) if levels else decode_values(file)[..., None]
    except BrokenImageError as error:
        raise UnreadableFileError(str(error)) from None
    try:
        marks = decode(mask)
    except BrokenImageError as error:
        raise UnreadableFileError(f"its mask: {error}") from None
    if marks.shape[:2] != image.shape[:2]:
        sizes = ["{1}x{0}".format(*each.shape) for each in (marks, image)]
        raise UnreadableFileError(f"its mask is {sizes[0]}, the image {sizes[1]}")
    known: Bool[np.ndarray, "_ _"]
    known = marks.sum(axis=-1, dtype=np.uint16) > 127 * marks.shape[-1]
    return known_grid(image, known, None)


def _arrays(what: str, file: Path) -> KnownGrid:
    """Return the known cells of an `.npz` file with `values` and `mask`."""
    names = ("values", "mask", "error")
    try:
        with open_file(file) as stream:
            check_arrays(what, stream, names, "give a smaller grid")
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
    if values.ndim != 3 or values.shape[:2] != mask.shape or not values.size:
        raise UnreadableFileError(
            f"its values have the shape {arrays['values'].shape} and its mask "
            f"{mask.shape}: both must be [height, width], values may have channels"
        )
    errors = arrays.get("error")
    if errors is not None and errors.shape != mask.shape:
        raise UnreadableFileError(f"its error has the shape {errors.shape}")
    return known_grid(values, mask != 0, errors)
