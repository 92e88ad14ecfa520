"""The arrays that go into an exported network and come out of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from gan_jax.data.grids.units import Units


class ArraySpec(NamedTuple):
    """A float32 array that goes in or comes out."""

    name: str
    shape: tuple[int | str, ...]
    """Sizes; a name stands for any size, the same wherever it stands."""
    interval: tuple[float, float] | None
    """Interval of its values; None = unbounded."""
    meaning: str
    example: str = ""
    """NumPy expression of values to try."""
    units: Units | None = None
    """Units of the data that the interval stands for; None if its values have none."""

    def metadata(self) -> dict[str, Any]:
        """Return its entry in `metadata.json`."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": "float32",
            "interval": self.interval,
            "meaning": self.meaning,
            **({} if self.units is None else _conversion(self.name, self.units)),
        }


def shapes(arrays: Sequence[ArraySpec]) -> list[jax.ShapeDtypeStruct]:
    """Return the shapes of arrays, with symbols for their free sizes."""
    lengths = [size for array in arrays for size in array.shape]
    names = list(dict.fromkeys(size for size in lengths if isinstance(size, str)))
    # One call, because sizes of two calls cannot be compared with each other.
    sizes: dict[int | str, Any] = dict(
        zip(names, export.symbolic_shape(", ".join(names)), strict=True)
    )
    return [
        jax.ShapeDtypeStruct(
            [sizes.get(size, size) for size in array.shape], np.float32
        )
        for array in arrays
    ]


def _conversion(name: str, units: Units) -> Mapping[str, Any]:
    """Return the units of an array, and NumPy expressions that convert its values.

    `to_native` computes `Units.native`, rounded as the data are, of the array under its
    name; `from_native` computes `Units.scaled` of an array `native`.
    """
    knots, most = str([*units.knots]), len(units.knots) - 1
    places = f"np.linspace(-1, 1, {most + 1})"
    if units.codes:
        place = f"(np.clip({name}, -1, 1) + 1) / 2 * {most}"
        native = f"np.array({knots})[np.rint({place}).astype(int)]"
    elif units.scale == "log":
        native = f"np.exp(np.interp({name}, {places}, np.log({knots})))"
    else:
        native = f"np.interp({name}, {places}, {knots})"
    if units.whole and not units.codes:
        native = f"np.rint({native})"
    scaled = f"np.interp(native, {knots}, {places})"
    if units.scale == "log":
        scaled = f"np.interp(np.log(native), np.log({knots}), {places})"
    return {"units": units.as_json(), "to_native": native, "from_native": scaled}
