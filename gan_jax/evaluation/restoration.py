"""Metrics of restored images against the truth: MSE, PSNR and SSIM.

A completed image has each metric twice: over the hole alone, and over the whole
composite, which contains the known pixels and is therefore the better number. Errors
are measured at 8-bit levels, with a data range of 255.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

RANGE = 255.0
_WINDOW = 7  # height and width of SSIM's window

Image = Float[np.ndarray, "height width channels"]
Images = Float[np.ndarray, "count height width channels"]


class Restoration(NamedTuple):
    """Metrics of one completed image.

    Metrics of the hole are NaN if there is no hole; SSIM is NaN if the image is
    smaller than 7x7.
    """

    mse_hole: float
    mse_composite: float
    psnr_hole: float
    """In dB; infinite if nothing differs."""
    psnr_composite: float
    ssim_hole: float
    """Mean of the local similarities over the hole."""
    ssim_composite: float


def restoration(
    completed: Image, truth: Image, mask: Float[np.ndarray, "height width 1"]
) -> Restoration:
    """Return the metrics of a completed image against the truth, both in [-1, 1].

    Args:
        completed: Composite of known pixels and a completed hole.
        truth: Image before it was masked or degraded.
        mask: 1 where a pixel was known, 0 in the hole.
    """
    completed_levels, truth_levels = _levels(completed), _levels(truth)
    squares = np.square(completed_levels - truth_levels)
    hole = mask[..., 0] == 0
    of_hole = float(squares[hole].mean()) if hole.any() else np.nan
    whole = float(squares.mean())
    return Restoration(
        of_hole,
        whole,
        decibels(of_hole),
        decibels(whole),
        *_similarities(completed_levels, truth_levels, hole),
    )


def psnr(image: Image, truth: Image) -> float:
    """Return the peak signal-to-noise ratio of an image in dB, both in [-1, 1]."""
    return decibels(float(np.square(_levels(image) - _levels(truth)).mean()))


def pooled_psnr(images: Images, truth: Images) -> float:
    """Return the PSNR in dB of the mean squared error over many images in [-1, 1].

    It differs from the mean of the images' PSNRs, on which the easiest images have the
    most influence.
    """
    errors = [
        np.square(_levels(image) - _levels(true_image)).mean()
        for image, true_image in zip(images, truth, strict=True)
    ]
    return decibels(float(np.mean(errors)))


def ssim(image: Image, truth: Image) -> float:
    """Return the structural similarity (SSIM) of two images in [-1, 1].

    Wang et al. 2004, in windows of 7x7 pixels; the mean over channels and windows.

    Returns:
        A number in [-1, 1]; 1 for equal images.

    Raises:
        ValueError: If the images are smaller than a window.
    """
    no_hole = np.zeros(image.shape[:2], bool)
    _, whole = _similarities(_levels(image), _levels(truth), no_hole)
    if np.isnan(whole):
        raise ValueError(f"SSIM needs images of {_WINDOW}x{_WINDOW} pixels or more")
    return whole


def _levels(image: Image) -> Image:
    levels: Image = (image.astype(np.float64) + 1) / 2 * RANGE
    return levels


def _similarities(
    image: Image, truth: Image, hole: Bool[np.ndarray, "height width"]
) -> tuple[float, float]:
    """Return the SSIM over the hole and over the whole image."""
    from skimage.metrics import structural_similarity

    if min(hole.shape) < _WINDOW:
        return np.nan, np.nan
    whole, local = structural_similarity(
        image, truth, win_size=_WINDOW, data_range=RANGE, channel_axis=-1, full=True
    )
    of_hole = local[hole].mean() if hole.any() else np.nan
    return float(of_hole), float(whole)


def decibels(error: float) -> float:
    """Return the PSNR of a mean squared error at 8-bit levels; infinite for 0."""
    if error == 0:
        return float("inf")
    return float(10 * np.log10(RANGE**2 / error))
