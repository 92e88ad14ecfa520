"""How far images agree with known values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.units import Units

TOLERANCE = 0.1
"""Share of the range within which a known value counts as honoured, unless its error is
known. A facies without an error is honoured by the same facies alone."""

_ROUNDING = 1e-6  # of differences in single precision


class KnownCells(NamedTuple):
    """The known cells of a grid, in the order of the flat mask."""

    mask: Bool[np.ndarray, "height width"]
    values: Float[np.ndarray, "cells channels"]
    """In native units."""
    errors: Float[np.ndarray, " cells"]
    """Within which a value counts as honoured, in native units; NaN = within
    `TOLERANCE` of the scaled range, and of facies 0."""
    units: Units

    def of(
        self, images: Num[np.ndarray, "count height width channels"]
    ) -> Num[np.ndarray, "count cells channels"]:
        """Return the values of images in the known cells."""
        return images[:, self.mask]

    def honoured(
        self, found: Num[np.ndarray, "count cells channels"]
    ) -> Bool[np.ndarray, "count cells"]:
        """Return which known values images honour in every channel.

        Values between two codes of facies stand for the nearer one.
        """
        if self.units.codes:
            found = self.units.rounded(found)
        misses = self.misses(found).max(axis=-1)
        slack = _ROUNDING * (self.units.high - self.units.low)
        if self.units.codes:
            allowed = np.nan_to_num(self.errors, nan=0.0)
            return np.asarray(misses <= allowed + slack)
        scaled = self.units.scaled(found) - self.units.scaled(self.values)
        near = np.abs(scaled).max(axis=-1) <= 2 * TOLERANCE + _ROUNDING
        return np.where(np.isnan(self.errors), near, misses <= self.errors + slack)

    def misses(
        self, found: Num[np.ndarray, "count cells channels"]
    ) -> Float[np.ndarray, "count cells channels"]:
        """Return the differences from the known values, in native units."""
        return np.abs(found - self.values)

    def limits(self) -> Float[np.ndarray, "height width 1"]:
        """Return within which scaled difference a value is honoured; 1 elsewhere.

        Where the scaling is no straight line an error is of another size below a value
        than above it, and the smaller one counts. Beyond an end of the range there is
        no value, so that side does not count; 2 is the whole range.
        """
        reach = self._steps() if self.units.codes else self._reach()
        limits = np.ones((*self.mask.shape, 1))
        limits[self.mask, 0] = np.maximum(reach, _ROUNDING)
        return limits

    def _reach(self) -> Float[np.ndarray, " cells"]:
        """Return the scaled difference within which a property is honoured."""
        scaled, reach = self.units.scaled(self.values), np.full(len(self.values), 2.0)
        for sign in (-1, 1):
            ends = self.values + sign * self.errors[:, None]
            moved = np.abs(self.units.scaled(ends) - scaled)
            moved = np.where(self.units.outside(ends), 2.0, moved)
            reach = np.minimum(reach, moved.min(axis=1))
        return np.where(np.isnan(self.errors), 2 * TOLERANCE, reach)

    def _steps(self) -> Float[np.ndarray, " cells"]:
        """Return the scaled difference within which a facies is honoured.

        It ends half a step before the nearest code beyond the error, as an image is
        rounded to the nearest code.
        """
        codes = np.asarray(self.units.codes)
        misses = np.abs(codes - self.values[..., None])
        slack = _ROUNDING * (self.units.high - self.units.low)
        allowed = np.nan_to_num(self.errors, nan=0.0) + slack
        step = 2 / (len(codes) - 1)
        places = (self.units.scaled(self.values) + 1) / step
        away = np.abs(np.arange(len(codes)) - places[..., None])
        beyond = np.where(misses > allowed[:, None, None], away - 0.5, np.inf)
        nearest: Float[np.ndarray, " cells"] = beyond.min(axis=(1, 2)) * step
        return np.minimum(nearest, 2.0)


def known_cells(known: KnownGrid, units: Units) -> KnownCells:
    """Return the known cells of a grid."""
    mask = known.mask
    values = known.values[mask].astype(np.float64)
    return KnownCells(mask, values, known.errors[mask], units)


class Agreement(NamedTuple):
    """How far some images agree with known values: sums and maxima, which add up."""

    honoured: int = 0
    """Number of known values that are honoured, over all images."""
    total: int = 0
    """Number of known values, over all images."""
    largest_miss: float = 0.0
    """Largest difference of a value, in native units."""

    def plus(self, other: "Agreement") -> "Agreement":
        """Return the agreement of further images too."""
        return Agreement(
            self.honoured + other.honoured,
            self.total + other.total,
            max(self.largest_miss, other.largest_miss),
        )

    @property
    def share(self) -> float | None:
        """Share of the known values that are honoured; None where nothing is known."""
        return self.honoured / self.total if self.total else None


def agreement(
    cells: KnownCells, images: Num[np.ndarray, "count height width channels"]
) -> Agreement:
    """Return how far images in native units agree with known values."""
    found = cells.of(images)
    honoured = cells.honoured(found)
    misses = cells.misses(found)
    largest = float(misses.max(initial=0.0))
    return Agreement(int(honoured.sum()), honoured.size, largest)


Stages = Mapping[str, Agreement]
"""Agreements by what was done: `generated`, `refined` (if asked for), `written`."""


def as_json(stages: Stages) -> dict[str, Any]:
    """Return agreements as an entry of JSON, which `from_json` reads."""
    return {name: list(each) for name, each in stages.items()}


def from_json(entry: Mapping[str, Any]) -> dict[str, Agreement]:
    """Return the agreements of an entry of JSON.

    Raises:
        ValueError: It is not such an entry.
    """
    kinds: tuple[tuple[type, ...], ...] = ((int,), (int,), (int, float))
    for name, each in entry.items():
        fits = isinstance(each, list) and len(each) == len(kinds)
        if not fits or not all(
            type(number) in kind for number, kind in zip(each, kinds, strict=True)
        ):
            raise ValueError(f"the agreement {name} is not three numbers")
    return {name: Agreement(*each) for name, each in entry.items()}
