"""The metrics of a run that measure its images, in the order of a table."""

import re
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

ORDER = (
    "fid",
    "kid",
    "precision",
    "recall",
    "memorised",
    "inception_score",
    "classes",
    "diversity",
    "diversity_within",
    "modes",
    "quality",
    "balance",
    "pixel_mse",
    "honoured",
    "variogram_error",
    "proportion_error",
    "connectivity_error",
    "patterns_distance",
    "psnr",
    "psnr_pooled",
    "ssim",
    "ab_error",
    "colourfulness",
    "psnr_composite",
    "ssim_composite",
    "mse_composite",
    "psnr_hole",
    "ssim_hole",
    "mse_hole",
)
"""Measures that come first in a table; others follow in the order of the summary."""

_BESIDE = re.compile(r"(_real)?(_count)?$")


def measures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures among the metrics of a summary, in the order of a table.

    A measure is a number. Booleans and failed metrics (None) are left out, and so are
    the numbers that go with a measure: for `fid`, its value for real images `fid_real`
    and the counts `fid_count` and `fid_real_count`.
    """
    return {
        name: float(metrics[name])
        for name in in_order(metrics)
        if _is_number(metrics[name]) and not _goes_with_another(name, metrics)
    }


def of_real_images(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures of real images, in the order of a table.

    The metrics of a summary hold them as `<measure>_real`.
    """
    return {
        name: float(metrics[f"{name}_real"])
        for name in in_order(metrics)
        if _is_number(metrics.get(f"{name}_real"))
    }


def in_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names in the order of a table's columns."""
    distinct = dict.fromkeys(names)
    return [name for name in ORDER if name in distinct] + [
        name for name in distinct if name not in ORDER
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _goes_with_another(name: str, metrics: Mapping[str, Any]) -> bool:
    measure = _BESIDE.sub("", name)
    return measure != name and measure in metrics
