"""Limits of the numbers that a config may hold, sizes, and the memory of a run."""

import contextlib
import math
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError

GIB = 2**30
"""Bytes in a gibibyte."""
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


class Size(NamedTuple):
    """The size of images, in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        """Return the size as configs have it, e.g. `48x96`."""
        return f"{self.height}x{self.width}"

    @property
    def pixels(self) -> int:
        """Return the number of pixels."""
        return self.height * self.width


def size_of(sides: Any, key: str = "data.size") -> Size:
    """Return the size that a number (of a square) or a text such as `48x96` stands for.

    A text may hold one number too, that of a square.

    Args:
        sides: A number, the height and width in pixels; or a text, height x width; or
            a `Size`, which is returned as it is.
        key: The config key that holds it, for messages.

    Raises:
        InputError: It is no such size.
    """
    if isinstance(sides, Size):
        return sides
    size = Size(0, 0)
    if isinstance(sides, str):
        found = re.fullmatch(r"([0-9]{1,10})(?:x([0-9]{1,10}))?", sides.lower())
        if found:
            size = Size(int(found[1]), int(found[2] or found[1]))
    elif isinstance(sides, int) and not isinstance(sides, bool):
        size = Size(sides, sides)
    if not all(COUNT.hold(side) for side in size):
        raise InputError(
            f"{key} is {repr(sides)[:40]}: give a whole number of pixels, at least 1, "
            f"or height x width such as 48x96, with --config.{key}"
        )
    return size


def side_of(sides: Any, what: str) -> int:
    """Return the side of a size that must be square.

    Args:
        sides: As `size_of` takes it.
        what: What takes square images alone, for the message.

    Raises:
        InputError: It is no size, or not square.
    """
    size = size_of(sides)
    if size.height != size.width:
        raise InputError(
            f"data.size is {size}, and {what} takes square images: give one number "
            "with --config.data.size"
        )
    return size.height


def memory_limit(config: ConfigDict) -> int:
    """Return the bytes of memory that a run may take.

    It is `memory` of its config, or where that is 0, `available_memory`.
    """
    return round(config.get("memory", 0.0) * GIB) or available_memory()


def available_memory() -> int:
    """Return the bytes of memory that the machine lets this process have.

    It is the memory built in, or the least limit of the process and of the control
    groups it is in (containers, batch systems). What other programs take is not
    deducted, so that the same machine always gives the same answer. Where a system
    tells nothing the number is as large as a process can address.
    """
    limits = [sys.maxsize, *_limits_of_process(), *_limits_of_groups()]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limit for limit in limits if limit > 0)


def _limits_of_process() -> list[int]:
    """Return the limits that `ulimit -v` and `ulimit -d` set; -1 is none."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return [resource.getrlimit(kind)[0] for kind in kinds]


def _limits_of_groups() -> list[int]:
    """Return the limits of the process's control groups, of either version of Linux's.

    Each group is bound by those above it. A container sees its own as the root.
    """
    limits: list[int] = []
    root = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                top, name = root / "memory", "memory.limit_in_bytes"
            elif not controllers:
                top, name = root, "memory.max"
            else:
                continue
            own = top / path.lstrip("/")
            for group in (own, *own.parents):
                with contextlib.suppress(OSError, ValueError):  # `max`, or no file
                    limits.append(int((group / name).read_text()))
    return limits
