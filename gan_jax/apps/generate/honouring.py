"""How far images agree with known values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.units import Units

TOLERANCE = 0.1
"""Share of the range within which a known value counts as honoured, unless its error is
known. A facies is honoured by the same facies alone."""

_ROUNDING = 1e-6  # of differences in single precision


class KnownCells(NamedTuple):
    """The known cells of a grid, in the order of the flat mask."""

    mask: Bool[np.ndarray, "height width"]
    values: Float[np.ndarray, "cells channels"]
    """In native units."""
    errors: Float[np.ndarray, " cells"]
    """Within which a value counts as honoured, in native units; NaN = within
    `TOLERANCE` of the scaled range."""
    units: Units

    def of(
        self, images: Num[np.ndarray, "count height width channels"]
    ) -> Num[np.ndarray, "count cells channels"]:
        """Return the values of images in the known cells."""
        return images[:, self.mask]

    def honoured(
        self, found: Num[np.ndarray, "count cells channels"]
    ) -> Bool[np.ndarray, "count cells"]:
        """Return which known values images honour in every channel."""
        misses = self.misses(found).max(axis=-1)
        scaled = self.units.scaled(found) - self.units.scaled(self.values)
        near = np.abs(scaled).max(axis=-1) <= self._reach + _ROUNDING
        slack = _ROUNDING * (self.units.high - self.units.low)
        within: Bool[np.ndarray, "_ _"] = misses <= self.errors + slack
        return np.where(np.isnan(self.errors), near, within)

    @property
    def _reach(self) -> float:
        """Largest scaled difference where no error is known: of facies, none other."""
        codes = len(self.units.codes)
        return 1 / (codes - 1) if codes else 2 * TOLERANCE

    def misses(
        self, found: Num[np.ndarray, "count cells channels"]
    ) -> Float[np.ndarray, "count cells channels"]:
        """Return the differences from the known values, in native units."""
        return np.abs(found - self.values)

    def limits(self) -> Float[np.ndarray, "height width 1"]:
        """Return the largest scaled difference of an honoured value; 1 elsewhere."""
        reach = np.full(len(self.values), self._reach)
        scaled = self.units.scaled(self.values)
        for sign in (-1, 1):
            moved = self.units.scaled(self.values + sign * self.errors[:, None])
            # At an end of the range only the other direction counts.
            step = np.where(moved == scaled, np.inf, np.abs(moved - scaled)).min(axis=1)
            reach = np.where(np.isnan(self.errors), reach, np.fmin(reach, step))
        reach = np.where(self.errors == 0, 0, reach)
        limits = np.ones((*self.mask.shape, 1))
        limits[self.mask, 0] = np.maximum(reach, _ROUNDING)
        return limits


def known_cells(known: KnownGrid, units: Units) -> KnownCells:
    """Return the known cells of a grid."""
    mask = known.mask
    return KnownCells(mask, known.values[mask], known.errors[mask], units)


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
    """Return the agreements of an entry of JSON."""
    return {name: Agreement(*each) for name, each in entry.items()}
