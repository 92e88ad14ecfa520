"""Text tables of numbers: grids and point sets, as the field's tools write them.

The dialect of a file is what its first lines hold, whatever its suffix.
"""

import os
import warnings
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Bool, Float

from gan_jax.config.errors import InputError
from gan_jax.data.grids.headers import (
    Header,
    Lines,
    MalformedError,
    Triple,
    is_number,
    read_header,
)
from gan_jax.data.memory import (
    FILE_LIMIT,
    Stream,
    UnreadableFileError,
    check_fits,
    open_file,
)

_CHUNK = 2**14  # bytes that are parsed at once
_BLANK = b"\t\n\v\f\r \x1a"  # DOS files end with 1a
_IS_BLANK = np.isin(np.arange(256), np.frombuffer(_BLANK, np.uint8))
_LINE_END = ord("\n")


class Table(NamedTuple):
    """A table of numbers, and the grid of which its rows are the cells."""

    names: tuple[str, ...]
    """Names of the variables, all different."""
    values: Float[np.ndarray, "rows variables"]
    """One row for each cell or point. In a grid x runs fastest, then y, then z, all
    upwards: the first row is the lower left cell of the lowest layer."""
    size: tuple[int, int, int] | None
    """Numbers of cells along x, y and z; None for a point set."""
    cell: Triple
    """Sides of a cell along x, y and z; 1 where the file states none."""
    origin: Triple
    """x, y and z of the centre of the first cell. It is half a cell where the file
    states none, so that the lower left corner of the grid is 0, as in the parameter
    files of GSLIB."""
    line: int
    """Line of the file, counted from 1, that holds the first row."""


def read_table(path: str, flag: str) -> Table:
    """Read a grid or a point set.

    Args:
        path: Path of the file.
        flag: The key of a config that holds it, for messages.

    Raises:
        InputError: As `parse_table`, or the file cannot be read.
    """
    what = f"--config.{flag} {path}"
    try:
        with open_file(Path(path).expanduser(), FILE_LIMIT) as stream:
            return parse_table(stream, what)
    except UnreadableFileError as error:
        raise InputError(f"{what}: {error}: give a grid or a point set") from None
    except OSError as error:
        raise InputError(f"{what}: {error.strerror or 'it cannot be read'}") from None


def parse_table(stream: Stream, what: str) -> Table:
    """Return the grid or the point set that a file holds.

    These are read: GSLIB, SGeMS, MPSlib, SGSIM and SNESIM; geone and DeeSse (`# NX`
    headers, and a line of names); see `headers`. The text may be UTF-8, with or without
    a byte order mark, or latin-1; the comma may be the decimal sign, D the sign of an
    exponent. Nothing is read into memory but numbers, which take at most four times
    the size of the file.

    Args:
        stream: The file, at its start.
        what: The file, for messages.

    Raises:
        InputError: If it is no such table, too large, or not as its header states. The
            message names the line.
        OSError: If it cannot be read.
    """
    lines = Lines(stream)
    try:
        header = read_header(lines)
        values = _read_values(stream, header, lines, what)
    except MalformedError as error:
        raise InputError(
            f"{what} cannot be read: {error}; a grid begins like {lines.example} (the "
            "numbers of cells, the number of variables, their names), and a row of "
            "values for each cell follows"
        ) from None
    line = lines.number + 1
    if header.size is None:
        return Table(header.names, values, None, header.cell, header.origin, line)
    x, y, z = header.size
    return Table(
        header.names,
        _in_order(values, header),
        (x, y, z * header.grids),
        header.cell,
        header.origin,
        line,
    )


def _read_values(
    stream: Stream, header: Header, lines: Lines, what: str
) -> Float[np.ndarray, "rows variables"]:
    start = stream.tell()
    most = (stream.seek(0, os.SEEK_END) - start + 1) // 2  # a digit and a blank
    stream.seek(start)
    variables = len(header.names)
    rows = header.points
    if header.size is not None:
        x, y, z = header.size
        rows = x * y * z * header.grids
    if rows is not None and rows * variables > most:
        raise MalformedError(
            f"its header states {rows} rows of {variables} values, and at most {most} "
            "values follow"
        )
    check_fits(what, 10 * most, "give a smaller file")
    values = np.empty(most)
    count = _Parser(stream, variables, lines.number).fill(values)
    if not count:
        raise MalformedError(f"no values follow line {lines.number}")
    if rows is not None and count != rows * variables:
        raise MalformedError(
            f"its header states {rows} rows, and {count // variables} follow"
        )
    values.resize(count, refcheck=False)
    return values.reshape(-1, variables)


class _Parser:
    """A parser of numbers, a part of the file at a time."""

    def __init__(self, stream: Stream, variables: int, line: int):
        self._stream = stream
        self._variables = variables
        self._line = line + 1  # of the next byte
        self._in_line = 0  # values so far in that line
        self._marks: bytes | None = None  # what stands for a blank or a decimal point

    def fill(self, values: Float[np.ndarray, " most"]) -> int:
        """Write all numbers of the stream to an array, and return their count."""
        count = 0
        rest = b""
        while True:
            read = self._stream.read(_CHUNK)
            text = rest + read
            # A number is never cut.
            end = 1 + max(map(text.rfind, (b"\n", b" ", b"\t"))) if read else len(text)
            if not end and len(text) > _CHUNK:
                raise MalformedError(
                    f"line {self._line} has '{text[:40].decode('latin-1')}...', which "
                    "is no number"
                )
            text, rest = text[:end], text[end:]
            if text:
                found = self._parse(text)
                values[count : count + len(found)] = found
                count += len(found)
            if not read:
                self._check_line(self._in_line, self._line)
                return count

    def _parse(self, text: bytes) -> Float[np.ndarray, " count"]:
        if self._marks is None:
            self._marks = _marks(text, self._variables)
        plain = text.translate(self._marks)
        characters = np.frombuffer(plain, np.uint8)
        blank = _IS_BLANK[characters]
        begins = ~blank
        begins[1:] &= blank[:-1]
        expected = int(begins.sum())
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # before numpy 2.4 of words
            try:
                found = (
                    np.fromstring(plain, np.float64, sep=" ")
                    if expected
                    else np.empty(0)  # numpy makes a number of blanks
                )
            except (DeprecationWarning, ValueError):
                self._refuse(text)
        if len(found) != expected:
            self._refuse(text)
        self._check_rows(begins, characters == _LINE_END)
        return found

    def _check_rows(
        self, begins: Bool[np.ndarray, " bytes"], ends: Bool[np.ndarray, " bytes"]
    ) -> None:
        """Refuse lines that are no whole rows; one variable may lie in any lines."""
        places = np.flatnonzero(ends)
        if self._variables > 1:
            sums = np.cumsum(begins, dtype=np.int32)
            counts = np.diff(sums[places], prepend=0)
            counts[:1] += self._in_line
            for wrong in np.flatnonzero(counts % self._variables)[:1].tolist():
                self._check_line(int(counts[wrong]), self._line + wrong)
            last = int(sums[places[-1]]) if places.size else -self._in_line
            self._in_line = int(sums[-1]) - last
        self._line += len(places)

    def _check_line(self, count: int, line: int) -> None:
        if count % self._variables:
            raise MalformedError(
                f"line {line} has {count} values for {self._variables} variables"
            )

    def _refuse(self, text: bytes) -> NoReturn:
        """Name the first word that is no number, and its line."""
        for place, line in enumerate(text.split(b"\n")):
            for word in line.translate(self._marks).decode("latin-1").split():
                if not is_number(word):
                    raise MalformedError(
                        f"line {self._line + place} has '{word[:40]}', which is no "
                        "number"
                    )
        raise MalformedError(f"a line from {self._line} on is no row of numbers")


def _marks(text: bytes, variables: int) -> bytes:
    """Return the table that makes numbers plain: what is a blank, a point, an exponent.

    Semicolons lie between values, and commas too unless they are decimal signs: where
    the words between blanks are as many as there should be.

    Args:
        text: The first part of the values.
        variables: Number of values in a row.
    """
    lines = text.split(b"\n")
    comma = next((line.split() for line in lines if b"," in line), [])
    between = b";" not in text and (
        any(word.endswith(b",") for word in comma)
        or (len(comma) % variables > 0 and b"".join(comma).count(b",") == variables - 1)
    )
    return bytes.maketrans(b"Dd\x1a;,", b"Ee  " + (b" " if between else b"."))


def _in_order(
    values: Float[np.ndarray, "rows variables"], header: Header
) -> Float[np.ndarray, "rows variables"]:
    """Return the rows of a grid with x fastest, then y, then z, all upwards."""
    if header.order == "+X+Y+Z":
        return values
    assert header.size is not None
    axes = [*map("XYZ".index, header.order[1::2])]  # fastest first
    shape = [header.size[axis] for axis in reversed(axes)]
    cells = values.reshape(*shape, -1)
    down = tuple(2 - at for at in range(3) if header.order[2 * at] == "-")
    # Axis 2 - i of the cells is axes[i]; z, y and x are wanted in this order.
    ordered = np.flip(cells, down).transpose(*(2 - axes.index(a) for a in (2, 1, 0)), 3)
    return ordered.reshape(values.shape)
