"""Statistics over the realisations of a set, cell by cell."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num

from gan_jax.data.grids.units import Units
from gan_jax.report import files

NAME = "statistics.npz"
SHARES: Mapping[str, float] = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
"""Quantiles by name: so large a share of the realisations is not above them."""


class Statistics(NamedTuple):
    """Statistics of the cells of a grid, in native units."""

    mean: Float[np.ndarray, "height width channels"]
    spread: Float[np.ndarray, "height width channels"]
    """Standard deviation."""
    quantiles: Mapping[str, Float[np.ndarray, "height width channels"]]
    """By the names of `SHARES`. Of facies they are codes."""
    probabilities: Float[np.ndarray, "codes height width channels"]
    """Share of the realisations with each facies; none for a continuous property."""


def statistics(
    blocks: Iterable[tuple[slice, Num[np.ndarray, "realisations _"]]],
    shape: tuple[int, int, int],
    units: Units,
) -> Statistics:
    """Return the statistics of all realisations of a set; they are exact.

    Values between two codes of facies stand for the nearer one.

    Args:
        blocks: Places of the flat image, and the values of all realisations there, one
            block at a time; together they are all places.
        shape: Height, width and channels of an image.
        units: Units of the values.
    """
    places = int(np.prod(shape))
    mean, spread = np.empty(places), np.empty(places)
    quantiles = np.empty((len(SHARES), places))
    probabilities = np.empty((len(units.codes), places))
    for at, block in blocks:
        if units.codes and block.dtype.kind == "f":
            block = units.rounded(block)
        mean[at] = block.mean(axis=0, dtype=np.float64)
        spread[at] = block.std(axis=0, dtype=np.float64)
        for probability, code in zip(probabilities, units.codes, strict=True):
            probability[at] = (block == code).mean(axis=0)
        ordered = np.sort(block, axis=0)
        for quantile, share in zip(quantiles, SHARES.values(), strict=True):
            quantile[at] = _quantile(ordered, share, bool(units.codes))
    return Statistics(
        mean.reshape(shape),
        spread.reshape(shape),
        dict(zip(SHARES, quantiles.reshape(-1, *shape), strict=True)),
        probabilities.reshape(-1, *shape),
    )


def _quantile(
    ordered: Num[np.ndarray, "realisations some"], share: float, is_code: bool
) -> Float[np.ndarray, " some"]:
    """Return a quantile of sorted values: one of them for codes, else interpolated."""
    last = len(ordered) - 1
    if is_code:
        return ordered[max(0, math.ceil(share * (last + 1) - 1e-9) - 1)].astype(float)
    place = share * last
    low = ordered[math.floor(place)].astype(float)
    high = ordered[math.ceil(place)].astype(float)
    return low + (place - math.floor(place)) * (high - low)


def write_statistics(folder: Path, found: Statistics, units: Units) -> None:
    """Write statistics as the arrays of an `.npz` file, grey ones without channels.

    Raises:
        OSError: The file cannot be written.
    """
    arrays = {"mean": found.mean, "spread": found.spread, **found.quantiles}
    if units.codes:
        arrays["probability"] = found.probabilities
        arrays["codes"] = np.asarray(units.codes).reshape(-1, 1)
    grey = found.mean.shape[-1] == 1
    flat: dict[str, Any] = {
        name: (array[..., 0] if grey or name == "codes" else array).astype(np.float32)
        for name, array in arrays.items()
    }
    with files.writing(folder / NAME) as file:
        np.savez_compressed(file, **flat)
