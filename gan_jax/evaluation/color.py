"""Metrics of colour: distance to the true colours, and colourfulness."""

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.data.color import lab_from_rgb

_CHUNK = 500  # images that are converted to Lab at once

Images = Float[np.ndarray, "count height width 3"]


def ab_error(images: Images, truth: Images) -> float:
    """Return the mean distance of colours in the ab plane of CIE Lab, in Lab units.

    The images are in [-1, 1], and in the same order. The mean is over all pixels;
    lightness does not count.
    """
    chunks = (slice(at, at + _CHUNK) for at in range(0, len(images), _CHUNK))
    distances = [
        np.linalg.norm(_ab(images[at]) - _ab(truth[at]), axis=-1).mean(axis=(1, 2))
        for at in chunks
    ]
    return float(np.concatenate(distances).mean())


def colourfulness(images: Images) -> float:
    """Return the mean colourfulness of images in [-1, 1], measured at 8-bit levels.

    Hasler & Suesstrunk 2003, eq. 9: grey images have 0; the authors call 15 slightly,
    33 moderately, 45 averagely, 59 quite and 82 highly colourful.
    """
    return float(np.mean([_colourfulness(image) for image in images]))


def _colourfulness(image: Float[np.ndarray, "height width 3"]) -> float:
    opponents = _opponents((image.astype(np.float64) + 1) * 127.5).reshape(2, -1)
    return _from_moments(opponents.mean(axis=1), opponents.var(axis=1))


def opponent_sums(
    levels: UInt8[np.ndarray, "height width 3"],
) -> Float[np.ndarray, "2 2"]:
    """Return sums over pixels for `colourfulness_of_sums`; those of parts are added.

    Returns:
        The sums of two opponent colours, and the sums of their squares.
    """
    # Integers are exact, and eight times as fast as floating-point numbers.
    red, green, blue = np.moveaxis(levels.astype(np.int32), -1, 0)
    doubled = (2 * (red - green), red + green - 2 * blue)
    sums = [values.sum(dtype=np.int64) for values in doubled]
    squares = [np.square(values).sum(dtype=np.int64) for values in doubled]
    return np.array([sums, squares]) / np.array([[2], [4]])


def colourfulness_of_sums(sums: Float[np.ndarray, "2 2"], pixels: int) -> float:
    """Return the colourfulness of an image of so many pixels, as `colourfulness`."""
    means, squares = sums / pixels
    return _from_moments(means, np.maximum(squares - np.square(means), 0))


def _opponents(
    levels: Float[np.ndarray, "height width 3"],
) -> Float[np.ndarray, "2 height width"]:
    """Return red - green and yellow - blue."""
    red, green, blue = np.moveaxis(levels, -1, 0)
    return np.stack([red - green, (red + green) / 2 - blue])


def _from_moments(
    means: Float[np.ndarray, "2"], variances: Float[np.ndarray, "2"]
) -> float:
    return float(np.sqrt(variances.sum()) + 0.3 * np.sqrt(np.square(means).sum()))


def _ab(images: Images) -> Float[np.ndarray, "count height width 2"]:
    return np.asarray(lab_from_rgb((images + 1) / 2), np.float64)[..., 1:]
