"""Selection of the best epoch of a run by several metrics, of which lower is better."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

Row = Mapping[str, Any]
"""Metrics of an epoch by name; a metric that is missing or None is unknown."""


def ranking(rows: Sequence[Row], names: Sequence[str]) -> list[int]:
    """Return the indices of the rows that have all metrics, the best row first.

    Rows are ranked by sqrt(a^2 + b^2 + ...) over the named metrics, each scaled to
    [0, 1] by its minimum and maximum over the rows. Ruffino et al. 2019, section 4
    (arXiv 1911.00689) use this criterion with FID and constraint error. Of equal rows
    the earlier one comes first.
    """
    values, known = _table(rows, names)
    if not known.any():
        return []
    low, high = values[known].min(axis=0), values[known].max(axis=0)
    width = np.where(high > low, high - low, 1).reshape(1, -1)
    scaled = (values - low.reshape(1, -1)) / width
    distances = np.sqrt(np.square(scaled).sum(axis=1))
    order = np.argsort(np.where(known, distances, np.inf), kind="stable")
    return order[: known.sum()].tolist()


def candidates(rows: Sequence[Row], names: Sequence[str]) -> list[int]:
    """Return the indices of the rows that may still rank first when rows are added.

    These are the rows that no other row dominates. A row dominates another if no
    metric is worse, and one is better or the row is earlier.
    """
    values, known = _table(rows, names)
    return [
        index
        for index in np.flatnonzero(known).tolist()
        if not any(
            (values[other] <= values[index]).all()
            and ((values[other] < values[index]).any() or other < index)
            for other in np.flatnonzero(known)
        )
    ]


def _table(
    rows: Sequence[Row], names: Sequence[str]
) -> tuple[Float[np.ndarray, "rows names"], Bool[np.ndarray, " rows"]]:
    """Return the metrics as an array, and the mask of the rows that have all."""
    cells = [[row.get(name) for name in names] for row in rows]
    values = np.array(cells, np.float64).reshape(len(rows), len(names))
    known = np.isfinite(values).all(axis=1, keepdims=True).reshape(-1)
    return values, known if names else np.zeros_like(known)
