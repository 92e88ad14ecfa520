"""Connectivity: how far the bodies of a facies hang together."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

_PLUS = np.zeros((3, 3, 3), bool)  # 4 neighbours in an image, none in other images
_PLUS[1, 1, :] = _PLUS[1, :, 1] = True
_CELLS = 2**22  # cells of the images that are worked on at once


def connectivity(
    facies: UInt8[np.ndarray, "count height width"], kinds: int, lags: int
) -> Float[np.ndarray, "kinds 2 lags"]:
    """Return the two-point connectivity of each facies along rows and along columns.

    tau(h) is the probability that two cells at distance h = 1 to `lags`, both of the
    facies, belong to one body: that a path of such cells, from neighbour to neighbour
    along rows and columns, joins them inside the image (Renard & Allard 2013, doi
    10.1016/j.advwatres.2011.12.001, connectivity function). All pairs of cells of all
    images count alike. tau(1) is 1.

    Args:
        facies: Images of facies 0 to `kinds - 1`.
        kinds: Number of facies.
        lags: Largest distance in cells.

    Returns:
        Probabilities in [0, 1]; NaN where a facies has no two cells at a distance.

    Raises:
        ValueError: If `lags` is not less than the height and width of the images.
    """
    height, width = facies.shape[1:]
    if lags >= min(height, width):
        raise ValueError(
            f"images of {height}x{width} cells have no lag of {lags}: their "
            f"connectivity needs {lags + 1} cells or more"
        )
    pairs = np.zeros((kinds, 2, lags), np.int64)
    joined = np.zeros((kinds, 2, lags), np.int64)
    step = max(1, _CELLS // (height * width))
    for start in range(0, len(facies), step):
        some = facies[start : start + step]
        body = _bodies(some, kinds)
        for direction, axis in enumerate((2, 1)):
            here, there = np.moveaxis(some, axis, 1), np.moveaxis(body, axis, 1)
            for lag in range(1, lags + 1):
                near = here[:, lag:]
                alike = near == here[:, :-lag]
                one = there[:, lag:] == there[:, :-lag]
                place = np.s_[:, direction, lag - 1]
                pairs[place] += np.bincount(near[alike], minlength=kinds)
                joined[place] += np.bincount(near[one], minlength=kinds)
    with np.errstate(invalid="ignore"):
        return joined / pairs


def _bodies(
    facies: UInt8[np.ndarray, "count height width"], kinds: int
) -> Int[np.ndarray, "count height width"]:
    """Return the number of the connected body that each cell belongs to."""
    bodies = np.zeros(facies.shape, np.int32)
    known = 0
    for kind in range(kinds):
        where = facies == kind
        found, count = ndimage.label(where, _PLUS)
        bodies[where] = found[where] + known
        known += count
    return bodies


def connectivity_error(
    facies: UInt8[np.ndarray, "count height width"],
    truth: UInt8[np.ndarray, "others rows columns"],
    kinds: int,
    lags: int,
) -> float:
    """Return the distance of the two-point connectivity of two sets of images.

    Args:
        facies: Facies of generated images.
        truth: Facies of real images.
        kinds: Number of facies; both sets hold 0 to `kinds - 1`.
        lags: Largest distance in cells.

    Returns:
        The mean absolute difference over facies, directions and distances, in [0, 1].
        Where real images have no two cells of a facies at a distance, nothing is
        compared; where generated images alone have none, their probability counts as 0.
    """
    real = connectivity(truth, kinds, lags)
    made = connectivity(facies, kinds, lags)
    known = ~np.isnan(real)
    return float(np.abs(np.nan_to_num(made[known]) - real[known]).mean())
