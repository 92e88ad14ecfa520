"""How near an image is to the truth: MSE, PSNR and SSIM.

Of a completed image twice each: over the hole alone, and over the whole composite,
which holds the known pixels exactly and flatters. Levels are those of 8-bit images, so
the data range is 255.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

RANGE = 255.0
_WINDOW = 7  # of SSIM

Image = Float[np.ndarray, "height width channels"]
Images = Float[np.ndarray, "count height width channels"]


class Restoration(NamedTuple):
    """Of one image; NaN where there is no hole, or an image is too small for SSIM."""

    mse_hole: float
    mse_composite: float
    psnr_hole: float
    """In dB; infinite where nothing differs."""
    psnr_composite: float
    ssim_hole: float
    """Mean of the map of local similarities over the hole."""
    ssim_composite: float


def restoration(
    completed: Image, truth: Image, mask: Float[np.ndarray, "height width 1"]
) -> Restoration:
    """Compare a completed image with the truth, both in [-1, 1].

    Args:
        completed: the composite: known pixels are the truth's.
        truth: the image before it was degraded.
        mask: 1 where a pixel was known.
    """
    one, other = _levels(completed), _levels(truth)
    squares = np.square(one - other)
    hole = mask[..., 0] == 0
    of_hole = float(squares[hole].mean()) if hole.any() else np.nan
    whole = float(squares.mean())
    return Restoration(
        of_hole,
        whole,
        _decibels(of_hole),
        _decibels(whole),
        *_similarities(one, other, hole),
    )


def psnr(image: Image, truth: Image) -> float:
    """Return the peak signal-to-noise ratio of an image in dB, both in [-1, 1]."""
    return _decibels(float(np.square(_levels(image) - _levels(truth)).mean()))


def pooled_psnr(images: Images, truth: Images) -> float:
    """Return the PSNR of the mean squared error of many images of one size.

    The mean of their own PSNRs is another number: images that are easy, of which some
    lie at 50 dB, hardly count here, and rule there.
    """
    errors = [
        np.square(_levels(one) - _levels(other)).mean()
        for one, other in zip(images, truth, strict=True)
    ]
    return _decibels(float(np.mean(errors)))


def ssim(image: Image, truth: Image) -> float:
    """Return the structural similarity of two images in [-1, 1]; 1 = the same.

    Wang et al. 2004, in windows of 7x7, its mean over channels and places.

    Raises:
        ValueError: the images are smaller than a window.
    """
    nowhere = np.zeros(image.shape[:2], bool)
    _, whole = _similarities(_levels(image), _levels(truth), nowhere)
    if np.isnan(whole):
        raise ValueError(f"SSIM needs images of {_WINDOW}x{_WINDOW} or more")
    return whole


def _levels(image: Image) -> Image:
    levels: Image = (image.astype(np.float64) + 1) / 2 * RANGE
    return levels


def _similarities(
    one: Image, other: Image, hole: Bool[np.ndarray, "height width"]
) -> tuple[float, float]:
    """Return SSIM over the hole, and over the whole image."""
    from skimage.metrics import structural_similarity

    if min(hole.shape) < _WINDOW:
        return np.nan, np.nan
    whole, local = structural_similarity(
        one, other, win_size=_WINDOW, data_range=RANGE, channel_axis=-1, full=True
    )
    of_hole = local[hole].mean() if hole.any() else np.nan
    return float(of_hole), float(whole)


def _decibels(error: float) -> float:
    if error == 0:
        return float("inf")
    return float(10 * np.log10(RANGE**2 / error))
