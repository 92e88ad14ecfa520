"""Plots in one calm style, as the bytes of an SVG or PNG file."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float

Panel: TypeAlias = Any
"""Matplotlib's axes."""

PALETTE = ("#2c6e91", "#c8553d", "#3f8f74", "#8a6597", "#b0852a", "#56616b")
"""Line colours in order; they differ in lightness too, for the colour-blind."""

INK, QUIET, GRID, _PAPER = "#2b2d30", "#6d7278", "#e6e4df", "#faf9f6"
_LEGEND_COLUMNS = 2
_FEW = 30  # fewer points than this are drawn as they are
_POINTS = 800  # more than a panel has pixels; keeps the file of a long run small


def curves(
    rows: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    window: int | None = None,
    mark: int | None = None,
) -> bytes:
    """Plot values over steps, one panel per group: light raw lines, running medians.

    The vertical range follows the medians and the middle 98% of the raw values, so a
    single spike does not flatten the rest.

    Args:
        rows: Rows of a journal, `{"step": n, name: value, ...}`; a name may be missing
            or null in any row.
        groups: Names of the values in each panel, by the panel's title. Names without
            values are left out, and a panel without lines says so. A single group is
            drawn without its title.
        window: Number of values under the running median; None takes a 25th of them.
            Names with fewer than 30 values are drawn unsmoothed, a dot for each.
        mark: Step to mark by a line in every panel, e.g. the best epoch.

    Returns:
        An SVG file.

    Raises:
        ValueError: If there are no groups.
    """
    figure, panels = draw_panels(len(groups))
    for panel, (title, names) in zip(panels, groups.items(), strict=True):
        lines = _draw_group(panel, rows, names, window)
        if len(groups) > 1:
            # Above the legend.
            pad = 8 + 14 * math.ceil(lines / _LEGEND_COLUMNS)
            panel.set_title(title, loc="left", color=INK, size=10.5, pad=pad)
        panel.set_xlabel("step")
        if mark is not None:
            panel.axvline(mark, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)))
    return encode_figure(figure)


def trade_off(
    rows: Sequence[Mapping[str, Any]],
    across: str,
    up: str,
    best: int,
) -> bytes:
    """Plot one measure against another, a dot for each epoch, both axes logarithmic.

    Args:
        rows: Rows of a journal; those without both values are left out.
        across: Name of the value on the horizontal axis.
        up: Name of the value on the vertical axis.
        best: Step whose dot gets a ring.

    Returns:
        An SVG file.
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure, (panel,) = draw_panels(1, height=3.6)
    known = [row for row in rows if (row.get(across) or 0) > 0 < (row.get(up) or 0)]
    panel.set(xlabel=across, ylabel=up)
    panel.grid(axis="both", color=GRID, linewidth=0.8)
    if not known:
        _say_nothing(panel)
        return encode_figure(figure)
    x, y, steps = (
        np.array([row[name] for row in known], np.float64)
        for name in (across, up, "step")
    )
    later = LinearSegmentedColormap.from_list("later", ["#c3d7e2", PALETTE[0], INK])
    panel.plot(x, y, color=GRID, linewidth=1.2, zorder=1)
    panel.scatter(x, y, c=steps, cmap=later, s=30, zorder=2)
    for at in np.flatnonzero(steps == best):
        panel.scatter(
            x[at], y[at], s=150, facecolors="none", edgecolors=PALETTE[1], zorder=3
        )
        panel.annotate(
            f"step {_format_tick(best)}",
            (x[at], y[at]),
            xytext=(10, 8),
            textcoords="offset points",
            color=PALETTE[1],
            size=8.5,
        )
    for axis, values in ((panel.xaxis, x), (panel.yaxis, y)):
        set_logarithmic(panel, axis, values.min() / 1.3, values.max() * 1.3)
    return encode_figure(figure)


def draw_panels(
    count: int,
    columns: int = 2,
    height: float | int = 2.7,
    width: float | int = 4.8,
) -> tuple[Any, list[Any]]:
    """Return an empty figure in the shared style, and its panels row by row.

    Args:
        count: Number of panels.
        columns: Panels side by side.
        height: Height of a panel in inches.
        width: Width of a panel in inches.

    Raises:
        ValueError: If there are no panels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if count < 1 or columns < 1:
        raise ValueError("a figure needs a panel")
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.06)
    figure = Figure((width * columns, height * lines), layout=layout)
    FigureCanvasAgg(figure)
    figure.set_facecolor(_PAPER)
    panels = [figure.add_subplot(lines, columns, place + 1) for place in range(count)]
    for panel in panels:
        _set_style(panel)
    return figure, panels


def encode_figure(figure: Any, format: Literal["svg", "png"] = "svg") -> bytes:
    """Return the content of a figure's file; equal figures give equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    # The salt replaces random ids in an SVG; it can be set in no other way.
    with matplotlib.rc_context({"svg.hashsalt": "gan_jax"}):
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(buffer, format=format, dpi=144, metadata=metadata)
    return buffer.getvalue()


def _set_style(panel: Any) -> None:
    panel.set_facecolor(_PAPER)
    panel.set_prop_cycle(color=PALETTE)
    for side, spine in panel.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(QUIET)
        spine.set_linewidth(0.8)
    panel.grid(axis="y", color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=QUIET, labelsize=8.5, length=0, pad=5)
    panel.tick_params(axis="x", length=3, width=0.8)
    panel.xaxis.label.set(color=QUIET, size=8.5)
    panel.yaxis.label.set(color=QUIET, size=8.5)
    panel.xaxis.set_major_formatter(_format_tick)
    panel.margins(x=0.02, y=0.06)


def _format_tick(value: float | int, place: int | None = None) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _draw_group(
    panel: Any,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    window: int | None,
) -> int:
    """Draw the lines of one panel and return their number."""
    from matplotlib.ticker import MaxNLocator

    ranges: list[tuple[float, float]] = []
    for name, colour in zip(names, cycle(len(names)), strict=True):
        steps, values = _series(rows, name)
        if not len(steps):
            continue
        if len(steps) < _FEW:
            panel.plot(steps, values, "o-", color=colour, markersize=3.5, label=name)
            ranges.append((float(values.min()), float(values.max())))
            continue
        medians = running_median(values, window or max(3, len(values) // 25))
        raw, smooth = _envelope(steps, values), _envelope(steps, medians)
        panel.plot(*raw, color=colour, alpha=0.28, linewidth=0.7)
        panel.plot(*smooth, color=colour, linewidth=1.7, label=name)
        low, high = np.percentile(values, (1, 99))
        ranges.append((min(low, medians.min()), max(high, medians.max())))
    if not ranges:
        _say_nothing(panel)
        return 0
    panel.xaxis.set_major_locator(
        MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True)
    )
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    panel.set_ylim(low - room, high + room)
    legend = panel.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.99),
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.2,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
    for line in legend.get_lines():
        line.set_linewidth(2.4)
    return len(ranges)


def set_logarithmic(panel: Any, axis: Any, low: float, high: float) -> None:
    """Make an axis logarithmic between two values, with readable tick labels."""
    from matplotlib.ticker import LogLocator

    name = axis.axis_name
    panel.set(**{f"{name}scale": "log", f"{name}lim": (low, high)})
    # Over a short range whole powers of ten would leave hardly a mark.
    parts = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=parts))
    axis.set_major_formatter(lambda value, place: f"{value:g}")
    axis.set_minor_locator(LogLocator(subs=()))


def _say_nothing(panel: Any) -> None:
    panel.set(xticks=[], yticks=[])
    panel.annotate(
        "nothing recorded",
        (0.5, 0.5),
        xycoords="axes fraction",
        ha="center",
        va="center",
        color=QUIET,
    )


def cycle(count: int) -> list[str]:
    """Return `count` line colours; the palette repeats where it is too short."""
    return [PALETTE[place % len(PALETTE)] for place in range(count)]


def _series(
    rows: Sequence[Mapping[str, Any]], name: str
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Return the steps and values of one name; missing and non-finite ones left out."""
    pairs = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    points = np.array(pairs, np.float64).reshape(-1, 2)
    finite = np.isfinite(points[:, 1])
    return points[finite, 0], points[finite, 1]


def running_median(
    values: Float[np.ndarray, " points"], window: int
) -> Float[np.ndarray, " points"]:
    """Return the median of the `window` values around each value, fewer at both ends.

    An even window is increased by one.

    Raises:
        ValueError: If the window is not positive.
    """
    if window < 1:
        raise ValueError(f"a window holds at least one value, not {window}")
    half = window // 2
    padded = np.pad(values.astype(np.float64), half, constant_values=np.nan)
    if not len(values):
        return padded[:0]
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.nanmedian(windows, axis=1)


def _envelope(
    steps: Float[np.ndarray, " points"], values: Float[np.ndarray, " points"]
) -> tuple[Float[np.ndarray, " fewer"], Float[np.ndarray, " fewer"]]:
    """Return a line that looks the same with fewer points: extremes of stretches."""
    if len(steps) <= _POINTS:
        return steps, values
    stretches = np.array_split(np.arange(len(steps)), _POINTS // 2)
    indices = {0, len(steps) - 1}
    for stretch in stretches:
        indices |= {
            stretch[values[stretch].argmin()],
            stretch[values[stretch].argmax()],
        }
    places = np.array(sorted(int(place) for place in indices))
    return steps[places], values[places]
