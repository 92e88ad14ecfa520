"""Computation of several metrics, of which any may fail."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """Metrics and the reasons of those that failed."""

    metrics: dict[str, Any]
    """Metrics by name; None for a metric that failed."""
    failed: dict[str, str]
    """Reasons of failure by the metric's name."""

    def add(self, other: "Measured", prefix: str = "") -> None:
        """Add other metrics, under their names behind a prefix."""
        self.metrics.update({f"{prefix}{k}": v for k, v in other.metrics.items()})
        self.failed.update({f"{prefix}{k}": v for k, v in other.failed.items()})


def measure(
    functions: Mapping[str, Callable[[], float | int | bool]],
) -> Measured:
    """Compute metrics by name; a metric that fails does not stop the others.

    A metric fails if its function raises an exception or returns NaN or infinity.
    """
    metrics: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, function in functions.items():
        try:
            value = function()
            if not math.isfinite(value):
                raise ValueError(f"the result is {value}")
            metrics[name] = value
        except Exception as error:  # a metric must never end a run
            metrics[name] = None
            failed[name] = _reason(error)
    return Measured(metrics, failed)


def _reason(error: Exception) -> str:
    """Return the words of a function's own error, and the kind of any other."""
    return (
        str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
    )
