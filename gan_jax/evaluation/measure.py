"""Computing several metrics such that one that fails ends nothing."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """Metrics by name, None where one failed, and the reasons of those."""

    metrics: dict[str, Any]
    failed: dict[str, str]


def measure(
    functions: Mapping[str, Callable[[], float | int | bool]],
) -> Measured:
    """Compute each metric; an exception or a value that is not finite is its reason."""
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
            failed[name] = f"{type(error).__name__}: {error}"
    return Measured(metrics, failed)
