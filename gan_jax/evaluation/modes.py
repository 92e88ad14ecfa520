"""Metrics of generated points against a mixture of Gaussians with equal deviations."""

import numpy as np
from jaxtyping import Float, Int

_RADIUS = 3.0  # of a mode, in standard deviations
_COVERED = 0.1  # least share of the points of a covered mode, in parts of its weight


def mode_count(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    weights: Float[np.ndarray, " modes"],
    deviation: float,
) -> int:
    """Return the number of modes that the points cover.

    A mode is covered if the share of points within 3 standard deviations of its centre
    is at least a tenth of its weight. The weights sum to 1; all modes have the same
    standard deviation.

    Raises:
        ValueError: If there are no points.
    """
    nearest, distances = _nearest(points, centres)
    good = nearest[distances <= _RADIUS * deviation]
    shares = np.bincount(good, minlength=len(centres)) / len(points)
    return int((shares >= _COVERED * weights).sum())


def quality(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    deviation: float,
) -> float:
    """Return the share of points within 3 standard deviations of their nearest mode.

    Returns:
        A number in [0, 1]; points of the mixture itself have 0.989.

    Raises:
        ValueError: If there are no points.
    """
    _, distances = _nearest(points, centres)
    return float((distances <= _RADIUS * deviation).mean())


def balance(
    points: Float[np.ndarray, "count 2"],
    centres: Float[np.ndarray, "modes 2"],
    weights: Float[np.ndarray, " modes"],
) -> float:
    """Return 1 - the total variation between the modes' shares and their weights.

    Each point counts for its nearest mode; the weights sum to 1.

    Returns:
        A number in [0, 1]; 1 if every mode has its weight's share of the points.

    Raises:
        ValueError: If there are no points.
    """
    nearest, _ = _nearest(points, centres)
    shares = np.bincount(nearest, minlength=len(centres)) / len(points)
    return float(1 - np.abs(shares - weights).sum() / 2)


def _nearest(
    points: Float[np.ndarray, "count 2"], centres: Float[np.ndarray, "modes 2"]
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """Return the nearest mode of each point and the distance to its centre."""
    if not len(points):
        raise ValueError("no points to measure")
    offsets = points.astype(np.float64)[:, None] - centres[None]
    distances = np.sqrt(np.square(offsets).sum(axis=-1))
    return distances.argmin(axis=1), distances.min(axis=1)
