"""Facies: the few kinds of ground that the cells of a categorical image belong to."""

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.data.grids.units import FACIES


def levels(
    images: Float[np.ndarray, "count height width 1"],
) -> Float[np.ndarray, " kinds"]:
    """Return the distinct values of categorical images in increasing order.

    Raises:
        ValueError: If there are more than `units.FACIES` of them, or only one.
    """
    found = np.empty(0, images.dtype)
    for image in images:  # continuous images are told by the first ones
        found = np.union1d(found, image)
        if len(found) > FACIES:
            raise ValueError(
                f"the real images have more than {FACIES} distinct values: they show a "
                "continuous property, or more facies than are measured"
            )
    if len(found) < 2:
        raise ValueError("the real images are of one facies")
    return found


def nearest(
    images: Float[np.ndarray, "count height width 1"],
    levels: Float[np.ndarray, " kinds"],
) -> UInt8[np.ndarray, "count height width"]:
    """Return the facies of each cell: the index of the level that is nearest to it.

    A value in the middle of two levels belongs to the lower one.

    Args:
        images: Images in the unit of the levels.
        levels: Increasing values, one for each facies.
    """
    bounds = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(bounds, images[..., 0]).astype(np.uint8)


def proportions(
    facies: UInt8[np.ndarray, "count height width"], kinds: int
) -> Float[np.ndarray, " kinds"]:
    """Return the share of each facies in the cells of all images."""
    return np.bincount(facies.ravel(), minlength=kinds) / facies.size


def proportion_error(
    facies: UInt8[np.ndarray, "count height width"],
    truth: UInt8[np.ndarray, "others rows columns"],
    kinds: int,
) -> float:
    """Return the total variation between the proportions of two sets of images.

    Args:
        facies: Facies of generated images.
        truth: Facies of real images.
        kinds: Number of facies; both sets hold 0 to `kinds - 1`.

    Returns:
        A number in [0, 1]: the share of cells that have a wrong facies at least,
        wherever they are. It is 0 if the proportions are equal; of two facies it is the
        difference of the proportion of either.
    """
    difference = proportions(facies, kinds) - proportions(truth, kinds)
    return float(np.abs(difference).sum() / 2)
