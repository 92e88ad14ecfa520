"""The headers of the field's text tables, recognised by what they hold.

- GSLIB (Deutsch & Journel 1998): a title, the number of variables, their names, one a
  line. SGeMS and MPSlib write the numbers of cells in place of the title; SGSIM writes
  them after the number of variables, with the centre of the first cell and the size of
  cells. geone's `writeImageGslib` follows the cells with their size and the lower left
  corner of the grid.
- geone and DeeSse: `# NX 250` and the like, then the names in one line. `OX` and its
  kin are the lower left corner of the grid (`readGridInfoFromHeaderTxt` of geone).
- A line of names, as of geone's point sets and of GS3D (`X;Y;Z;Value`).
"""

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from gan_jax.data.memory import Stream

LINE = 10_000
"""Characters of a line of a header, at most."""

GRID_LINES = "250 250 1 | 1 | facies"
"""The first three lines of a grid."""
GEONE_LINES = "# NX 250 | # NY 250 | facies"
"""Three lines of a header of geone."""

_VARIABLES = 1000  # largest number of them
_COMMENTS = 1000  # largest number of lines that begin with #
_CELLS = 2**40  # along an axis: far more than a file can hold
_SIZE_OF_SGEMS = re.compile(r"\((\d{1,12})x(\d{1,12})x(\d{1,12})\)\s*$")
_KEYS = {
    "size": (("nx", "nxcells"), ("ny", "nycells"), ("nz", "nzcells")),
    "cell": (
        ("sx", "xsize", "xcellsize"),
        ("sy", "ysize", "ycellsize"),
        ("sz", "zsize", "zcellsize"),
    ),
    "corner": (
        ("ox", "xorigin", "xllcorner"),
        ("oy", "yorigin", "yllcorner"),
        ("oz", "zorigin", "zllcorner"),
    ),
}
"""Words of geone's headers along x, y and z, in lower case."""

Triple = tuple[float, float, float]
"""A number along x, one along y, and one along z."""


class MalformedError(Exception):
    """What is wrong with a table, and in which line."""


class Header(NamedTuple):
    """What a header states."""

    names: tuple[str, ...]
    """Names of the variables, all different."""
    size: tuple[int, int, int] | None = None
    """Numbers of cells along x, y and z; None = the header states none."""
    cell: Triple = (1.0, 1.0, 1.0)
    """Sides of a cell."""
    origin: Triple = (0.5, 0.5, 0.5)
    """Centre of the first cell, which is the lowest along all axes."""
    order: str = "+X+Y+Z"
    """Axes from the fastest to the slowest, `-` where an axis is run down."""
    grids: int = 1
    """Realisations, one after the other."""
    points: int | None = None
    """Number of rows that a point set states."""


class Lines:
    """The lines of a file, one at a time, counted from 1."""

    def __init__(self, stream: Stream):
        """Read from the current position."""
        self._stream = stream
        self.number = 0
        self.example = GRID_LINES  # of the dialect that the first line is of

    def read(self) -> str:
        """Return the next line as text, without its end.

        Raises:
            MalformedError: The file has ended, or the line is too long to be of a
                header.
        """
        raw = self._stream.readline(LINE + 1)
        if not raw:
            raise MalformedError(f"the file ends after line {self.number}")
        self.number += 1
        if len(raw) > LINE:
            raise MalformedError(f"line {self.number} is no line of a header: too long")
        if self.number == 1:
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise MalformedError("the text is UTF-16: save it as UTF-8")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            self.example = GEONE_LINES if raw.startswith(b"#") else GRID_LINES
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        return text.strip()

    def ahead(self, count: int) -> list[str]:
        """Return the next lines, which are read again; empty where the file ends."""
        place, number = self._stream.tell(), self.number
        try:
            return [self._read_if_any() for _ in range(count)]
        finally:
            self._stream.seek(place)
            self.number = number

    def _read_if_any(self) -> str:
        try:
            return self.read()
        except MalformedError:
            return ""


def read_header(lines: Lines) -> Header:
    """Read a header; the first row of values follows.

    Raises:
        MalformedError: It is of no known dialect.
    """
    first, second, third = lines.ahead(3)
    if first.startswith("#"):
        return _geone(lines)
    names, row = split_names(first), split_row(second)
    if (
        names
        and not _leading(names)
        and len(_leading(row)) == len(row) == len(names)
        and (not third or _leading(split_row(third)))
    ):
        lines.read()
        return Header(_different(names))
    return _gslib(lines)


def split_names(line: str) -> list[str]:
    """Return the names in a line: between semicolons, tabs, commas, or blanks."""
    mark = next((mark for mark in ";\t," if mark in line), None)
    return [name.strip() for name in line.split(mark) if name.strip()]


def split_row(line: str) -> list[str]:
    """Return the words of a row, whatever is between them."""
    return line.replace(";", " ").split()


def number(word: str) -> float:
    """Return a number as this field writes it; NaN if the word is none.

    The comma may be the decimal sign, and D the sign of an exponent.
    """
    plain = word.rstrip(",").translate(str.maketrans(",Dd", ".Ee"))
    try:
        return math.nan if "_" in plain or not plain.isascii() else float(plain)
    except ValueError:
        return math.nan


def is_number(word: str) -> bool:
    """Return whether a word is a number, or NaN."""
    return not math.isnan(number(word)) or word.lower().lstrip("+-") == "nan"


def _leading(words: Sequence[str]) -> list[str]:
    """Return the words up to the first that is no number."""
    end = next((at for at, word in enumerate(words) if not is_number(word)), None)
    return list(words[:end])


def _whole(word: str, line: int, what: str, most: int) -> int:
    value = number(word)
    if not (1 <= value <= most and value == int(value)):
        raise MalformedError(
            f"line {line} has '{word[:40]}' as {what}, which is a whole number from 1 "
            f"to {most}"
        )
    return int(value)


def _size(words: Sequence[str], line: int) -> tuple[int, int, int]:
    whole = [_whole(word, line, "a number of cells", _CELLS) for word in words[:3]]
    return (whole[0], whole[1], whole[2] if len(whole) > 2 else 1)


def _triple(words: Sequence[str], line: int, what: str, positive: bool) -> Triple:
    values = [number(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if not math.isfinite(value) or (positive and value <= 0):
            kind = "a number above 0" if positive else "a number"
            raise MalformedError(
                f"line {line} has '{word[:40]}' as {what}, which is {kind}"
            )
    return (values[0], values[1], values[2])


def _gslib(lines: Lines) -> Header:
    first, second = lines.read(), lines.read()
    words, rest = first.split(), second.split()
    if not rest or not is_number(rest[0]):
        raise MalformedError(
            f"line 2 is '{second[:40]}', and no number of variables"
            if second
            else "line 2 is empty, and no number of variables"
        )
    numbers = _leading(words)
    variables = _whole(rest[0], 2, "the number of variables", _VARIABLES)
    stated: Header = Header(())
    if len(numbers) >= 3 or len(numbers) == len(words) == 2:
        stated = stated._replace(size=_size(numbers, 1))
        if len(numbers) >= 6:
            cell = _triple(numbers[3:6], 1, "a cell", True)
            stated = stated._replace(cell=cell, origin=_centre((0.0, 0.0, 0.0), cell))
        if len(numbers) >= 9:
            corner = _triple(numbers[6:9], 1, "the origin", False)
            stated = stated._replace(origin=_centre(corner, stated.cell))
    elif found := _SIZE_OF_SGEMS.search(first):
        stated = stated._replace(size=_size(found.groups(), 1))
    elif len(_leading(rest)) >= 4:
        stated = _sgsim(_leading(rest))
    elif len(numbers) == len(words) == 1:
        stated = stated._replace(points=_whole(words[0], 1, "a count", _CELLS))
    names = []
    for place in range(variables):
        try:
            names.append(lines.read() or f"variable {place + 1}")
        except MalformedError as error:
            raise MalformedError(
                f"{error}, among the names of its {variables} variables"
            ) from None
    return stated._replace(names=_different(names))


def _sgsim(words: Sequence[str]) -> Header:
    """Return what the second line of SGSIM states (GSLIB 2.9, `sgsim.for`)."""
    stated = Header((), _size(words[1:4], 2))
    if len(words) >= 10:
        stated = stated._replace(
            origin=_triple(words[4:7], 2, "the origin", False),
            cell=_triple(words[7:10], 2, "a cell", True),
        )
    if len(words) >= 11:
        count = _whole(words[10], 2, "the number of realisations", _CELLS)
        stated = stated._replace(grids=count)
    return stated


def _geone(lines: Lines) -> Header:
    found: dict[str, tuple[str, int]] = {}
    known = {word for axes in _KEYS.values() for words in axes for word in words}
    while lines.ahead(1)[0].startswith("#"):
        words = lines.read().replace("#", " ").split()
        if lines.number > _COMMENTS:
            raise MalformedError(f"more than {_COMMENTS} lines begin with #")
        for word, value in itertools.pairwise(words):
            if word.lower() in known or word.lower() == "sorting":
                if _meaning(word) in found:
                    raise MalformedError(f"line {lines.number} states {word} again")
                found[_meaning(word)] = value, lines.number
    # A file may be commented without stating a grid.
    size = None
    if any(_meaning(axis[0]) in found for axis in _KEYS["size"]):
        size = _size(*_stated(found, "size", "1"))
    cell = _triple(*_stated(found, "cell", "1"), "a cell", True)
    corner = _triple(*_stated(found, "corner", "0"), "the origin", False)
    order, line = found.get("sorting", ("+X+Y+Z", 0))
    order = order.upper() + ("+Z" if len(order) == 4 else "")
    axes = "".join(sorted(order[1::2]))
    if len(order) != 6 or axes != "XYZ" or not {*order[::2]} <= {*"+-"}:
        raise MalformedError(
            f"line {line} has '{order[:40]}' as SORTING, which is like +X+Y+Z"
        )
    names = split_names(lines.ahead(1)[0])
    if not names or _leading(names):
        raise MalformedError(
            f"line {lines.number + 1} has no names of variables, as `facies`"
        )
    lines.read()
    return Header(_different(names), size, cell, _centre(corner, cell), order)


def _meaning(word: str) -> str:
    """Return the first of the words that mean the same."""
    alike = [
        words for axes in _KEYS.values() for words in axes if word.lower() in words
    ]
    return alike[0][0] if alike else word.lower()


def _stated(
    found: dict[str, tuple[str, int]], what: str, default: str
) -> tuple[list[str], int]:
    """Return the words along the three axes, and the last line that has one."""
    pairs = [found.get(words[0], (default, 0)) for words in _KEYS[what]]
    return [word for word, _ in pairs], max(line for _, line in pairs)


def _centre(corner: Triple, cell: Triple) -> Triple:
    """Return the centre of the cell that touches the lower left corner of a grid."""
    x, y, z = (at + side / 2 for at, side in zip(corner, cell, strict=True))
    return (x, y, z)


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which the second of the same name is followed by `(2)`."""
    different: list[str] = []
    for name in names:
        short, again = name[:100], 1
        while short in different:
            again += 1
            short = f"{name[:100]} ({again})"
        different.append(short)
    return tuple(different)
