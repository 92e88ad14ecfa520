"""Known values at points and on grids, and the placing of points on a grid."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from gan_jax.config.names import look_up
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.units import Units
from gan_jax.data.memory import UnreadableFileError

_SHOWN = 4  # lines of points that are named
_HELD = 2**24  # cells of a larger grid that is suggested, at most


class Points(NamedTuple):
    """Known values at places, as a file holds them."""

    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    values: Float[np.ndarray, "points variables"]
    """In native units."""
    errors: Float[np.ndarray, " points"]
    """Standard deviations of the values, at least 0; NaN where none is known."""
    lines: Int[np.ndarray, " points"]
    """Numbers of their lines in the file."""
    upward: bool
    """Whether y runs up, as in a grid of GSLIB, and x and y are in the unit of its
    coordinates. Otherwise they are the column and the row from the upper left."""


class KnownGrid(NamedTuple):
    """Known values of the cells of a grid."""

    values: Float[np.ndarray, "height width channels"]
    """In native units; 0 where nothing is known."""
    mask: Bool[np.ndarray, "height width"]
    """Whether a cell is known."""
    errors: Float[np.ndarray, "height width"]
    """Standard deviations of the values, at least 0; NaN where none is known."""


Content: TypeAlias = Points | KnownGrid
"""What a file of known values holds."""


def known_grid(
    values: Shaped[np.ndarray, "height width channels"],
    mask: Bool[np.ndarray, "height width"],
    errors: Num[np.ndarray, "height width"] | None = None,
) -> KnownGrid:
    """Return the known cells of a grid; values and errors elsewhere do not matter.

    Raises:
        UnreadableFileError: Nothing is known, or a known value is not finite, or has an
            error below 0.
    """
    if not mask.any():
        raise UnreadableFileError("nothing is known: its mask is black")
    nothing = np.broadcast_to(np.nan, mask.shape)
    given = nothing if errors is None else errors
    broken = mask & ~np.isfinite(values).all(axis=-1)
    if broken.any():
        raise UnreadableFileError(f"{_cell(broken)} is not a finite number")
    wrong = mask & (given < 0)
    if wrong.any():
        raise UnreadableFileError(f"the error of {_cell(wrong)} is below 0")
    # Levels are exact in 32 bits.
    found = values.astype(np.result_type(values.dtype, np.float32))
    found[~mask] = 0
    if errors is not None:
        given = np.where(mask, errors, np.nan).astype(np.float64)
    return KnownGrid(found, mask, given)


def _cell(marked: Bool[np.ndarray, "height width"]) -> str:
    """Return the first marked cell in words."""
    row, column = np.argwhere(marked)[0]
    return f"the value at row {row}, column {column} (from 0, the upper left)"


def placed(
    content: Content,
    geometry: Geometry,
    channels: int,
    units: Units,
    snap: str,
    resizable: bool = False,
) -> KnownGrid:
    """Return known values on a grid.

    Args:
        content: What a file of known values holds.
        geometry: The grid.
        channels: Channels of its images; a single value stands for all of them.
        units: The units of values.
        snap: What is done with several values in a cell: `mean` (of codes of facies
            the commonest one), `nearest` (to the cell's centre) or `refuse` (if they
            differ).
        resizable: Whether a larger grid could be asked for, for messages.

    Raises:
        InputError: The name of `snap` is unknown.
        UnreadableFileError: Names the first point that cannot be used, in one line
            without the file's name.
    """
    choose = look_up(_SNAPS, "snap", snap)
    if choose is _averaged and units.codes:
        choose = _commonest
    if isinstance(content, KnownGrid):
        return _fitted(content, geometry, channels, units)
    if content.values.shape[1] not in (1, channels):
        raise UnreadableFileError(
            f"its points have {content.values.shape[1]} values, and the images "
            f"{channels} channel{'s'[: channels > 1]}"
        )
    rows, columns = _cells(content, geometry)
    outside = (rows < 0) | (rows >= geometry.height)
    outside |= (columns < 0) | (columns >= geometry.width)
    if outside.any():
        raise UnreadableFileError(
            f"{_point(content, int(np.argmax(outside)))} lies outside the grid of "
            f"{geometry.height}x{geometry.width} cells (height x width), "
            f"{_extent(content, geometry)}: "
            f"{_remedy(content, geometry, rows, columns, resizable)}"
        )
    values = np.broadcast_to(content.values, (len(rows), channels))
    wrong = units.outside(values)
    if wrong.any():
        at = int(np.argmax(wrong.any(axis=1)))
        value = values[at][wrong[at]][0]
        raise UnreadableFileError(
            f"{_point(content, at)} has the value {value:.9g}, {_range(units)}"
        )
    if units.codes:  # in other digits, a code is the same code
        values = units.rounded(values)
    cells = rows * geometry.width + columns
    where, values, errors = choose(content, geometry, cells, values)
    count = geometry.height * geometry.width
    mask = np.zeros(count, bool)
    grid, deviations = np.zeros((count, channels)), np.full(count, np.nan)
    mask[where], grid[where], deviations[where] = True, values, errors
    shape = geometry.height, geometry.width
    return KnownGrid(
        grid.reshape(*shape, channels), mask.reshape(shape), deviations.reshape(shape)
    )


def _cells(
    points: Points, geometry: Geometry
) -> tuple[Int[np.ndarray, " points"], Int[np.ndarray, " points"]]:
    """Return the rows and columns of the cells that hold points."""
    if points.upward:
        return geometry.cells(points.x, points.y)
    rows = Geometry(geometry.height, geometry.width)
    return rows.cells(points.x, geometry.height - 1 - points.y)


def _point(points: Points, at: int) -> str:
    """Return a point in words."""
    x, y = points.x[at], points.y[at]
    return f"line {points.lines[at]}: the point x={x:.9g}, y={y:.9g}"


def _extent(points: Points, geometry: Geometry) -> str:
    """Return the places of a grid's cells in words."""
    if not points.upward:
        return (
            f"whose x (column) runs from 0 to {geometry.width - 1} and y (row) from 0 "
            f"to {geometry.height - 1}, from the upper left"
        )
    ends = [
        (f"{origin - cell / 2:.9g}", f"{origin + (count - 0.5) * cell:.9g}")
        for origin, cell, count in zip(
            geometry.origin,
            geometry.cell,
            (geometry.width, geometry.height),
            strict=True,
        )
    ]
    return (
        f"which extend over x {ends[0][0]} to {ends[0][1]} and y {ends[1][0]} to "
        f"{ends[1][1]}"
    )


def _remedy(
    points: Points,
    geometry: Geometry,
    rows: Int[np.ndarray, " points"],
    columns: Int[np.ndarray, " points"],
    resizable: bool,
) -> str:
    """Return in words what to do with points outside a grid.

    A larger grid holds them if all lie beyond the sides on which it grows: the right
    one, and the upper one of a grid in which y runs up, or else the lower one.
    """
    steps = geometry.height - 1 - rows if points.upward else rows
    size = max(geometry.height, int(steps.max()) + 1), int(columns.max()) + 1
    size = size[0], max(geometry.width, size[1])
    holds = min(int(steps.min()), int(columns.min())) >= 0
    choices = ["leave it out"]
    if resizable and holds and size[0] * size[1] <= _HELD:
        choices.append(f"make larger images with --config.size={size[0]}x{size[1]}")
    if points.upward:
        choices.append(
            "place the grid with --config.grid.origin and --config.grid.cell"
        )
    return ", or ".join(choices)


def _range(units: Units) -> str:
    """Return in words why a value is not one of the data."""
    if units.codes:
        codes = ", ".join(f"{code:.9g}" for code in units.codes)
        return f"which is no code of a facies of the data ({codes})"
    return f"outside the range of the data, {units.low:.9g} to {units.high:.9g}"


def _fitted(
    known: KnownGrid, geometry: Geometry, channels: int, units: Units
) -> KnownGrid:
    """Return the known values of a grid, checked, with the wanted channels."""
    shape = geometry.height, geometry.width
    if known.mask.shape != shape:
        raise UnreadableFileError(
            f"it is a grid of {known.mask.shape[0]}x{known.mask.shape[1]} (height x "
            f"width), and the images are {shape[0]}x{shape[1]}"
        )
    if channels == 1 and (known.values == known.values[..., :1]).all():
        known = known._replace(values=known.values[..., :1])  # grey, saved in colour
    if known.values.shape[-1] not in (1, channels):
        raise UnreadableFileError(
            f"it has {known.values.shape[-1]} channels, and the images {channels}"
        )
    wrong = units.outside(known.values).any(axis=-1) & known.mask
    if wrong.any():
        value = known.values[wrong][0].max()
        raise UnreadableFileError(f"{_cell(wrong)} is {value:.9g}, {_range(units)}")
    return known._replace(values=np.broadcast_to(known.values, (*shape, channels)))


_Chosen: TypeAlias = tuple[
    Int[np.ndarray, " cells"],
    Float[np.ndarray, "cells channels"],
    Float[np.ndarray, " cells"],
]
"""Cells, and the value and the error of each."""


def _agreed(
    points: Points,
    geometry: Geometry,
    cells: Int[np.ndarray, " points"],
    values: Float[np.ndarray, "points channels"],
) -> _Chosen:
    """Return one value for each cell; refuse a cell in which two differ."""
    where, first, inverse = np.unique(cells, return_index=True, return_inverse=True)
    differ = (values != values[first[inverse]]).any(axis=1)
    if differ.any():
        at = int(np.argmax(differ))
        before = first[inverse[at]]
        raise UnreadableFileError(
            f"{_point(points, at)} has the value {_listed(values[at])} in the cell in "
            f"which line {points.lines[before]} has {_listed(values[before])}: keep "
            "one, or give --config.snap=mean or nearest"
        )
    return where, values[first], points.errors[first]


def _listed(values: Float[np.ndarray, " channels"]) -> str:
    return ", ".join(f"{value:.9g}" for value in dict.fromkeys(values.tolist()))


def _averaged(
    points: Points,
    geometry: Geometry,
    cells: Int[np.ndarray, " points"],
    values: Float[np.ndarray, "points channels"],
) -> _Chosen:
    """Return the mean of the values in each cell, and of their errors."""
    where, inverse, counts = np.unique(cells, return_inverse=True, return_counts=True)
    sums, errors = np.zeros((len(where), values.shape[1])), np.zeros(len(where))
    np.add.at(sums, inverse, values)
    np.add.at(errors, inverse, points.errors)
    return where, sums / counts[:, None], errors / counts


def _commonest(
    points: Points,
    geometry: Geometry,
    cells: Int[np.ndarray, " points"],
    values: Float[np.ndarray, "points channels"],
) -> _Chosen:
    """Return the commonest code in each cell, with the mean error of its points.

    Two codes that are equally common in a cell are refused.
    """
    pairs, inverse, counts = np.unique(
        np.column_stack([cells, values]),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    errors = np.zeros(len(pairs))
    np.add.at(errors, inverse.reshape(-1), points.errors)
    order = np.lexsort((-counts, pairs[:, 0]))  # the commonest of a cell first
    pairs, counts, errors = pairs[order], counts[order], (errors / counts)[order]
    first = np.r_[True, pairs[1:, 0] != pairs[:-1, 0]]
    tied = ~first & np.r_[False, counts[1:] == counts[:-1]] & np.r_[False, first[:-1]]
    if tied.any():
        at = int(np.argmax(tied))
        row, column = divmod(int(pairs[at, 0]), geometry.width)
        lines = points.lines[cells == int(pairs[at, 0])]
        more = ", ..." if len(lines) > _SHOWN else ""
        raise UnreadableFileError(
            f"the cell at row {row}, column {column} (from 0, the upper left) has the "
            f"codes {_listed(pairs[at - 1, 1:])} and {_listed(pairs[at, 1:])} equally "
            f"often (lines {', '.join(map(str, lines[:_SHOWN]))}{more})"
            ": keep one, or give --config.snap=nearest"
        )
    return pairs[first, 0].astype(np.int64), pairs[first, 1:], errors[first]


def _nearest(
    points: Points,
    geometry: Geometry,
    cells: Int[np.ndarray, " points"],
    values: Float[np.ndarray, "points channels"],
) -> _Chosen:
    """Return the value nearest to the centre of each cell, the first of equals."""
    rows, columns = np.divmod(cells, geometry.width)
    if points.upward:
        x, y = geometry.centres(rows, columns)
        sides = geometry.cell
    else:
        x, y, sides = columns.astype(float), rows.astype(float), (1.0, 1.0)
    distance = np.hypot((points.x - x) / sides[0], (points.y - y) / sides[1])
    order = np.lexsort((distance, cells))
    where, first = np.unique(cells[order], return_index=True)
    chosen = order[first]
    return where, values[chosen], points.errors[chosen]


_SNAPS: Mapping[str, Callable[..., _Chosen]] = {
    "refuse": _agreed,
    "mean": _averaged,
    "nearest": _nearest,
}
