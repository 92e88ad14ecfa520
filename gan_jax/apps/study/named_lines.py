"""Lines of several methods in one plot, named at their ends."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gan_jax.report.plots import PALETTE, draw_panels, encode_figure, set_logarithmic


def comparison(
    lines: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    across: str,
    up: str,
    format: Literal["svg", "png"] = "svg",
) -> bytes:
    """Plot several methods in one panel, both axes logarithmic, named at their ends.

    Each method has one line or more, `(x, y)`, all of one colour. A `png` has two
    pixels per point.
    """
    figure, (panel,) = draw_panels(1, height=4.2, width=7.2)
    panel.set(xlabel=across, ylabel=up)
    ends: list[tuple[float, str, str]] = []
    for place, (name, runs) in enumerate(lines.items()):
        colour = PALETTE[place % len(PALETTE)]
        # More methods than colours: the second round is dashed.
        style = "-" if place < len(PALETTE) else (0, (4, 2))
        for x, y in runs:
            panel.plot(x, y, color=colour, linestyle=style, linewidth=1.5)
        last = float(np.mean([y[-1] for _, y in runs]))
        ends.append((last, name, colour))
    pairs = [pair for runs in lines.values() for pair in runs]
    for place, axis in enumerate((panel.xaxis, panel.yaxis)):
        values = np.concatenate([pair[place] for pair in pairs])
        low, high = float(values.min()), float(values.max())
        set_logarithmic(panel, axis, low / 1.1, high * 1.1)
    name_ends(panel, ends)
    return encode_figure(figure, format)


def name_ends(panel: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write names right of the panel, at the ends of their lines, without overlap."""
    low, high = np.log(panel.get_ylim())
    step = 0.055
    above = -step
    for y, name, colour in sorted(ends):
        above = max((np.log(y) - low) / (high - low), above + step)
        panel.annotate(
            name,
            (1.01, above),
            xycoords="axes fraction",
            color=colour,
            size=8.5,
            va="center",
        )
