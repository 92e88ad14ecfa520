"""How near the colours of images are to the true ones, and how lively they are."""

import numpy as np
from jaxtyping import Float

from gan_jax.data.color import lab_from_rgb

_TOGETHER = 500  # images at once

Images = Float[np.ndarray, "count height width 3"]


def ab_error(images: Images, truth: Images) -> float:
    """Mean distance of the colours of two sets in the ab plane, in Lab units.

    Images are in [-1, 1]; lightness does not count.
    """
    distances = [
        np.linalg.norm(_ab(images[at]) - _ab(truth[at]), axis=-1).mean(axis=(1, 2))
        for at in _stretches(len(images))
    ]
    return float(np.concatenate(distances).mean())


def colourfulness(images: Images) -> float:
    """Mean over images of Hasler & Suesstrunk's measure (2003, eq. 9); 0 = grey.

    Images are in [-1, 1] and measured at 8-bit levels. The authors call 15 slightly,
    33 moderately, 45 averagely, 59 quite and 82 highly colourful.
    """
    return float(np.mean([_liveliness(image) for image in images]))


def _liveliness(image: Float[np.ndarray, "height width 3"]) -> float:
    red, green, blue = np.moveaxis((image.astype(np.float64) + 1) * 127.5, -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue]).reshape(2, -1)
    spread = np.sqrt(opponents.var(axis=1).sum())
    shift = np.sqrt(np.square(opponents.mean(axis=1)).sum())
    return float(spread + 0.3 * shift)


def _ab(images: Images) -> Float[np.ndarray, "count height width 2"]:
    return np.asarray(lab_from_rgb((images + 1) / 2), np.float64)[..., 1:]


def _stretches(count: int) -> list[slice]:
    return [slice(at, at + _TOGETHER) for at in range(0, count, _TOGETHER)]
