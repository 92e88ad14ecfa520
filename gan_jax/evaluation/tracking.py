"""Whether a loss tells along the training how good the images are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def tracking(rows: Sequence[Mapping[str, Any]], loss: str, measure: str) -> float:
    """Spearman's rank correlation along a run between a loss and a measure; -1 to 1.

    The loss is its mean over the steps since the measure was last taken. It is the
    claim of Arjovsky et al. 2017 (arXiv 1701.07875), section 3.2, that the estimate of
    a Wasserstein critic follows quality, as a figure that exists for every objective.

    Args:
        rows: of a journal; either value may be missing in any row.
        loss: its name, e.g. `critic/adversarial`.
        measure: its name, e.g. `validation/fid`.

    Raises:
        ValueError: fewer than three pairs, or one of the two never changes.
    """
    from scipy.stats import spearmanr

    pairs: list[tuple[float, float]] = []
    since: list[tuple[float, int]] = []
    before = 0
    for row in rows:
        if row.get(loss) is not None:
            # The first steps are all logged, later ones now and then.
            since.append((row[loss], row["step"] - before))
            before = row["step"]
        if row.get(measure) is not None and since:
            losses, steps = zip(*since, strict=True)
            pairs.append((float(np.average(losses, weights=steps)), row[measure]))
            since = []
    if len(pairs) < 3:
        raise ValueError(f"{len(pairs)} pairs of loss and measure are too few")
    values = np.array(pairs, np.float64)
    if (np.ptp(values, axis=0) == 0).any():
        raise ValueError("the loss or the measure never changes")
    return float(spearmanr(values[:, 0], values[:, 1]).statistic)
