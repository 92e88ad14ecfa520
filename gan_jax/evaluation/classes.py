"""Measures on what a classifier says of generated images, in double precision."""

import numpy as np
from jaxtyping import Float

PRESENT = 0.02
"""A class counts as generated from this share of the images on."""


def class_count(probabilities: Float[np.ndarray, "count classes"]) -> int:
    """Count the classes that at least 2% of the images are assigned to.

    Raises:
        ValueError: no images, or answers that are not finite.
    """
    count, classes = probabilities.shape
    if not count:
        raise ValueError("no images to classify")
    if not np.isfinite(probabilities).all():
        raise ValueError("the classifier's answers are not finite")
    shares = np.bincount(probabilities.argmax(axis=1), minlength=classes) / count
    return int((shares >= PRESENT).sum())


def inception_score(probabilities: Float[np.ndarray, "count classes"]) -> float:
    """Exponential of the mean KL(p(y|x) || p(y)); from 1 to the number of classes.

    The formula of Salimans et al. 2016 (arXiv 1606.03498), section 4, over all images
    at once; with another classifier than Inception it is another figure.

    Raises:
        ValueError: no images.
    """
    if not len(probabilities):
        raise ValueError("no images to classify")
    exact = probabilities.astype(np.float64)
    tiny = np.finfo(np.float64).tiny  # 0 log 0 = 0
    logarithms = np.log(exact.clip(tiny))
    marginal = np.log(exact.mean(axis=0, keepdims=True).clip(tiny))
    return float(np.exp((exact * (logarithms - marginal)).sum(axis=1).mean()))
