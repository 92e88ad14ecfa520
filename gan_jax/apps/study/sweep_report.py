"""Table and plots of a sweep: a study's measures along a value of the config."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.apps.study.named_lines import name_ends
from gan_jax.report import plots
from gan_jax.report.formats import format_number
from gan_jax.report.page import Block, Figure, Table, Value

Published = Mapping[float, Mapping[str, float]]
"""Published figures by the value of the sweep, then by measure."""


class Sweep(NamedTuple):
    """The measures of a study along the value of a key."""

    key: str
    """Key of the config."""
    measures: Sequence[str]
    """One or two measures that the study is about; small is good."""
    along: Mapping[float, Mapping[str, Sequence[float]]]
    """Figures of every run, by value, then by measure."""
    levels: Mapping[str, Mapping[str, Sequence[float]]]
    """Figures of every run of the other arms, by name, then by measure."""
    published: Published


def blocks(sweep: Sweep) -> list[Block]:
    """Return the table, a plot of each measure along the value, and the trade-off."""
    plotted: list[Block] = [
        Figure(
            f"{measure} along {sweep.key}",
            course(sweep, measure),
            "Medians, the middle half of the runs, and every run; both axes "
            "logarithmic. Dashed: the other arms.",
        )
        for measure in sweep.measures
        if any(values.get(measure) for values in sweep.along.values())
    ]
    if len(plotted) == 2:
        plotted.append(
            Figure(
                "Trade-off",
                trade_off(sweep),
                f"Medians; a number is a value of {sweep.key}. Both axes logarithmic.",
            )
        )
    return [table(sweep), *plotted]


def table(sweep: Sweep) -> Table:
    """Return the table of medians and quartiles, beside the published figures."""
    known = [
        name
        for name in sweep.measures
        if any(name in row for row in sweep.published.values())
    ]
    counts = [len(values) for row in sweep.along.values() for values in row.values()]
    runs = max(counts, default=0)
    rows: list[list[Value]] = []
    for value in sorted({*sweep.along, *sweep.published}):
        row = sweep.along.get(value, {})
        published = sweep.published.get(value, {})
        rows.append(
            [
                value,
                *(_spread(row.get(name, []), runs) for name in sweep.measures),
                *(published.get(name) for name in known),
            ]
        )
    for arm, row in sweep.levels.items():
        cells = [_spread(row.get(name, []), runs) for name in sweep.measures]
        rows.append([arm, *cells, *[None] * len(known)])
    return Table(
        f"Along {sweep.key}",
        [sweep.key, *sweep.measures, *(f"{name}, published" for name in known)],
        rows,
        "Medians over the seeds and, in brackets, quartiles; each run at its best "
        "epoch, on the test part. Published FIDs are of other features: only the shape "
        "of their course can be compared.",
    )


def course(sweep: Sweep, measure: str) -> bytes:
    """Draw a measure along the value, and the other arms as horizontal lines."""
    figure, (panel,) = plots.draw_panels(1, height=3.6, width=7.2)
    panel.set(xlabel=sweep.key, ylabel=measure)
    # A logarithmic axis has no place for 0, which becomes a horizontal line.
    zero = {f"{sweep.key} 0": row for value, row in sweep.along.items() if value == 0}
    along = {
        value: np.array(row[measure])
        for value, row in sorted(sweep.along.items())
        if value > 0 and row.get(measure)
    }
    levels = {
        name: float(np.median(row[measure]))
        for name, row in {**zero, **sweep.levels}.items()
        if row.get(measure)
    }
    drawn = [*levels.values(), *np.concatenate([[], *along.values()]).tolist()]
    if along:
        at = np.array(list(along))
        low, middle, high = np.transpose(
            [np.percentile(values, (25, 50, 75)) for values in along.values()]
        )
        panel.fill_between(at, low, high, color=plots.PALETTE[0], alpha=0.2, lw=0)
        panel.plot(
            at, middle, "o-", color=plots.PALETTE[0], markersize=4, linewidth=1.7
        )
        for value, values in along.items():
            panel.scatter(
                np.full(len(values), value),
                values,
                s=9,
                color=plots.PALETTE[0],
                alpha=0.45,
                lw=0,
            )
        plots.set_logarithmic(panel, panel.xaxis, at.min() / 1.4, at.max() * 1.4)
    for place, level in enumerate(levels.values()):
        colour = plots.PALETTE[1 + place % (len(plots.PALETTE) - 1)]
        panel.axhline(level, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
    floor = min(value for value in drawn if value > 0)
    plots.set_logarithmic(panel, panel.yaxis, floor / 1.2, max(drawn) * 1.2)
    ends = [
        (max(level, floor), name, plots.PALETTE[1 + place % (len(plots.PALETTE) - 1)])
        for place, (name, level) in enumerate(levels.items())
    ]
    name_ends(panel, ends)
    return plots.encode_figure(figure)


def trade_off(sweep: Sweep) -> bytes:
    """Draw the medians of the two measures against each other."""
    across, up = sweep.measures
    figure, (panel,) = plots.draw_panels(1, height=3.6, width=7.2)
    panel.set(xlabel=across, ylabel=up)
    panel.grid(axis="both", color=plots.GRID, linewidth=0.8)

    def middle(row: Mapping[str, Sequence[float]]) -> tuple[float, float] | None:
        if not row.get(across) or not row.get(up):
            return None
        return float(np.median(row[across])), float(np.median(row[up]))

    along = {f"{value:g}": middle(row) for value, row in sorted(sweep.along.items())}
    levels = {name: middle(row) for name, row in sweep.levels.items()}
    line = np.array([place for place in along.values() if place])
    if len(line):
        panel.plot(*line.T, "-", color=plots.GRID, linewidth=1.4, zorder=1)
    for places, colour in ((along, plots.PALETTE[0]), (levels, plots.PALETTE[1])):
        for name, place in places.items():
            if place is None:
                continue
            panel.scatter(*place, s=34, color=colour, zorder=2)
            panel.annotate(
                name,
                place,
                xytext=(6, 5),
                textcoords="offset points",
                color=colour,
                size=8.5,
            )
    points = np.array([point for point in (*along.values(), *levels.values()) if point])
    if len(points):
        for axis, values in zip((panel.xaxis, panel.yaxis), points.T, strict=True):
            floor = max(float(values.min()), 1e-9)
            plots.set_logarithmic(panel, axis, floor / 1.3, float(values.max()) * 1.3)
    return plots.encode_figure(figure)


def _spread(values: Sequence[float], runs: int) -> Value:
    """Return median and quartiles as text, with the number of runs if some failed."""
    if not values:
        return None
    quartiles = np.percentile(values, (25, 50, 75))
    low, median, high = (format_number(number, 3) for number in quartiles.tolist())
    spread = median if len(values) == 1 else f"{median} ({low} to {high})"
    return spread if len(values) == runs else f"{spread}, {len(values)} of {runs} runs"
