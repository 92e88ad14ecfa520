"""Metrics of images in [-1, 1]: error at known pixels, and diversity."""

import numpy as np
from jaxtyping import Float


def pixel_mse(
    generated: Float[np.ndarray, "count height width channels"],
    known: Float[np.ndarray, "count height width channels"],
    mask: Float[np.ndarray, "count height width 1"],
) -> float:
    """Return the mean squared error at known pixels, averaged over images with any.

    The constraint error of Ruffino et al. 2019, section 4 (arXiv 1911.00689).

    Args:
        generated: Generated images in [-1, 1].
        known: Known values in [-1, 1]; values of missing pixels are ignored.
        mask: 1 where a pixel is known, 0 where it is missing.

    Returns:
        A number in [0, 4].

    Raises:
        ValueError: If there are no images, or none of them has a known pixel.
    """
    counts = mask.sum(axis=(1, 2, 3), dtype=np.float64) * generated.shape[-1]
    if not counts.any():
        raise ValueError("no image has a known pixel")
    errors = [  # one image at a time: double precision takes much memory
        (np.square(image.astype(np.float64) - values) * where).sum()
        for image, values, where in zip(generated, known, mask, strict=True)
    ]
    some = counts > 0
    return float((np.array(errors)[some] / counts[some]).mean())


def honoured(
    generated: Float[np.ndarray, "count height width channels"],
    known: Float[np.ndarray, "count height width channels"],
    mask: Float[np.ndarray, "count height width 1"],
    tolerance: float | int = 0.1,
) -> float:
    """Return the share of known pixels that generated images reproduce.

    Args:
        generated: Generated images in [-1, 1].
        known: Known values in [-1, 1]; values of missing pixels are ignored.
        mask: 1 where a pixel is known, 0 where it is missing.
        tolerance: Largest deviation in any channel, as a share of the value range: 0.1
            allows 0.2, as the range of [-1, 1] is 2.

    Returns:
        A number in [0, 1], over the known pixels of all images.

    Raises:
        ValueError: If no pixel is known.
    """
    where = mask[..., 0] > 0
    if not where.any():
        raise ValueError("no pixel is known")
    deviations = np.abs(generated[where] - known[where]).max(axis=-1)
    # The epsilon allows for rounding of the float32 difference.
    return float((deviations <= 2 * tolerance + 1e-6).mean())


def diversity(images: Float[np.ndarray, "count height width channels"]) -> float:
    """Return the mean root-mean-square distance over all pairs of images in [-1, 1].

    Returns:
        A number in [0, 2]; 0 if all images are equal.

    Raises:
        ValueError: If there are fewer than two images.
    """
    count = len(images)
    if count < 2:
        raise ValueError(f"diversity needs two images or more, not {count}")
    flat = images.reshape(count, -1).astype(np.float64)
    products = flat @ flat.T
    norms = np.diag(products)
    squares = norms.reshape(-1, 1) + norms.reshape(1, -1) - 2 * products
    distances = np.sqrt(np.maximum(squares, 0) / flat.shape[1])
    np.fill_diagonal(distances, 0)  # rounding makes some of them positive
    return float(distances.sum() / (count * (count - 1)))
