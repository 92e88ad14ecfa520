"""Points in tables whose first line names the columns: CSV and the like.

x is the column and y the row, both from 0 at the upper left. Columns lie between
semicolons, tabs, commas or blanks.
"""

import array
import csv
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from gan_jax.config.errors import printable
from gan_jax.data.grids.headers import number
from gan_jax.data.grids.points import Points
from gan_jax.data.memory import UnreadableFileError

_LINE = 2**16  # characters of a line
_SEPARATOR = re.compile(r"\"?sep=([;,|\t])\"?", re.IGNORECASE)  # of Excel

_COLOURS = ("r", "g", "b")
_ERRORS = ("error", "std", "sigma")
_PLACES = {"x": ("x",), "y": ("y",), "row": ("row",), "column": ("column", "col")}
_LABEL = re.compile(r"((well|point|sample)[ _-]?)?(id|name)", re.IGNORECASE)

_WANTED = (
    "its first line must name the columns, x,y,value or row,column,value, e.g. "
    "x,y,value / 3,5,200 / 20,14,0"
)


def is_label(name: str) -> bool:
    """Return whether a column names points, and holds nothing else of them."""
    return _LABEL.fullmatch(name.strip()) is not None


def shown(text: str) -> str:
    """Return a file's words for a message, shortened."""
    return f"'{printable(text[:40])}'" if text else "empty"


def decoded(content: bytes) -> str:
    """Return text of UTF-8, UTF-16 with a mark, or else latin-1; lines end alike.

    Raises:
        UnreadableFileError: It is no text.
    """
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


def is_table(start: str) -> bool:
    """Return whether text begins as such a table, and not as a point set of GSLIB.

    The title of a point set may have commas. A whole number, alone in its line or
    before a line that is no row of numbers, follows it.
    """
    lines = [line for line in start.split("\n") if line.strip(" \t,;")][:3]
    if not lines:
        return False
    if _SEPARATOR.fullmatch(lines[0].strip()):
        return True
    separator, names = _header(lines[0])
    first, *others = "".join(lines[1:2]).split() or [""]
    if first.isdecimal() and not others and len(names) > 1:
        return False
    if _say_where(names):
        return True
    third = re.split(r"[\s,;]+", "".join(lines[2:]).strip())[0]
    named = len(lines) > 2 and math.isnan(number(third))
    return separator is not None and not (first.isdecimal() and named)


def read_points(text: str) -> Points:
    """Return the points of a table.

    Decimal commas are read where columns are not separated by commas, or in quotes.

    Raises:
        UnreadableFileError: Names the line, and what is wrong.
    """
    rows = _lines(text)
    _, header = next(rows, (0, ""))
    stated = _SEPARATOR.fullmatch(header)
    if stated:
        _, header = next(rows, (0, ""))
    separator, names = _header(header, stated[1] if stated else "")
    places, values, error = _columns(names)
    labels = {at for at, name in enumerate(names) if is_label(name)}
    numbers, lines = array.array("d"), array.array("q")
    for at, line in rows:
        fields = _fields(line, separator)
        while len(fields) > len(names) and not fields[-1]:
            fields.pop()  # spreadsheets write empty columns
        if len(fields) != len(names):
            raise UnreadableFileError(
                f"line {at} has {len(fields)} columns, and its header "
                f"{len(names)}: {_WANTED}"
            )
        for column, field in enumerate(fields):
            value = number(field)
            if column in labels or (column == error and not field):
                numbers.append(math.nan)
                continue
            if not math.isfinite(value):
                raise UnreadableFileError(
                    f"line {at}: {names[column]} is {shown(field)}, not a number"
                )
            numbers.append(value)
        lines.append(at)
    table = np.frombuffer(numbers, np.float64).reshape(-1, len(names))
    errors = table[:, error] if error >= 0 else np.broadcast_to(np.nan, len(table))
    places_in_file = np.frombuffer(lines, np.int64)
    _check_errors(errors, places_in_file)
    x, y = (table[:, place] for place in places)
    if not len(table):
        raise UnreadableFileError("it holds no point: give one at least")
    return Points(x, y, table[:, values], errors, places_in_file, upward=False)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbers and the contents of lines that are not blank."""
    start = at = 0
    while start < len(text):  # a list of all lines would take many times the text
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        at += 1
        if end - start > _LINE:
            raise UnreadableFileError(f"line {at} has more than {_LINE} characters")
        line, start = text[start:end], end + 1
        if line.strip(" \t,;"):
            yield at, line.strip(" ")


def _header(line: str, stated: str = "") -> tuple[str | None, list[str]]:
    """Return what separates the columns, None = blanks, and their names.

    Args:
        line: The header.
        stated: What separates them, where the file states it.
    """
    separator = stated or next((mark for mark in ";\t," if mark in line), None)
    names = [name.lower() for name in _fields(line, separator)]
    if separator == "\t" and not ("" not in names[:-1] and _say_where(names)):
        blanks = [name.lower() for name in _fields(line, None)]
        if _say_where(blanks):  # tabs and blanks that align the columns
            return None, blanks
    return separator, names


def _say_where(names: Sequence[str]) -> bool:
    """Return whether names are those of columns that say where points are."""
    given = {name for name, words in _PLACES.items() if {*words} & {*names}}
    return {"x", "y"} <= given or {"row", "column"} <= given


def _fields(line: str, separator: str | None) -> list[str]:
    """Return the fields of a line, without quotes and the blanks around them."""
    if separator is None or (separator == "\t" and "\t" not in line):
        fields = line.split()
    elif '"' in line:
        fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    else:
        fields = line.split(separator)
    return [field.strip(" \t\"'") for field in fields]


def _check_errors(
    errors: Float[np.ndarray, " points"], lines: Int[np.ndarray, " points"]
) -> None:
    if (errors < 0).any():
        raise UnreadableFileError(
            f"line {lines[np.argmax(errors < 0)]}: its error is below 0, and it is a "
            "standard deviation"
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
    others = [
        name for at, name in enumerate(names) if at not in used and not is_label(name)
    ]
    if others or len({*names}) < len(names):
        raise UnreadableFileError(
            f"its header {shown(','.join(names))} has a column that is none of x, y, "
            "row, column, value, r, g, b, error, id and name, or has one twice: leave "
            "it out"
        )
    if bool(plain) == bool(colours) or len(colours) not in (0, len(_COLOURS)):
        raise UnreadableFileError(
            f"it has no column of values, or not all of r, g and b: {_WANTED}"
        )
    return where, plain or colours, error
