"""Metrics of a classifier's probabilities for generated images, in double precision."""

import numpy as np
from jaxtyping import Float

_PRESENT = 0.02  # the least share of the images of a class that counts as generated


def class_count(probabilities: Float[np.ndarray, "count classes"]) -> int:
    """Return the number of classes that hold at least 2% of the images.

    The class of an image is the one of the largest probability.

    Raises:
        ValueError: If there are no images, or a probability is not finite.
    """
    count, classes = probabilities.shape
    if not count:
        raise ValueError("no images to classify")
    if not np.isfinite(probabilities).all():
        raise ValueError("the classifier's probabilities are not finite")
    shares = np.bincount(probabilities.argmax(axis=1), minlength=classes) / count
    return int((shares >= _PRESENT).sum())


def inception_score(probabilities: Float[np.ndarray, "count classes"]) -> float:
    """Return the exponential of the mean KL(p(y|x) || p(y)) over all images x.

    The Inception score of Salimans et al. 2016, section 4 (arXiv 1606.03498), with the
    caller's classifier. Scores of different classifiers cannot be compared.

    Returns:
        A number from 1 to the number of classes.

    Raises:
        ValueError: If there are no images.
    """
    if not len(probabilities):
        raise ValueError("no images to classify")
    exact = probabilities.astype(np.float64)
    tiny = np.finfo(np.float64).tiny  # 0 log 0 = 0
    logarithms = np.log(exact.clip(tiny))
    marginal = np.log(exact.mean(axis=0, keepdims=True).clip(tiny))
    return float(np.exp((exact * (logarithms - marginal)).sum(axis=1).mean()))
