"""Volumes: one variable of a file, on the cells of a grid."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.config.names import closest
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.headers import GRID_LINES, Triple
from gan_jax.data.grids.tables import Table

_REGULAR = 1e-3  # largest relative difference between steps of a lattice
_LONG = 3  # cells along an axis of which coordinates can be told from values
_SHOWN = 12  # names in a message, at most
_GRID = "data.grid"

_COORDINATE = re.compile(
    r"(utm|world|grid)?[ _-]?"
    r"(?P<axis>x{1,2}|y{1,2}|z{1,2}|east(ing)?s?|north(ing)?s?|lon(g(itude)?)?"
    r"|lat(itude)?|depth|i[xyz])"
    r"[ _-]?(coord(inate)?s?|utm|world|index|m|ft)?( ?[\[(].{0,10}[\])])?"
)
_AXES: Mapping[str, int] = {"x": 0, "e": 0, "y": 1, "n": 1, "z": 2, "d": 2}


class Volume(NamedTuple):
    """One variable on the cells of a grid of one or more layers."""

    name: str
    """Name of the variable; empty where the file has none."""
    values: Float[np.ndarray, "layers rows columns"]
    """Native values, from the lowest layer, row (along y) and column (along x) on; NaN
    where there is none."""
    cell: Triple = (1.0, 1.0, 1.0)
    """Sides of a cell along x, y and z."""
    origin: Triple = (0.5, 0.5, 0.5)
    """Centre of the first cell."""
    notes: tuple[str, ...] = ()
    """What was chosen in reading, in one line each."""


class _Lattice(NamedTuple):
    """The grid of which the coordinates in a table are the cells."""

    size: tuple[int, int, int]
    cell: Triple
    origin: Triple
    places: Int[np.ndarray, " rows"]
    """The number of the cell of each row, with x fastest, then y, then z."""


def axis_of(name: str) -> int | None:
    """Return the axis that a variable's name stands for: 0 = x, 1 = y, 2 = z."""
    found = _COORDINATE.fullmatch(name.strip().lower())
    if found is None:
        return None
    axis = found["axis"]
    if axis.startswith("l"):
        return int(axis.startswith("lat"))
    return _AXES[axis.removeprefix("i")[0] if len(axis) == 2 else axis[0]]


def gridded(table: Table, grid: str, what: str) -> Table:
    """Return a table that states no numbers of cells with those of a text.

    Realisations may follow one another; they are layers.

    Args:
        table: A table, with a row for each cell; x runs fastest, then y, then z.
        grid: Height x width, such as `250x300`, or the numbers of cells along x, y and
            z, such as `300,250,1`.
        what: The file, for messages.

    Raises:
        InputError: If it is no such text, the rows are not those of such grids, or the
            table states other numbers.
    """
    numbers = re.fullmatch(r"(\d{1,9}),(\d{1,9}),(\d{1,9})", grid, re.ASCII)
    if numbers:
        x, y, z = map(int, numbers.groups())
    else:
        try:
            y, x = size_of(grid, _GRID)
        except InputError:
            raise InputError(
                f"--config.{_GRID} '{grid}' is neither height x width, such as 250x300,"
                " nor cells along x, y and z, such as 300,250,1"
            ) from None
        z = 1
    if table.size not in (None, (x, y, z)):
        stated = ",".join(map(str, table.size or ()))
        raise InputError(
            f"{what} states {stated} cells along x, y and z, and --config.{_GRID} "
            f"{x},{y},{z}: leave it out"
        )
    rows = len(table.values)
    if not x * y * z or rows % (x * y * z):
        raise InputError(
            f"{what} has {rows} rows, and grids of --config.{_GRID}={grid} have "
            f"{x * y * z} each: give the numbers that it was made with"
        )
    return table._replace(size=(x, y, rows // (x * y)))


def volume_of(table: Table, wanted: str, what: str) -> Volume:
    """Return one variable of a table.

    Coordinates are not taken for values: columns that are named so, or that rise by the
    same step from cell to cell. Where they are those of a regular grid, they place the
    rows, and cells without a row are NaN.

    Args:
        table: A grid, or a point set with the coordinates of a grid's cells.
        wanted: Name of the variable; empty = the only one that is none of coordinates.
        what: The file, for messages.

    Raises:
        InputError: If there is no such variable, or several, or no grid.
    """
    axes: dict[int, int] = {}
    for column, name in enumerate(table.names):
        axis = axis_of(name)
        if axis is not None:
            axes.setdefault(axis, column)
    lattice = None
    if {0, 1} <= axes.keys():
        flat = {axis: column for axis, column in axes.items() if axis < 2}
        # The depth of a surface is named like a coordinate, and is none.
        lattice = _lattice(table, axes) or _lattice(table, flat)
    if lattice is not None and table.size not in (None, lattice.size):
        lattice = None
    if table.size is None and lattice is None:
        side = math.isqrt(len(table.values))
        side = side if side * side == len(table.values) > 1 else 250
        raise InputError(
            f"{what} states no numbers of cells, and has no coordinates of all cells of"
            f" a regular grid: its first lines must be like {GRID_LINES}; or give the "
            f"height x width that its {len(table.values)} rows are of, e.g. "
            f"--config.{_GRID}={side}x{side}"
        )
    column, notes = _chosen(table, wanted, what)
    if lattice is None:
        assert table.size is not None
        x, y, z = table.size
        ordered = table.values[:, column].reshape(z, y, x)
        return Volume(table.names[column], ordered, table.cell, table.origin, notes)
    x, y, z = lattice.size
    values = np.full(x * y * z, np.nan)
    values[lattice.places] = table.values[:, column]
    return Volume(
        table.names[column],
        values.reshape(z, y, x),
        lattice.cell,
        lattice.origin,
        notes,
    )


def section_of(
    volume: Volume, layer: int, what: str
) -> tuple[Float[np.ndarray, "height width"], Geometry]:
    """Return a layer of a volume, or a vertical section, as an image, and its grid.

    A section along x and z, or along y and z, has z as its height. The upper row is the
    first.

    Args:
        volume: The volume.
        layer: Number of the layer, counted from 1, the lowest; 0 = there is only one.
        what: The file, for messages.

    Raises:
        InputError: If there is no such layer, or there are several and none is chosen.
    """
    layers, rows, columns = volume.values.shape
    upright = layers > 1 and min(rows, columns) == 1
    if upright and layer:
        raise InputError(
            f"{what} is a vertical section of {layers}x{max(rows, columns)} cells "
            "(height x width), not a stack of layers: leave out --config.data.layer"
        )
    if layer > layers:
        raise InputError(
            f"{what} has {layers} layers: choose --config.data.layer from 1, the lowest"
        )
    if layers > 1 and not upright and not layer:
        raise InputError(
            f"{what} has {layers} layers: choose one with --config.data.layer, from 1, "
            f"the lowest, to {layers}"
        )
    if upright:
        across = 0 if rows == 1 else 1
        values = volume.values.reshape(layers, -1)
        cell = (volume.cell[across], volume.cell[2])
        origin = (volume.origin[across], volume.origin[2])
    else:
        values = volume.values[max(layer - 1, 0)]
        cell, origin = volume.cell[:2], volume.origin[:2]
    return values[::-1], Geometry(*values.shape, cell, origin)


def _chosen(table: Table, wanted: str, what: str) -> tuple[int, tuple[str, ...]]:
    """Return the column of the wanted variable, and what is to be said of it."""
    names = table.names
    if wanted:
        alike = [at for at, name in enumerate(names) if name.lower() == wanted.lower()]
        if wanted in names:
            return names.index(wanted), ()
        if len(alike) == 1:
            return alike[0], ()
        raise InputError(
            f"{what} has no variable '{wanted}'{closest(wanted, names)}; it has "
            f"{_listed(names)}: choose one with --config.data.variable"
        )
    if len(names) == 1:
        return 0, ()
    coordinates, flat, left = [], [], []
    for column, name in enumerate(names):
        values = table.values[:, column]
        shape = (table.size or (len(values), 1, 1))[::-1]
        if axis_of(name) is not None or _like_coordinates(values.reshape(shape)):
            coordinates.append(name)
        elif (values == values[0]).all():
            flat.append(name)
        else:
            left.append(name)
    if not left and not flat:
        raise InputError(
            f"{what} has coordinates alone ({_listed(names)}): choose one with "
            "--config.data.variable if it is to be trained on"
        )
    if len(left) != 1:
        beside = f" beside coordinates ({_listed(coordinates)})" if coordinates else ""
        others = left + flat
        raise InputError(
            f"{what} has {len(others)} variables{beside}, {_listed(others)}: choose one"
            f" with --config.data.variable, e.g. --config.data.variable={others[0]}"
        )
    aside = {"look like coordinates": coordinates, "have one value": flat}
    notes = [
        f"variable {left[0]} is used; {_listed(found)} {kind} and are not trained on"
        for kind, found in aside.items()
        if found
    ]
    return names.index(left[0]), tuple(notes)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _even(values: Float[np.ndarray, " count"]) -> bool:
    """Return whether values differ by the same step from one to the next."""
    steps = np.diff(values)
    middle = (values[-1] - values[0]) / len(steps)
    return bool(
        np.isfinite(middle)
        and middle != 0
        and (np.abs(steps - middle) <= _REGULAR * abs(middle)).all()
    )


def _like_coordinates(values: Float[np.ndarray, "layers rows columns"]) -> bool:
    """Return whether values are those of coordinates along an axis, or of a count."""
    for axis, length in enumerate(values.shape):
        if length >= _LONG:
            first = [slice(0, 1)] * 3
            first[axis] = slice(None)
            line = values[tuple(first)]
            if (values == line).all() and _even(line.ravel()):
                return True
    return values.size >= _LONG and _even(values.ravel())


def _lattice(table: Table, axes: Mapping[int, int]) -> _Lattice | None:
    """Return the regular grid of which coordinates are; None if they are of none.

    Args:
        table: A table.
        axes: Columns of the coordinates along x (0), y (1) and z (2), if it has them.
    """
    size, cell, origin = [1, 1, 1], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]
    places = np.zeros(len(table.values), np.int64)
    for axis, column in sorted(axes.items()):
        found, inverse = np.unique(table.values[:, column], return_inverse=True)
        if not np.isfinite(found).all() or (len(found) > 1 and not _even(found)):
            return None
        places += (
            inverse.reshape(-1)
            * (size[0] * size[1] if axis == 2 else 1)
            * (size[0] if axis == 1 else 1)
        )
        size[axis] = len(found)
        origin[axis] = float(found[0])
        if len(found) > 1:
            cell[axis] = float((found[-1] - found[0]) / (len(found) - 1))
        elif table.size is not None:
            cell[axis] = table.cell[axis]
    cells = size[0] * size[1] * size[2]
    taken: Bool[np.ndarray, " cells"]
    if cells > 2 * len(places):  # points, and no grid
        return None
    taken = np.zeros(cells, bool)
    taken[places] = True
    if taken.sum() < len(places):  # several rows for a cell
        return None
    return _Lattice(
        (size[0], size[1], size[2]),
        (cell[0], cell[1], cell[2]),
        (origin[0], origin[1], origin[2]),
        places,
    )
