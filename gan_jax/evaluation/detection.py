"""How well scores tell anomalies from normal images."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

Scores = Float[np.ndarray, " _"]
"""Of how anomalous images are: higher is more."""


class Detection(NamedTuple):
    """Measures of one set of normal images and one of anomalies."""

    auprc: float
    """Area under precision against recall (average precision); a random score's is the
    base rate."""
    auroc: float
    """Share of pairs of a normal image and an anomaly that are ordered rightly."""
    base_rate: float
    """Share of anomalies."""
    false_positive_rate: float | None
    """Share of normal images above the threshold; None where there is none."""
    true_positive_rate: float | None
    """Share of anomalies above it."""


def detection(
    normal: Scores, anomalous: Scores, threshold: float | None = None
) -> Detection:
    """Measure scores of images of which it is known what they are.

    Raises:
        ValueError: one set is empty, or a score is not finite.
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
    """Choose images at random such that the anomalies are the stated share of all.

    As many as there are of one kind, and fewer of the other, but at least one.

    Args:
        normal: how many there are.
        anomalous: how many there are.
        base_rate: the share wanted, between 0 and 1; 0 = all are taken.
        seed: of the choice.
    """
    wanted = [normal, anomalous]
    if base_rate:
        odds = base_rate / (1 - base_rate)
        wanted = [
            min(normal, max(1, round(anomalous / odds))),
            min(anomalous, max(1, round(normal * odds))),
        ]
    draw = np.random.default_rng(seed)
    chosen = []
    for count, some in zip((normal, anomalous), wanted, strict=True):
        mask = np.zeros(count, bool)
        mask[draw.permutation(count)[:some]] = True
        chosen.append(mask)
    return chosen[0], chosen[1]
