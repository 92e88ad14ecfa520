"""Distances between two sets of images by their features, in double precision.

The caller supplies the feature network. All metrics depend on it and on the number of
images: report both with every number.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

Features = Float[np.ndarray, "_ features"]
"""Features of a set of images. Two sets may differ in the number of images only."""

_CHUNK = 1000  # rows of the matrix of all pairs that are in memory at once
_TAIL = 0.05  # share of held-out images that are nearer than a memorised image
_HELD_OUT = 20  # their 5th percentile would be their minimum if there were fewer
_NEIGHBOURS = 3  # the radius of an image's ball is the distance to its third neighbour


def check_count(count: int, width: int) -> None:
    """Refuse sets of images that are too few for features of a width.

    The covariance of no more images than features is singular. The other distances
    could be computed, but say as little of a distribution as that.

    Raises:
        ValueError: States the number that is needed.
    """
    if count <= width:
        raise ValueError(
            f"{count} images are too few for {width} features: at least {width + 1} "
            "real and as many generated ones are needed"
        )


def frechet_distance(real: Features, fake: Features) -> float:
    """Return the Frechet distance between two sets of features.

    |m - n|^2 + tr(A + B - 2 (A B)^(1/2)) of Gaussians with the features' means m, n
    and covariances A, B. With the features of the Inception network it is the FID of
    Heusel et al. 2017, eq. 6 (arXiv 1706.08500).

    Returns:
        A number of at least 0.

    Raises:
        ValueError: As `check_count`.
    """
    (mean, covariance), (other, target) = _moments(real), _moments(fake)
    # tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2). The second argument is symmetric,
    # so its eigenvalues stay real; rounding makes those of A B complex.
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ target @ root).clip(0)
    distance = (
        np.square(mean - other).sum()
        + np.trace(covariance)
        + np.trace(target)
        - 2 * np.sqrt(shared).sum()
    )
    return max(0.0, float(distance))  # rounding may make it negative


def _moments(
    features: Features,
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, "f f"]]:
    count, width = features.shape
    check_count(count, width)
    exact = features.astype(np.float64)
    return exact.mean(axis=0), np.cov(exact, rowvar=False).reshape(width, width)


def kernel_distance(real: Features, fake: Features) -> float:
    """Return the unbiased squared maximum mean discrepancy, kernel (x.y / d + 1)^3.

    The KID of Binkowski et al. 2018, section 4 (arXiv 1801.01401), over all pairs of
    images instead of random subsets.

    Returns:
        A number that is about 0, possibly negative, for equal distributions.

    Raises:
        ValueError: As `check_count`.
    """
    check_count(min(len(real), len(fake)), real.shape[1])

    def within(features: Features) -> float:
        count = len(features)
        squares = np.square(features.astype(np.float64)).sum(axis=1)
        diagonal = float(((squares / features.shape[1] + 1) ** 3).sum())
        return (_kernel_sum(features, features) - diagonal) / (count * (count - 1))

    across = _kernel_sum(real, fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * across


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
    """Return the share of fake images that lie on the manifold of the real images.

    The improved precision of Kynkaanniemi et al. 2019, eqs. 1 and 2 (arXiv 1904.06991).
    The manifold is the union of balls around the real images; the radius of each is
    the distance to the third nearest neighbour.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: As `check_count`, or if `real` has no more than three images.
    """
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    check_count(min(len(real), len(fake)), real.shape[1])
    if len(real) <= _NEIGHBOURS:
        raise ValueError(
            f"{len(real)} images do not have {_NEIGHBOURS} neighbours each: precision "
            f"and recall need at least {_NEIGHBOURS + 1} images"
        )
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
    """Return the share of real images that lie on the manifold of the fake images.

    The improved recall of Kynkaanniemi et al. 2019, eq. 2: `precision` with the sets
    exchanged.
    """
    return precision(fake, real)


class Nearest(NamedTuple):
    """The nearest of some other images to each image of a set."""

    distance: Float[np.ndarray, " count"]
    """Euclidean distance of their features."""
    place: Int[np.ndarray, " count"]
    """Place among the others."""


def nearest(features: Features, others: Features) -> Nearest:
    """Return the nearest of other images to each image, by their features.

    Raises:
        ValueError: If there are no others.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(others):
        raise ValueError("there are no images to compare with")
    search = NearestNeighbors(n_neighbors=1, algorithm="brute")
    distances, indices = search.fit(others.astype(np.float64)).kneighbors(
        features.astype(np.float64)
    )
    return Nearest(distances[:, 0], indices[:, 0])


def memorised(fake: Nearest, held_out: Nearest) -> float:
    """Return the share of fake images that are suspiciously near to a training image.

    These are the fakes nearer to their nearest training image than 95% of held-out
    images are to theirs: nearer than the 5th percentile of the held-out distances.
    Meehan et al. 2020 (arXiv 2004.05675, section 3) compare the same two sets of
    distances. The tail counts copies alone, where their statistic over all pairs falls
    with any loss of quality too.

    Args:
        fake: The nearest training images of generated images.
        held_out: The nearest training images of images that were not trained on.

    Returns:
        A number in [0, 1]: 0.05 for fakes that are distributed as held-out images are,
        1 if all are copies. It is below 0.05 for images that look unlike any.

    Raises:
        ValueError: If there are no fakes, or fewer than 20 held-out images.
    """
    if not len(fake.distance):
        raise ValueError("there are no generated images")
    if len(held_out.distance) < _HELD_OUT:
        raise ValueError(
            f"{len(held_out.distance)} held-out images are too few to tell copies: "
            f"at least {_HELD_OUT} are needed"
        )
    near = np.quantile(held_out.distance, _TAIL)
    return float((fake.distance < near).mean())


class Embedding(NamedTuple):
    """Outputs of a feature network for a set of images."""

    features: Float[np.ndarray, "count features"]
    """Features that FID, KID, precision and recall compare."""
    probabilities: Float[np.ndarray, "count classes"] | None
    """Class probabilities; None for a dataset without labels."""


@runtime_checkable
class FeatureNetwork(Protocol):
    """A function from images to features, with a description of its network."""

    @property
    def description(self) -> Mapping[str, Any]:
        """The network's name, hash and accuracy: `network`, `sha256`, `accuracy`."""

    def __call__(
        self, images: Float[np.ndarray, "count height width channels"]
    ) -> Embedding:
        """Return the features of images in [-1, 1]."""
