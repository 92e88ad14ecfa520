"""How alike two places of an image are, by how far they lie apart."""

import numpy as np
from jaxtyping import Float


def variograms(
    images: Float[np.ndarray, "count height width 1"], lags: int
) -> Float[np.ndarray, "count 2 lags"]:
    """Empirical variograms of images, along rows and along columns.

    gamma(h) = mean of (x(u + h) - x(u))^2 / 2 over all pairs of pixels (Matheron 1963);
    in units of the images squared, for h = 1 to `lags` pixels.

    Raises:
        ValueError: there are as many lags as the image is wide or high.
    """
    if lags >= min(images.shape[1:3]):
        raise ValueError(f"images of {images.shape[1:3]} have no lag of {lags}")
    values = images[..., 0].astype(np.float64)
    found = np.empty((len(values), 2, lags))
    for direction, axis in enumerate((2, 1)):
        along = np.moveaxis(values, axis, 1)
        for lag in range(1, lags + 1):
            steps = np.square(along[:, lag:] - along[:, :-lag])
            found[:, direction, lag - 1] = steps.mean(axis=(1, 2)) / 2
    return found


def variogram_error(
    images: Float[np.ndarray, "count height width 1"],
    truth: Float[np.ndarray, "others height width 1"],
    lags: int,
) -> float:
    """Mean distance of the mean variograms of two sets, as a share of the true ones'.

    Raises:
        ValueError: the true images are all flat.
    """
    made, true = (variograms(each, lags).mean(axis=0) for each in (images, truth))
    level = true.mean()
    if level == 0:
        raise ValueError("the true images are flat")
    return float(np.abs(made - true).mean() / level)
