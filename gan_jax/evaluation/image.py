"""Measures on images in [-1, 1], in double precision."""

import numpy as np
from jaxtyping import Float


def pixel_mse(
    generated: Float[np.ndarray, "count height width channels"],
    known: Float[np.ndarray, "count height width channels"],
    mask: Float[np.ndarray, "count height width 1"],
) -> float:
    """Mean squared error over the known pixels, then over images; 0 to 4.

    It is the constraint error of Ruffino et al. 2019 (arXiv 1911.00689), section 4.

    Raises:
        ValueError: an image without known pixels, or none at all.
    """
    counts = mask.sum(axis=(1, 2, 3), dtype=np.float64) * generated.shape[-1]
    if not len(counts) or counts.min() == 0:
        raise ValueError("every image must have at least one known pixel")
    errors = [  # one by one: in double precision, all at once would take much memory
        (np.square(image.astype(np.float64) - values) * where).sum()
        for image, values, where in zip(generated, known, mask, strict=True)
    ]
    return float((np.array(errors) / counts).mean())


def honoured(
    generated: Float[np.ndarray, "count height width channels"],
    known: Float[np.ndarray, "count height width channels"],
    mask: Float[np.ndarray, "count height width 1"],
    tolerance: float | int = 0.1,
) -> float:
    """Share of all known pixels that an image has within a share of the value range.

    The range of images in [-1, 1] is 2: with the default a pixel may be .2 off, in
    every channel.

    Raises:
        ValueError: nothing is known.
    """
    where = mask[..., 0] > 0
    if not where.any():
        raise ValueError("no pixel is known")
    deviations = np.abs(generated[where] - known[where]).max(axis=-1)
    # What the rounding of a float32 difference adds is forgiven.
    return float((deviations <= 2 * tolerance + 1e-6).mean())


def diversity(images: Float[np.ndarray, "count height width channels"]) -> float:
    """Mean over all pairs of images of their root-mean-square distance; 0 to 2.

    Raises:
        ValueError: fewer than two images.
    """
    count = len(images)
    if count < 2:
        raise ValueError(f"diversity needs two images or more, not {count}")
    flat = images.reshape(count, -1).astype(np.float64)
    products = flat @ flat.T
    norms = np.diag(products)
    squares = norms.reshape(-1, 1) + norms.reshape(1, -1) - 2 * products
    distances = np.sqrt(np.maximum(squares, 0) / flat.shape[1])
    np.fill_diagonal(distances, 0)  # rounding must not make an image unlike itself
    return float(distances.sum() / (count * (count - 1)))
