"""Variograms: the variance of pixel differences as a function of distance."""

import numpy as np
from jaxtyping import Float


def variograms(
    images: Float[np.ndarray, "count height width 1"], lags: int
) -> Float[np.ndarray, "count 2 lags"]:
    """Return the empirical variograms of grey images along rows and along columns.

    gamma(h) is the mean of (x(u + h) - x(u))^2 / 2 over all pairs of pixels at
    distance h = 1 to `lags` (Matheron 1963), in the squared unit of the images.

    Raises:
        ValueError: If `lags` is not less than the height and width of the images.
    """
    height, width = images.shape[1:3]
    if lags >= min(height, width):
        raise ValueError(
            f"images of {height}x{width} pixels have no lag of {lags}: variograms need "
            f"{lags + 1} pixels or more"
        )
    values = images[..., 0].astype(np.float64)
    result = np.empty((len(values), 2, lags))
    for direction, axis in enumerate((2, 1)):
        along = np.moveaxis(values, axis, 1)
        for lag in range(1, lags + 1):
            steps = np.square(along[:, lag:] - along[:, :-lag])
            result[:, direction, lag - 1] = steps.mean(axis=(1, 2)) / 2
    return result


def variogram_error(
    images: Float[np.ndarray, "count height width 1"],
    truth: Float[np.ndarray, "others height width 1"],
    lags: int,
) -> float:
    """Return the relative distance of the mean variograms of two sets of grey images.

    The largest distance is `lags` pixels. Both sets have the same unit.

    Returns:
        The mean absolute difference of the two mean variograms, divided by the mean of
        the real one; 0 if they are equal.

    Raises:
        ValueError: If all real images are flat.
    """
    generated, real = (
        variograms(pixels, lags).mean(axis=0) for pixels in (images, truth)
    )
    level = real.mean()
    if level == 0:
        raise ValueError("the real images are flat: their variogram is 0")
    return float(np.abs(generated - real).mean() / level)
