"""Measures of points against the mixture of Gaussians that they should come from."""

import numpy as np
from jaxtyping import Float, Int

WITHIN = 3.0
"""A point belongs to a mode up to this many standard deviations from its centre."""

_COVERED = 0.1
"""A mode is covered from this part of its true share on."""


def mode_count(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    weights: Float[np.ndarray, " modes"],
    deviation: float,
) -> int:
    """Count the modes that hold a tenth or more of their true share of the points.

    Raises:
        ValueError: no points.
    """
    nearest, distances = _nearest(points, centres)
    good = nearest[distances <= WITHIN * deviation]
    shares = np.bincount(good, minlength=len(centres)) / len(points)
    return int((shares >= _COVERED * weights).sum())


def quality(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    deviation: float,
) -> float:
    """Share of the points within 3 standard deviations of a mode; 98.9% of true ones.

    Raises:
        ValueError: no points.
    """
    _, distances = _nearest(points, centres)
    return float((distances <= WITHIN * deviation).mean())


def balance(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    weights: Float[np.ndarray, " modes"],
) -> float:
    """1 less the total variation between the modes' shares and the true ones; 0 to 1.

    Every point counts for its nearest mode.

    Raises:
        ValueError: no points.
    """
    nearest, _ = _nearest(points, centres)
    shares = np.bincount(nearest, minlength=len(centres)) / len(points)
    return float(1 - np.abs(shares - weights).sum() / 2)


def _nearest(
    points: Float[np.ndarray, "count 2"], centres: Float[np.ndarray, "modes 2"]
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """The nearest mode of each point and how far it is."""
    if not len(points):
        raise ValueError("no points to measure")
    offsets = points.astype(np.float64)[:, None] - centres[None]
    distances = np.sqrt(np.square(offsets).sum(axis=-1))
    return distances.argmin(axis=1), distances.min(axis=1)
