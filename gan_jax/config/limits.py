"""Intervals of numbers that a config may hold."""

import math
from typing import NamedTuple

WORD = 2**31 - 1
"""The largest step number or size: they are 32-bit integers on the device."""


class Limits(NamedTuple):
    """An interval of numbers; None = no bound on that side."""

    least: int | float | None = None
    most: int | float | None = None
    above: int | float | None = None
    below: int | float | None = None

    def hold(self, number: int | float) -> bool:
        """Return whether a number is finite and inside the interval."""
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """Return the bounds in words, e.g. `at least 0 and below 1`."""
        bounds = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(
            f"{words} {bound}" for words, bound in bounds.items() if bound is not None
        )


COUNT = Limits(least=1, most=WORD)
COUNT_OR_0 = Limits(least=0, most=WORD)
WEIGHT = Limits(least=0)
POSITIVE = Limits(above=0)
DECAY = Limits(least=0, below=1)
SHARE = Limits(least=0, most=1)
