"""Outlier scores of scikit-learn, to be compared with: they see pixels alone."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

Images8 = UInt8[np.ndarray, "count height width channels"]
Scorer: TypeAlias = Callable[[Images8], Float[np.ndarray, " count"]]
"""From images to how anomalous they are."""

_FITTED = 10_000  # training images at most: more changes nothing that can be seen


def leading_components(components: int, normal: Images8, seed: int) -> "PCA":
    """Fit so many principal components to images, of values in [0, 1].

    Fewer, where there are fewer images or values.
    """
    from sklearn.decomposition import PCA

    flat = _flat(normal[: max(_FITTED, components)])
    count = min(components, *flat.shape)
    return PCA(count, svd_solver="randomized", random_state=seed).fit(flat)


def principal_components(components: int, normal: Images8, seed: int) -> Scorer:
    """Squared error of what the leading principal components reproduce of an image."""
    fitted = leading_components(components, normal, seed)

    def score(images: Images8) -> Float[np.ndarray, " count"]:
        values = _flat(images)
        error = values - fitted.inverse_transform(fitted.transform(values))
        scores: np.ndarray = np.square(error).sum(axis=1)
        return scores

    return score


def isolation_forest(normal: Images8, seed: int, trees: int = 200) -> Scorer:
    """How easily random cuts set an image apart (Liu et al. 2008)."""
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
