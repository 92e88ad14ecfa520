"""Where the cells of a grid lie."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

_FAR = 1e300  # NaN and what no float holds are beyond it


class Geometry(NamedTuple):
    """The coordinates of a grid of one layer, as GSLIB defines them.

    x runs to the right along columns and y runs up along rows. An image has its row 0
    at the top, so that y falls as the row number rises.
    """

    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    cell: tuple[float, float] = (1.0, 1.0)
    """Side of a cell along x and along y, in the unit of coordinates; above 0."""
    origin: tuple[float, float] = (0.0, 0.0)
    """x and y of the centre of the lower left cell."""

    def cells(
        self, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]
    ) -> tuple[Int[np.ndarray, " points"], Int[np.ndarray, " points"]]:
        """Return the rows and the columns of the cells that hold points.

        A point outside the grid has a row or a column outside it. A point on the edge
        of two cells is in the one to the right, or above.
        """
        columns = np.floor((x - self.origin[0]) / self.cell[0] + 0.5)
        levels = np.floor((y - self.origin[1]) / self.cell[1] + 0.5)
        bound = 2.0**62  # far outside, and an integer of 64 bits
        return (
            self.height - 1 - np.clip(levels, -bound, bound).astype(np.int64),
            np.clip(columns, -bound, bound).astype(np.int64),
        )

    def centres(
        self, rows: Int[np.ndarray, " cells"], columns: Int[np.ndarray, " cells"]
    ) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
        """Return the x and the y of the centres of cells."""
        x = float(self.origin[0]) + columns * float(self.cell[0])
        y = float(self.origin[1]) + (self.height - 1 - rows) * float(self.cell[1])
        return x, y

    def as_json(self) -> dict[str, Any]:
        """Return the entries of a summary, which `from_json` reads."""
        return {
            "grid": [self.height, self.width],
            "cell": [*self.cell],
            "origin": [*self.origin],
        }


def from_json(entry: Mapping[str, Any]) -> Geometry | None:
    """Return the geometry of entries that `Geometry.as_json` has made; None if none.

    Other entries are left aside.

    Raises:
        ValueError: If they are not such entries.
    """
    names = ("grid", "cell", "origin")
    if all(entry.get(name) is None for name in names):
        return None
    grid, cell, origin = (entry.get(name, []) for name in names)
    for name, pair in zip(names, (grid, cell, origin), strict=True):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(type(each) in (int, float) for each in pair)
            or not all(-_FAR < each < _FAR for each in pair)
            or (name != "origin" and min(pair) <= 0)
            or (name == "grid" and not all(type(each) is int for each in pair))
        ):
            raise ValueError(f"{name} is {pair!r}, and not two numbers of a grid")
    side, place = [*map(float, cell)], [*map(float, origin)]
    return Geometry(grid[0], grid[1], (side[0], side[1]), (place[0], place[1]))
