"""Signals that end a run, held until a step is finished."""

import signal
from types import FrameType
from typing import Any

from gan_jax.config.errors import Interrupted


class Signals:
    """Remembers SIGINT or SIGTERM while it is open, so that a step can be finished.

    One within another passes on what it has received.
    """

    def __init__(self) -> None:
        """Prepare; nothing is caught before the context is entered."""
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        """Catch both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        """Return the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, Signals) and self.received:
                outer.received = self.received

    def obey(self) -> None:
        """End what can be called again and goes on where it was.

        Raises:
            Interrupted: a signal was received.
        """
        if self.received:
            raise Interrupted(self.received, "the same command continues")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number
