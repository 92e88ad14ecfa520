"""Key figures that tasks share."""

from collections.abc import Mapping
from typing import Any

from gan_jax.report.page import Card


def fid_card(metrics: Mapping[str, Any]) -> Card:
    """Show the FID."""
    return Card(
        "FID",
        metrics.get("fid"),
        "on features of the data set's own classifier, "
        f"{metrics.get('fid_count')} images",
    )


def diversity_card(label: str, name: str, metrics: Mapping[str, Any]) -> Card:
    """Show a diversity beside the real images', and whether there is any."""
    value, real = metrics.get(name), metrics.get("diversity_real")
    note = "not measured"
    if value is not None and real:
        note = f"{value / real:.0%} of the real images' {real:.3f}"
    collapsed = metrics.get("collapsed") if name == "diversity" else None
    good = None if collapsed is None else not collapsed
    return Card(label, value, note, good)
