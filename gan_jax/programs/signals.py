"""Signals that end a run, held until a step is finished."""

import signal
from types import FrameType
from typing import Any


class Signals:
    """Remembers SIGINT or SIGTERM while it is open, so that a step can be finished."""

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
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number
