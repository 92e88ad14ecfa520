"""Baselines of anomaly detection: scikit-learn's outlier scores of raw pixels."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

Images8 = UInt8[np.ndarray, "count height width channels"]
Scorer: TypeAlias = Callable[[Images8], Float[np.ndarray, " count"]]
"""Function from images to anomaly scores; a higher score is more anomalous."""

_FITTED = 10_000  # training images at most: more make no visible difference


def leading_components(components: int, normal: Images8, seed: int) -> "PCA":
    """Fit principal components to 8-bit images scaled to [0, 1].

    There are as many components as images and values per image allow. At most 10,000
    images are used. The seed is that of the randomised decomposition.
    """
    from sklearn.decomposition import PCA

    flat = _flat(normal[: max(_FITTED, components)])
    count = min(components, *flat.shape)
    return PCA(count, svd_solver="randomized", random_state=seed).fit(flat)


def principal_components(components: int, normal: Images8, seed: int) -> Scorer:
    """Return a scorer: the squared reconstruction error from principal components."""
    fitted = leading_components(components, normal, seed)

    def score(images: Images8) -> Float[np.ndarray, " count"]:
        values = _flat(images)
        error = values - fitted.inverse_transform(fitted.transform(values))
        scores: np.ndarray = np.square(error).sum(axis=1)
        return scores

    return score


def isolation_forest(normal: Images8, seed: int, trees: int = 200) -> Scorer:
    """Return a scorer: how few random splits isolate an image (Liu et al. 2008).

    At most 10,000 normal images are used.
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=trees, random_state=seed)
    forest.fit(_flat(normal[:_FITTED]))

    def score(images: Images8) -> Float[np.ndarray, " count"]:
        scores: np.ndarray = -forest.score_samples(_flat(images))
        return scores

    return score


def _flat(images: Images8) -> Float[np.ndarray, "count values"]:
    return images.reshape(len(images), -1) / np.float32(255)


BASELINES: Mapping[str, Callable[[Images8, int], Scorer]] = {
    "20 principal components": partial(principal_components, 20),
    "100 principal components": partial(principal_components, 100),
    "isolation forest": isolation_forest,
}
