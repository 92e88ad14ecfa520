"""Distances between two sets of images by their features, in double precision.

Whatever turns images into features is the caller's. All figures depend on it and on
the number of images, so both belong to every figure that is reported.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Features = Float[np.ndarray, "_ features"]
"""Of one set; two sets may differ in the number of images only."""

_CHUNK = 1000  # rows of a matrix of all pairs that are held at once
_NEIGHBOURS = 3


def frechet_distance(real: Features, fake: Features) -> float:
    """Frechet distance of two Gaussians with the features' moments; 0 and up.

    |m - n|^2 + tr(A + B - 2 (A B)^(1/2)): the FID of Heusel et al. 2017 (arXiv
    1706.08500), eq. 6, where the features are those of the Inception network.

    Raises:
        ValueError: a set has no more images than there are features, so that its
            covariance would be singular.
    """
    (mean, covariance), (other, target) = _moments(real), _moments(fake)
    # tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2), whose argument is symmetric: its
    # roots stay real where rounding makes those of A B complex.
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ target @ root).clip(0)
    distance = (
        np.square(mean - other).sum()
        + np.trace(covariance)
        + np.trace(target)
        - 2 * np.sqrt(shared).sum()
    )
    return max(0.0, float(distance))  # rounding may leave a negative zero


def _moments(
    features: Features,
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, "f f"]]:
    count, width = features.shape
    if count <= width:
        raise ValueError(f"{count} images are too few for {width} features")
    exact = features.astype(np.float64)
    return exact.mean(axis=0), np.cov(exact, rowvar=False).reshape(width, width)


def kernel_distance(real: Features, fake: Features) -> float:
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, unbiased.

    The KID of Binkowski et al. 2018 (arXiv 1801.01401), section 4, over all pairs
    instead of random subsets; about 0, possibly below, for equal distributions.

    Raises:
        ValueError: a set has fewer than two images.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"{len(real)} and {len(fake)} images are too few")

    def within(features: Features) -> float:
        count = len(features)
        diagonal = _kernel_diagonal(features)
        return (_kernel_sum(features, features) - diagonal) / (count * (count - 1))

    across = _kernel_sum(real, fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * across


def _kernel_diagonal(features: Features) -> float:
    squares = np.square(features.astype(np.float64)).sum(axis=1)
    return float(((squares / features.shape[1] + 1) ** 3).sum())


def _kernel_sum(left: Features, right: Features) -> float:
    from sklearn.metrics.pairwise import polynomial_kernel

    exact, other = left.astype(np.float64), right.astype(np.float64)
    return float(
        sum(
            polynomial_kernel(exact[start : start + _CHUNK], other, degree=3).sum()
            for start in range(0, len(exact), _CHUNK)
        )
    )


def precision(real: Features, fake: Features) -> float:
    """Share of the fake images that lie on the manifold of the real ones; 0 to 1.

    Improved precision of Kynkaanniemi et al. 2019 (arXiv 1904.06991), eq. 1 and 2: the
    manifold is the union of balls around images that reach their third neighbour.

    Raises:
        ValueError: `real` has too few images to have such neighbours.
    """
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    if len(real) <= _NEIGHBOURS:
        raise ValueError(f"{len(real)} images have no {_NEIGHBOURS} neighbours each")
    exact = real.astype(np.float64)
    neighbours = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute").fit(exact)
    radii = neighbours.kneighbors()[0][:, -1].reshape(1, -1)
    inside = pairwise_distances_chunked(
        fake.astype(np.float64),
        exact,
        reduce_func=lambda distances, start: (distances <= radii).any(axis=1),
    )
    return float(np.concatenate(list(inside)).mean())


def recall(real: Features, fake: Features) -> float:
    """Share of the real images that lie on the manifold of the fake ones; 0 to 1.

    Improved recall of Kynkaanniemi et al. 2019 (arXiv 1904.06991), eq. 2.

    Raises:
        ValueError: `fake` has too few images.
    """
    return precision(fake, real)


class Embedding(NamedTuple):
    """What a feature network makes of images."""

    features: Float[np.ndarray, "count features"]
    """What FID and its like compare."""
    probabilities: Float[np.ndarray, "count classes"] | None
    """None where the data set has no labels."""


@runtime_checkable
class FeatureNetwork(Protocol):
    """A function from images to what a measure compares."""

    @property
    def description(self) -> Mapping[str, Any]:
        """Whose features they are: `network`, its `sha256` and `accuracy`."""

    def __call__(
        self, images: Float[np.ndarray, "count height width channels"]
    ) -> Embedding:
        """Return the features of images in [-1, 1]."""
