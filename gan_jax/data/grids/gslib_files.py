"""Grids written as text in the format of GSLIB and SGeMS."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Num

from gan_jax.data.grids.geometry import Geometry


def write_grids(
    write: Callable[[bytes], object],
    geometry: Geometry,
    name: str,
    count: int,
    rows: Iterator[Num[np.ndarray, "grids width"]],
) -> None:
    """Write grids of one shape as the variables of one file.

    The first line holds the numbers of cells along x, y and z. Their sides and the
    lower left corner of the grid follow in it, as geone writes them, unless the cells
    have the side 1 and the corner is 0. The second line holds the number of variables;
    their names follow, one a line, and then a line for each cell from the lower left
    corner, with x varying fastest.

    Args:
        write: Writes to the file.
        geometry: The grid.
        name: Name of a variable, before its number from 1 on.
        count: Number of grids.
        rows: The rows of all grids, the lowest first.
    """
    names = "".join(f"{name}{number}\n" for number in range(1, count + 1))
    write(f"{_first_line(geometry)}\n{count}\n{names}".encode())
    levels = [b"%d" % level for level in range(256)]
    for row in rows:
        for cell in row.T:
            if cell.dtype == np.uint8:
                words = [levels[value] for value in cell]
            else:
                words = [b"%.9g" % value for value in cell.tolist()]
            write(b" ".join(words) + b"\n")


def _first_line(geometry: Geometry) -> str:
    """Return the numbers of cells, and the sides and the corner where they matter."""
    cells = f"{geometry.width} {geometry.height} 1"
    sides = [float(side) for side in geometry.cell]
    corner = [
        float(at) - side / 2 for at, side in zip(geometry.origin, sides, strict=True)
    ]
    if sides == [1, 1] and corner == [0, 0]:
        return cells
    return " ".join([cells, *map(repr, [*sides, 1.0, *corner, 0.0])])
