"""Levels of images: what files store in 8, 16 or 32 bits, and how 8 bits are made.

Microscopes, scanners and X-ray machines measure 10, 12 or 14 bits, and files hold them
in 16 or 32, the upper ones unused. Divided by the range of the file, such images are
black. So by default the bits in use of all images of a kind decide.
"""

import contextlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8

from gan_jax.config.errors import InputError

AUTO, FULL = "auto", "full"

FLAG = "data.levels"
"""The key that chooses how levels become 8 bits."""

_DEPTHS = (1, 2, 4, 8, 10, 12, 14, 16)  # bits that instruments measure
_STRIP = 2**20  # levels that are scaled at once
_DARK = 16  # of the range of a kind, one part in so many is nearly black


class LevelsError(Exception):
    """Levels that cannot become 8 bits. The message is the reason in one line."""


class Range(NamedTuple):
    """The stored levels that become 0 and 255."""

    low: float
    high: float

    def __str__(self) -> str:
        """Return the range as the key takes it, e.g. `0:4095`."""
        return f"{self.low:g}:{self.high:g}"


class Stored(NamedTuple):
    """The levels that an image stores."""

    kind: str
    """Bits, or `float`, and the format of the file, e.g. `16-bit TIFF`."""
    low: float
    """The lowest one."""
    high: float
    """The highest one."""


class InUse(NamedTuple):
    """The levels that all images of a kind store."""

    images: int
    """Number of images."""
    low: float
    high: float


FLOAT = "float"
"""First word of the kinds that store fractions."""

_WHOLE: Mapping[str, Range] = {
    "8-bit": Range(0, 255),
    "16-bit": Range(0, 65535),
    "32-bit": Range(0, 65535),
    FLOAT: Range(0, 1),
}
"""The range of each way to store levels; integers of 32 bits hold 16."""


def whole_range(kind: str) -> Range:
    """Return the levels that images of a kind may store."""
    return _WHOLE[kind.partition(" ")[0]]


class Scaling(NamedTuple):
    """The range of levels that becomes 8 bits, of each kind of images."""

    given: Range | None = None
    """The range of all kinds; None = by kind."""
    by_kind: Mapping[str, Range] = MappingProxyType({})
    """The range of each kind whose range is not the whole one."""

    def of(self, kind: str) -> Range:
        """Return the range of a kind."""
        return self.given or self.by_kind.get(kind) or whole_range(kind)


WHOLE = Scaling()
"""Levels are divided by the whole range of their kind."""


def given_range(choice: str) -> Range | None:
    """Return the range `a:b` that `data.levels` gives; None for `auto` and `full`.

    Raises:
        InputError: If it is none of these.
    """
    if choice in (AUTO, FULL):
        return None
    low, _, high = choice.partition(":")
    try:
        given = Range(float(low), float(high))
    except ValueError:
        given = Range(0, 0)
    if not -np.inf < given.low < given.high < np.inf:
        raise InputError(
            f"--config.{FLAG} '{choice}' is neither auto, full, nor two levels a:b, "
            "which become black and white, such as 0:4095"
        )
    return given


def in_use(stored: Iterable[Stored]) -> dict[str, InUse]:
    """Return the levels in use of each kind, of images of several kinds."""
    return joined((kind, InUse(1, low, high)) for kind, low, high in stored)


def joined(sets: Iterable[tuple[str, InUse]]) -> dict[str, InUse]:
    """Return the levels in use of each kind, of sets of images of one kind each."""
    found: dict[str, InUse] = {}
    for kind, (images, low, high) in sets:
        before = found.get(kind, InUse(0, low, high))
        found[kind] = InUse(
            before.images + images, min(before.low, low), max(before.high, high)
        )
    return found


def choose(
    choice: str, found: Mapping[str, InUse], trained: Mapping[str, Range] | None = None
) -> Scaling:
    """Return how levels become 8 bits.

    `auto` takes, of each kind in more than 8 bits, the bits that any of its images
    uses: 1, 2, 4, 8, 10, 12, 14 or 16. Images of 8 bits are kept, unless all of them
    hold 0 and 1 alone. Floating-point levels lie in [0, 1].

    Args:
        choice: `auto`, `full` (the whole range of a kind) or `a:b` (levels that become
            black and white).
        found: The levels in use, by kind.
        trained: Ranges that a prior's training images had, by kind; `auto` takes no
            smaller ones.

    Raises:
        InputError: If the choice is none of these.
    """
    given = given_range(choice)
    if given or choice == FULL:
        return Scaling(given)
    ranges = {
        kind: max(_bits_in_use(kind, levels), (trained or {}).get(kind, Range(0, 0)))
        for kind, levels in found.items()
    }
    return Scaling(
        None, {kind: each for kind, each in ranges.items() if each != whole_range(kind)}
    )


def _bits_in_use(kind: str, levels: InUse) -> Range:
    whole = whole_range(kind)
    if kind.startswith(FLOAT) or not 0 <= levels.low <= levels.high <= whole.high:
        return whole
    used = Range(0, next(2**bits - 1 for bits in _DEPTHS if levels.high < 2**bits))
    # A dark image of 8 bits is dark; one of 0 and 1 has two values.
    kept = kind.startswith("8-bit") and levels.high != 1
    return whole if kept else used


def describe(scaling: Scaling, found: Mapping[str, InUse]) -> list[str]:
    """Return what is to be said of the levels in use, one line each."""
    used = [
        f"{each.low:g} to {each.high:g} in {each.images} of {kind}"
        for kind, each in sorted(found.items())
    ]
    lines = [f"levels in use: {', '.join(used)}"] if used else []
    for kind, each in sorted(found.items()):
        taken, whole = scaling.of(kind), whole_range(kind)
        if taken.high - taken.low > whole.high:
            lines.append(f"levels of {kind}: {taken} becomes 0 to 255")
        elif taken != whole:
            undo = "" if scaling.given else f"; --config.{FLAG}={FULL} keeps them dark"
            if each.low < taken.low or each.high > taken.high:
                undo += "; levels outside are clipped"
            lines.append(
                f"levels of {kind} are stretched: {taken} becomes 0 to 255, where the "
                f"kind has {whole}{undo}"
            )
        elif 0 <= each.high < whole.high / _DARK:
            lines.append(
                f"levels of {kind} are nearly black: {each.high:g} at most, of "
                f"{whole.high:g}; --config.{FLAG}=0:{each.high or 1:g} stretches them"
            )
    return lines


def to_8_bits(
    levels: Shaped[np.ndarray, "*shape"], kind: str, scaling: Scaling = WHOLE
) -> UInt8[np.ndarray, "*shape"]:
    """Return levels as 8 bits, linearly between the ends of a range.

    Levels outside of a range that the user gives, or of the bits in use, are clipped.

    Args:
        levels: Levels of images of one kind; 8 bits are taken to be scaled already
            where the range is the kind's own.
        kind: How they are stored, as `Stored` says it.
        scaling: The range of the kind.

    Raises:
        LevelsError: If levels are not numbers, or images of the kind cannot store them
            and the user gives no range.
    """
    taken, whole = scaling.of(kind), whole_range(kind)
    if levels.dtype == np.uint8 and taken == whole:
        return levels
    lowest, highest = levels.min(), levels.max()
    if np.isnan(lowest):
        raise LevelsError("some of its levels are not numbers (NaN): replace them")
    own = Range(min(taken.low, whole.low), max(taken.high, whole.high))
    if scaling.given is None and not own.low <= lowest <= highest <= own.high:
        raise LevelsError(
            f"levels from {lowest:.6g} to {highest:.6g} are outside of {own}, the "
            f"range of {kind}: give those of black and white with --config.{FLAG}=a:b"
        )
    scaled = np.empty(levels.shape, np.uint8)
    strips = np.nditer(
        [levels, scaled],
        ["buffered", "external_loop"],
        [["readonly"], ["writeonly"]],
        buffersize=_STRIP,
    )
    with strips:  # no float copy of a set, nor of one large image
        for strip, result in strips:
            unit = (strip.astype(np.float64) - taken.low) / (taken.high - taken.low)
            result[...] = np.rint(unit.clip(0, 1) * 255)
    return scaled


def trained_ranges(read: object) -> dict[str, Range]:
    """Return the range of each kind of images that a run was trained on.

    Args:
        read: The entry `dataset.read` of the run's summary; what is missing or damaged
            in it is left out.
    """
    entry = read.get("levels") if isinstance(read, Mapping) else None
    ranges: dict[str, Range] = {}
    for kind, levels in (entry if isinstance(entry, Mapping) else {}).items():
        with contextlib.suppress(TypeError, ValueError, KeyError):
            low, high = map(float, levels["taken"])
            if low < high and kind.partition(" ")[0] in _WHOLE:
                ranges[kind] = Range(low, high)
    return ranges
