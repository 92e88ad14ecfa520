"""Which epoch of a run is best under several measures that are to be small."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

Row = Mapping[str, Any]
"""The measures of an epoch by name; one that is missing or None is unknown."""


def ranking(rows: Sequence[Row], names: Sequence[str]) -> list[int]:
    """Indices of the rows that have all the measures, the best one first.

    Ranks by sqrt(a^2 + b^2 + ...) over the measures, each scaled to [0, 1] by its
    extremes over the rows: the criterion of Ruffino et al. 2019 (arXiv 1911.00689),
    section 4, with FID and constraint error. Of equals the earlier comes first.
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
    """Indices of the rows that may still rank first, whatever rows follow.

    Those are the rows that no other one dominates, i.e. is nowhere worse and somewhere
    better or, being equal, earlier: scaling never changes an order.
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
    """Measures as numbers, and which rows have all of them."""
    cells = [[row.get(name) for name in names] for row in rows]
    values = np.array(cells, np.float64).reshape(len(rows), len(names))
    known = np.isfinite(values).all(axis=1, keepdims=True).reshape(-1)
    return values, known if names else np.zeros_like(known)
