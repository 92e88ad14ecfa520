"""Points in the plane from mixtures of Gaussians, data of a known distribution.

A point is an image of one pixel and two channels, so that all methods can be trained on
points.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.grids.units import Units


class Mixture(NamedTuple):
    """A mixture of isotropic Gaussians with one standard deviation."""

    name: str
    """Name of the dataset."""
    centres: Float[np.ndarray, "modes 2"]
    """Centres of the modes."""
    weights: Float[np.ndarray, " modes"]
    """Weights of the modes, of sum 1."""
    deviation: float
    """Standard deviation of every mode."""


def ring(name: str, modes: int = 8, share: float = 0.5) -> Mixture:
    """Return Gaussians of standard deviation 0.1 on a circle of radius 2.

    The example of Metz et al. 2016 (arXiv 1611.02163) at the size of Liu et al. 2019
    (arXiv 1902.00813). The number of modes is even; `share` is the total weight of
    every other mode.
    """
    angles = 2 * np.pi * np.arange(modes) / modes
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    weights = np.tile([share, 1 - share], modes // 2) / (modes // 2)
    return Mixture(name, centres, weights, 0.1)


def grid(name: str, side: int = 5) -> Mixture:
    """Return Gaussians of standard deviation 0.05 on a centred grid of spacing 2.

    The example of Dumoulin et al. 2016 (arXiv 1606.00704) with the parameters of Lin et
    al. 2018, section 4.1 (arXiv 1712.04086). `side` is the number of modes per side.
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


def sample(
    mixture: Mixture, count: int, seed: int
) -> tuple[Float[np.ndarray, "count 2"], Int[np.ndarray, " count"]]:
    """Return random points of a mixture, and the mode of each."""
    generator = np.random.Generator(np.random.Philox(seed))
    modes = generator.choice(len(mixture.weights), size=count, p=mixture.weights)
    noise = generator.standard_normal((count, 2))
    return mixture.centres[modes] + mixture.deviation * noise, modes


def mixture_dataset(mixture: Mixture, count: int = 50_000) -> Dataset:
    """Return `count` training points of a mixture, and a fifth as many for the test."""

    def source(seed: int, count: int) -> ArraySource:
        drawn, modes = sample(mixture, count, seed)
        pixels = drawn.reshape(count, 1, 1, 2).astype(np.float32)
        classes = tuple(f"mode {mode}" for mode in range(len(mixture.weights)))
        return ArraySource(mixture.name, pixels, modes, classes)

    parts = source(0, count), source(1, max(1, count // 5))
    return Dataset(*parts, units=Units("linear", (-1.0, 1.0)))  # as they are
