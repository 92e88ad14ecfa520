"""Points in the plane from known mixtures of Gaussians: data whose truth is known.

A point is an image of one pixel with two channels, so that whatever trains on images
trains on points as well.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_jax.data.datasets.dataset import ArraySource, Dataset


class Mixture(NamedTuple):
    """Gaussians of one standard deviation in all directions."""

    name: str
    centres: Float[np.ndarray, "modes 2"]
    weights: Float[np.ndarray, " modes"]
    """How much of the mass each mode has; they sum to 1."""
    deviation: float


def ring(name: str, modes: int = 8, share: float = 0.5) -> Mixture:
    """Gaussians of standard deviation 0.1 on a circle of radius 2.

    The toy of Metz et al. 2016 (arXiv 1611.02163) in the size of Liu et al. 2019
    (arXiv 1902.00813).

    Args:
        name: of the data.
        modes: an even number of them.
        share: of the mass, that every other mode has together; 0.5 is balanced.
    """
    angles = 2 * np.pi * np.arange(modes) / modes
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weights = np.tile([share, 1 - share], modes // 2) / (modes // 2)
    return Mixture(name, centres, weights, 0.1)


def grid(name: str, side: int = 5) -> Mixture:
    """Gaussians of standard deviation 0.05 on a grid, two apart and centred.

    The toy of Dumoulin et al. 2016 (arXiv 1606.00704) with the figures of Lin et al.
    2018 (arXiv 1712.04086), section 4.1.
    """
    line = 2.0 * np.arange(side) - (side - 1)
    centres = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return Mixture(name, centres, np.full(side**2, 1 / side**2), 0.05)


MIXTURES: Mapping[str, Mixture] = {
    mixture.name: mixture
    for mixture in (
        ring("gaussians8"),
        ring("gaussians8_imbalanced", share=0.9),
        grid("gaussians25"),
    )
}


def draw(
    mixture: Mixture, count: int, seed: int
) -> tuple[Float[np.ndarray, "count 2"], Int[np.ndarray, " count"]]:
    """Draw points and the modes that they come from."""
    random = np.random.Generator(np.random.Philox(seed))
    modes = random.choice(len(mixture.weights), size=count, p=mixture.weights)
    noise = random.standard_normal((count, 2))
    return mixture.centres[modes] + mixture.deviation * noise, modes


def points(mixture: Mixture, count: int = 50_000) -> Dataset:
    """Return `count` points for training and a fifth as many for the test."""

    def source(seed: int, count: int) -> ArraySource:
        drawn, modes = draw(mixture, count, seed)
        pixels = drawn.reshape(count, 1, 1, 2).astype(np.float32)
        classes = tuple(f"mode {mode}" for mode in range(len(mixture.weights)))
        return ArraySource(mixture.name, pixels, modes, classes)

    return Dataset(source(0, count), source(1, max(1, count // 5)))
