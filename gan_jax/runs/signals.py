"""Signals and a limit of time that end a run, held back until its work is kept."""

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

from gan_jax.config.errors import Interrupted

_DEADLINE = ContextVar("deadline", default=math.inf)


@contextlib.contextmanager
def limited(minutes: float) -> Iterator[None]:
    """Stop the runs inside once some minutes are over and their work is kept.

    Args:
        minutes: Minutes from now; 0 = no limit.
    """
    over = time.monotonic() + 60 * minutes if minutes else math.inf
    before = _DEADLINE.set(over)
    try:
        yield
    finally:
        _DEADLINE.reset(before)


class Signals:
    """Remembers SIGINT or SIGTERM, so that a step can be finished; a context manager.

    Where one is entered within another, the outer one gets the inner one's signal.
    """

    def __init__(self) -> None:
        """Prepare; signals are caught once the context is entered."""
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        """Catch both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        """Restore the handlers of before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, Signals) and self.received:
                outer.received = self.received

    def to_obey(self) -> int:
        """Return the signal that ends the run; SIGALRM if time is over; 0 = none."""
        over = time.monotonic() >= _DEADLINE.get()
        return self.received or (signal.SIGALRM if over else 0)

    def obey(self, kept: bool = True) -> None:
        """Stop a program that continues when it is called again.

        Args:
            kept: Whether the work so far is kept. Where it would be lost, the limit of
                time does not stop the program: it would never be done.

        Raises:
            Interrupted: A signal was received, or time is over.
        """
        number = self.to_obey() if kept else self.received
        if number:
            raise Interrupted(number, "the same command continues")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number
