"""The units of a property of the ground, and their scaling to images.

Networks make values in [-1, 1]. The values of a training image are codes of facies, or
a property in some unit; those of ordinary images are levels 0 to 255.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8

from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up

_QUANTILES = 257  # knots of a scaling by rank, one more than an image has levels

SCALES = ("linear", "log", "rank")
"""Scalings of a continuous property; codes of facies need none."""

FACIES = 16
"""Most distinct values that are recognised as facies, and that are measured as facies:
a pattern of 4x4 cells of 16 facies is a number of 64 bits."""

_SEEN = 4  # cells of a facies, at least,
_SHARE = 1e-4  # and its share
_CODES = 256  # most codes of facies
_STRIP = 2**16  # cells that are scaled at once
_FEW = 8  # levels that are too few to hold
_BULK = 0.99  # this share of the cells
_ALONE = 0.95  # of the cells on one level, at most
_ALIKE = 1e-6  # difference of a value in other digits, as a share of the range


class Units(NamedTuple):
    """A scaling of native values to [-1, 1].

    The scaling is linear between knots, which are equally far apart in [-1, 1]. Two
    knots make it linear as a whole. The different quantiles of the data as knots make
    scaled values equally frequent, except that a value of many cells, such as 0 where
    nothing flows, stays one value. The codes of facies lie on knots.
    """

    scale: str
    """`linear`, `log`, `rank` or `codes`."""
    knots: tuple[float, ...]
    """Increasing native values, 2 at least, from the lowest to the highest one."""
    whole: bool = False
    """Whether native values are integers."""

    @property
    def codes(self) -> tuple[float, ...]:
        """The codes of facies; empty for a continuous property."""
        return self.knots if self.scale == "codes" else ()

    @property
    def low(self) -> float:
        """The lowest native value."""
        return self.knots[0]

    @property
    def high(self) -> float:
        """The highest native value."""
        return self.knots[-1]

    def scaled(self, native: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return native values scaled to [-1, 1]; values outside are clipped."""
        knots = self._straight(np.asarray(self.knots))
        places = np.linspace(-1, 1, len(knots))
        return np.interp(self._straight(np.asarray(native, np.float64)), knots, places)

    def native(self, scaled: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return native values of scaled ones; the inverse of `scaled`.

        Codes are not rounded: values between two codes lie between them.
        """
        knots = self._straight(np.asarray(self.knots))
        places = np.linspace(-1, 1, len(knots))
        straight = np.interp(np.asarray(scaled, np.float64), places, knots)
        return np.exp(straight) if self.scale == "log" else straight

    def rounded(self, native: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return native values as the data could hold them.

        Facies become the nearest code, in the order of codes, and integers are rounded.
        Other values stay as they are.
        """
        if self.codes:
            codes = np.asarray(self.codes)
            places = np.rint((self.scaled(native) + 1) / 2 * (len(codes) - 1))
            return codes[places.astype(int)]
        return np.rint(native) if self.whole else np.asarray(native, np.float64)

    def levels(
        self, native: Num[np.ndarray, "height width"]
    ) -> UInt8[np.ndarray, "height width"]:
        """Return native values as 8-bit levels; the lowest where they are NaN."""
        levels = np.empty(native.shape, np.uint8)
        rows = max(1, _STRIP // native.shape[1])
        for top in range(0, len(native), rows):  # so that no float copy is held
            strip = np.nan_to_num(native[top : top + rows], nan=self.low)
            levels[top : top + rows] = np.rint((self.scaled(strip) + 1) * 127.5)
        return levels

    def outside(self, native: Num[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        """Return where values are none of the data, by more than how they are written.

        The data have codes, or values between the lowest and the highest one. A value
        in other digits, as 0.1 in single precision, differs by less than 1e-6 of the
        range.
        """
        slack = _ALIKE * (self.high - self.low)
        if self.codes:
            nearest = self.rounded(np.nan_to_num(native, nan=self.low))
            return ~(np.abs(native - nearest) <= slack)
        # NaN is outside.
        return ~((native >= self.low - slack) & (native <= self.high + slack))

    def as_json(self) -> dict[str, Any]:
        """Return the entry of a summary, which `from_json` reads."""
        return {"scale": self.scale, "knots": [*self.knots], "whole": self.whole}

    def _straight(
        self, native: Float[np.ndarray, "*shape"]
    ) -> Float[np.ndarray, "*shape"]:
        """Return values between whose knots the scaling is linear."""
        return np.log(np.maximum(native, self.low)) if self.scale == "log" else native


LEVELS = Units("linear", (0.0, 255.0), whole=True)
"""Units of ordinary images: 8-bit levels."""


def from_json(entry: Any) -> Units:
    """Return the units of an entry that `Units.as_json` has made.

    Raises:
        ValueError: If it is not such an entry.
    """
    if not isinstance(entry, Mapping) or {*entry} != {*Units._fields}:
        raise ValueError(f"units {entry!r} are not a scale, knots and whole")
    scale, knots = entry["scale"], entry["knots"]
    if scale not in (*SCALES, "codes"):
        raise ValueError(f"scale {scale!r} is none of {', '.join(SCALES)}, codes")
    if not isinstance(knots, list) or not all(
        type(knot) in (int, float) for knot in knots
    ):
        raise ValueError("knots are not numbers")
    values = np.asarray(knots, np.float64)
    if len(values) < 2 or not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise ValueError("knots are not two or more increasing numbers")
    if scale == "log" and values[0] <= 0:
        raise ValueError("knots of a logarithm are not above 0")
    if type(entry["whole"]) is not bool:
        raise ValueError("whole is not true or false")
    return Units(scale, tuple(map(float, knots)), entry["whole"])


def facies(codes: Sequence[float | int]) -> Units:
    """Return the units of facies, by their codes, of which there are 2 at least."""
    ordered = sorted({float(code) for code in codes})
    return Units("codes", tuple(ordered), all(code == int(code) for code in ordered))


def of_values(values: Num[np.ndarray, " count"], scale: str, flag: str) -> Units:
    """Return the units of a continuous property of which some values are known.

    Args:
        values: Finite values, of which two differ.
        scale: One of `SCALES`. The knots of `rank` are the different ones among 257
            quantiles.
        flag: The flag that gives the scale, for messages.

    Raises:
        InputError: If the scale is unknown, or a logarithm of values not above 0.
    """
    look_up(dict.fromkeys(SCALES), flag, scale)
    low, high = _decimal(values.min()), _decimal(values.max())
    if scale == "log" and low <= 0:
        raise InputError(
            f"--config.{flag}=log needs values above 0, and the lowest is {low:g}: "
            "choose linear or rank"
        )
    if scale != "rank":
        return Units(scale, (low, high))
    knots = np.unique(np.quantile(values, np.linspace(0, 1, _QUANTILES)))
    return Units("rank", tuple(map(_decimal, knots)))


class Chosen(NamedTuple):
    """Units that a property was found to have."""

    units: Units
    shares: tuple[float, ...]
    """Share of each facies among the cells that have a value; empty for a continuous
    property."""
    reason: str
    """Why, in one line; empty where nothing is to be said."""


def of_image(image: Float[np.ndarray, "height width"], scale: str, flag: str) -> Chosen:
    """Return the units of a training image.

    A few distinct values that are all frequent are facies. Other values are scaled
    linearly, unless nearly all cells would share a few of 256 levels, as one outlier
    does to a skewed property: then by logarithm, or by rank where that does not help.
    Where neither helps the scale stays linear, and the reason says so. An image of
    which 95% of the cells share one level even so is refused, unless a scale is given.

    Args:
        image: Native values, of which two differ; NaN where there is none.
        scale: One of `SCALES`, or `codes`; empty = chosen so.
        flag: The flag that gives the scale, for messages.

    Raises:
        InputError: If the scale is unknown, does not fit the values, or none is given
            and nearly all cells would share one level.
    """
    most = FACIES if not scale else _CODES
    counts = _counts(image, most) if scale in ("", "codes") else {}
    if scale == "codes" and not counts:
        raise InputError(
            f"--config.{flag}=codes needs {_CODES} distinct values at most: choose "
            f"{', '.join(SCALES)}"
        )
    if counts and (scale or _are_facies(counts)):
        codes, number = sorted(counts), sum(counts.values())
        shares = tuple(counts[code] / number for code in codes)
        named = ", ".join(
            f"{code:g} ({share:.1%})" for code, share in zip(codes, shares, strict=True)
        )
        return Chosen(facies(codes), shares, f"facies by code: {named}")
    values = image[np.isfinite(image)]
    if scale:
        look_up(dict.fromkeys((*SCALES, "codes")), flag, scale)
        return Chosen(of_values(values, scale, flag), (), "")
    linear = of_values(values, "linear", flag)
    few = _crowded(linear, image)
    if counts or not few:
        return _checked(Chosen(linear, (), ""), image, flag)
    reason = (
        f"a linear scale from {linear.low:g} to {linear.high:g} puts {_BULK:.0%} of "
        f"the cells on {few} of 256 levels"
    )
    for choice in ("log", "rank") if linear.low > 0 else ("rank",):
        chosen = of_values(values, choice, flag)
        if not _crowded(chosen, image):
            says = (
                f"{reason}: scaled by {choice}, as --config.{flag}={choice} says; "
                f"--config.{flag}=linear keeps the linear scale"
            )
            return _checked(Chosen(chosen, (), says), image, flag)
    same = f"{reason}, and ranks do as well: the scale stays linear"
    return _checked(Chosen(linear, (), same), image, flag)


def _checked(
    chosen: Chosen, image: Float[np.ndarray, "height width"], flag: str
) -> Chosen:
    """Return units; refuse those that put nearly all cells on one level."""
    levels = chosen.units.levels(image)[np.isfinite(image)]
    share = np.bincount(levels).max() / levels.size
    if share < _ALONE:
        return chosen
    values, counts = np.unique(image[np.isfinite(image)], return_counts=True)
    commonest = f"{values[counts.argmax()]:g}"
    raise InputError(
        f"{share:.1%} of the cells of the training image fall on one of 256 levels, "
        f"whatever the scale (the commonest value is {commonest}): give "
        f"--config.data.no_data={commonest} where it stands for no value, "
        f"--config.{flag}=codes where values are codes, or --config.{flag}=linear, log "
        "or rank to train on it as it is"
    )


def _are_facies(counts: Mapping[float, int]) -> bool:
    """Return whether a few values are facies, by the cells of each.

    They are if all are frequent, or if some are as good as equal on a linear scale.
    """
    codes = np.array([sorted(counts)])
    least = max(_SEEN, _SHARE * sum(counts.values()))
    levels = Units("linear", (float(codes.min()), float(codes.max()))).levels(codes)
    return min(counts.values()) >= least or len(np.unique(levels)) < codes.size


def _counts(image: Float[np.ndarray, "height width"], most: int) -> dict[float, int]:
    """Return the cells of each value; none if there are more values than `most`."""
    counts: dict[float, int] = {}
    rows = max(1, _STRIP // image.shape[1])
    for top in range(0, len(image), rows):
        strip = image[top : top + rows]
        found, times = np.unique(strip[np.isfinite(strip)], return_counts=True)
        for each, count in zip(found[: most + 1], times.tolist(), strict=False):
            value = _decimal(each)
            counts[value] = counts.get(value, 0) + count
        if len(counts) > most:
            return {}
    return counts


def _decimal(value: np.generic) -> float:
    """Return the shortest decimal that stands for a value in its precision.

    0.1 in single precision is 0.1, and not 0.10000000149.
    """
    return float(str(value))


def _crowded(units: Units, image: Float[np.ndarray, "height width"]) -> int:
    """Return how many levels hold nearly all cells, if too few; else 0."""
    levels = units.levels(image)[np.isfinite(image)]
    counts = np.sort(np.bincount(levels, minlength=256))[::-1]
    held = int(np.searchsorted(np.cumsum(counts), _BULK * counts.sum())) + 1
    return held if held < _FEW else 0
