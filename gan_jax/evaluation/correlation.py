"""Correlation of a training loss with a metric of the images along a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def rank_correlation(
    rows: Sequence[Mapping[str, Any]], loss: str, metric: str
) -> float:
    """Return Spearman's rank correlation between a loss and a metric along a run.

    The loss, e.g. `critic/adversarial`, is averaged over the steps between two
    evaluations of the metric, e.g. `validation/fid`; rows of the journal may lack both.
    Arjovsky et al. 2017, section 3.2 (arXiv 1701.07875) claim that the estimate of a
    Wasserstein critic follows image quality; this number tests the claim for any
    objective.

    Returns:
        A number in [-1, 1].

    Raises:
        ValueError: If there are fewer than three pairs, or one of the two is constant.
    """
    from scipy.stats import spearmanr

    pairs: list[tuple[float, float]] = []
    since: list[tuple[float, int]] = []
    before = 0
    for row in rows:
        if row.get(loss) is not None:
            # Weight a loss by the steps since the last: log intervals vary.
            since.append((row[loss], row["step"] - before))
            before = row["step"]
        if row.get(metric) is not None and since:
            losses, steps = zip(*since, strict=True)
            pairs.append((float(np.average(losses, weights=steps)), row[metric]))
            since = []
    if len(pairs) < 3:
        raise ValueError(
            f"{len(pairs)} pairs of loss and metric are too few: a rank correlation "
            "needs three"
        )
    values = np.array(pairs, np.float64)
    if (np.ptp(values, axis=0) == 0).any():
        raise ValueError("the loss or the metric never changes")
    return float(spearmanr(values[:, 0], values[:, 1]).statistic)
