"""Metrics of anomaly detection: how well scores separate anomalies from the rest."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

Scores = Float[np.ndarray, " _"]
"""Anomaly scores of images; a higher score is more anomalous."""


class Detection(NamedTuple):
    """Metrics of anomaly scores on a set of normal images and a set of anomalies."""

    auprc: float
    """Area under the precision-recall curve (average precision). Random scores have
    the base rate."""
    auroc: float
    """Area under the ROC curve: the share of pairs of a normal image and an anomaly in
    which the anomaly has the higher score."""
    base_rate: float
    """Share of anomalies among all images."""
    false_positive_rate: float | None
    """Share of normal images above the threshold; None without a threshold."""
    true_positive_rate: float | None
    """Share of anomalies above the threshold; None without a threshold."""


def detection(
    normal: Scores, anomalous: Scores, threshold: float | None = None
) -> Detection:
    """Return the detection metrics of anomaly scores.

    An image whose score is above the threshold is called an anomaly.

    Raises:
        ValueError: If one set is empty, or a score is not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    scores = np.concatenate([normal, anomalous])
    if not len(normal) or not len(anomalous) or not np.isfinite(scores).all():
        raise ValueError("detection needs finite scores of both kinds of images")
    return Detection(
        float(average_precision_score(truth, scores)),
        float(roc_auc_score(truth, scores)),
        float(truth.mean()),
        None if threshold is None else float((normal > threshold).mean()),
        None if threshold is None else float((anomalous > threshold).mean()),
    )


def subsample(
    normal: int, anomalous: int, base_rate: float, seed: int
) -> tuple[Bool[np.ndarray, " normal"], Bool[np.ndarray, " anomalous"]]:
    """Choose images at random so that anomalies have the share `base_rate`.

    All images of one kind are chosen, and fewer of the other, but at least one. A base
    rate of 0 chooses all images.

    Args:
        normal: Number of normal images.
        anomalous: Number of anomalies.
        base_rate: Share of anomalies among the chosen images, in [0, 1).
        seed: Seed of the choice.

    Returns:
        Masks of the chosen normal images and of the chosen anomalies.
    """
    wanted = [normal, anomalous]
    if base_rate:
        odds = base_rate / (1 - base_rate)
        wanted = [
            min(normal, max(1, round(anomalous / odds))),
            min(anomalous, max(1, round(normal * odds))),
        ]
    generator = np.random.default_rng(seed)
    masks = []
    for count, size in zip((normal, anomalous), wanted, strict=True):
        mask = np.zeros(count, bool)
        mask[generator.permutation(count)[:size]] = True
        masks.append(mask)
    return masks[0], masks[1]
