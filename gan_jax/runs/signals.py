"""Signals that end a run, held back until a step is finished."""

import signal
from types import FrameType
from typing import Any

from gan_jax.config.errors import Interrupted


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

    def obey(self) -> None:
        """Stop a program that continues when it is called again.

        Raises:
            Interrupted: A signal was received.
        """
        if self.received:
            raise Interrupted(self.received, "the same command continues")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number
