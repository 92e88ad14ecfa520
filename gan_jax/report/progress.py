"""The progress of a long loop: a bar on a terminal, plain lines elsewhere."""

import io
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, SupportsFloat, TextIO

from gan_jax.config.errors import printable
from gan_jax.report import terminal
from gan_jax.report.formats import format_duration, format_number

_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.2
_RATE_SECONDS = 30.0
_METRICS_SHOWN = 4


class Progress:
    """Show steps done, rate, time left and a few metrics, as a context manager.

    On a terminal this is rich's bar. Elsewhere (a file, a pipe, a batch job) it prints
    plain lines: the first, the last, and one every ten seconds or so. The rate covers
    the last half minute and starts at the end of the first advance, so that it leaves
    out compilation. (rich's own estimate forgets steps that take longer than its
    window.)
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        description: str = "",
        unit: str = "step",
        stream: TextIO | io.TextIOBase | None = None,
    ) -> None:
        """Prepare the display; nothing is shown before the context is entered.

        Args:
            total: Step at which the loop ends.
            start: Step at which the loop begins; above 0 where a run continues.
            description: A word or two in front of each line.
            unit: Name of a step, in the singular.
            stream: Stream to print to; standard error if None.
        """
        self._total = total
        self._start = start
        self._step = start
        self._description = printable(description)
        self._unit = unit
        self._stream: Any = terminal.stream() if stream is None else stream
        self._metrics: Mapping[str, SupportsFloat] = {}
        self._recent: deque[tuple[float, int]] = deque()
        self._began = time.monotonic()
        self._show_after = 0.0
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        self._began = time.monotonic()
        self._bar = _terminal_bar(self._stream)
        if self._bar is not None:
            self._bar.add_task(
                self._description,
                total=self._total,
                completed=self._start,
                status=f"{self._count()}  preparing",
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._step > self._start or kind is not None:
            self._show(self._closing_status(stopped=kind is not None))
        if self._bar is not None:
            self._bar.stop()

    def advance(
        self, step: int, metrics: Mapping[str, SupportsFloat] | None = None
    ) -> None:
        """Record that `step` steps are done.

        Args:
            step: Steps done, counted from 0 and not from `start`.
            metrics: Metrics, of which four are shown, those named `...loss` first. They
                become numbers only when drawn: device arrays do not hold up the loop.
        """
        now = time.monotonic()
        self._step = step
        if metrics:
            self._metrics = metrics
        self._recent.append((now, step))
        while len(self._recent) > 2 and self._recent[1][0] < now - _RATE_SECONDS:
            self._recent.popleft()
        # The last step is left to the closing line.
        if now >= self._show_after and step < self._total:
            wait = _LINE_SECONDS if self._bar is None else _BAR_SECONDS
            self._show_after = now + wait
            self._show(self._status())

    def message(self, text: str) -> None:
        """Print text as a line of its own, above the bar if there is one."""
        text = printable(text)
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False)

    def _show(self, status: str) -> None:
        if self._bar is not None:
            self._bar.update(0, completed=self._step, status=status, refresh=True)
            return
        print(*filter(None, [self._description, status]), sep="  ", file=self._stream)
        self._stream.flush()

    def _count(self) -> str:
        return f"{self._unit} {self._step}/{self._total}"

    def _status(self) -> str:
        parts = [self._count()]
        if (rate := self._rate()) is not None:
            parts.append(_format_rate(rate, self._unit))
            parts.append(f"left {format_duration((self._total - self._step) / rate)}")
        return "  ".join(parts + self._metric_parts())

    def _closing_status(self, stopped: bool) -> str:
        seconds = time.monotonic() - self._began
        done = self._step - self._start
        parts = [self._count()]
        rate = self._rate() or (done / seconds if done and seconds else None)
        if rate is not None:
            parts.append(_format_rate(rate, self._unit))
        end = "stopped after" if stopped or self._step < self._total else "in"
        parts.append(f"{end} {format_duration(seconds)}")
        return "  ".join(parts + self._metric_parts())

    def _rate(self) -> float | None:
        """Return the recent steps per second; None before two advances."""
        if len(self._recent) < 2:
            return None
        (then, first), (now, last) = self._recent[0], self._recent[-1]
        return (last - first) / (now - then) if now > then and last > first else None

    def _metric_parts(self) -> list[str]:
        losses_first = sorted(self._metrics, key=lambda name: not name.endswith("loss"))
        return [
            f"{printable(name)} {format_number(float(self._metrics[name]), 3)}"
            for name in losses_first[:_METRICS_SHOWN]
        ]


def _format_rate(rate: float, unit: str) -> str:
    if rate < 1:
        return f"{format_number(1 / rate, 3)} s/{unit}"
    return f"{format_number(rate, 3)} {unit}s/s"


def _terminal_bar(stream: Any) -> Any:
    """Return rich's bar, or None if the stream cannot redraw a line."""
    if not stream.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(file=stream)
    if console.is_dumb_terminal:
        return None
    text = "{task.description}", "{task.fields[status]}"
    return Bar(
        TextColumn(text[0], markup=False, style="bold"),
        BarColumn(bar_width=24, style="bright_black", complete_style="cyan"),
        TextColumn(
            text[1],
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        console=console,
        expand=True,
        refresh_per_second=4,
    )
