"""Cells without a value: the numbers that tools write in their place."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gan_jax.config.errors import InputError
from gan_jax.data.grids.headers import is_number, number

CODES = (
    *(-9999999, -9966699, -997799, -99999, -9999, -999.25, -999, -99),
    *(9999, 99999, 999999, 9999900),
    *(1e20, 1e21, 1e30, 1e31, 1e33),
    *(-1e20, -1e21, -1e30, -1e31, -1e33),
)
"""Numbers that stand for no value, e.g. -9966699 in SGeMS, -997799 in MPSlib, -999 in
GSLIB, -999.25 in well logs, 9999900 in Irap grids."""

NONE = "none"
"""What turns the recognition off."""

_ALIKE = 1e-6  # relative difference between a code and how it is written


def parse(text: str, flag: str) -> tuple[float, ...] | None:
    """Return the codes that a config names; None where they are to be recognised.

    Args:
        text: Numbers joined by commas, as tables have them; `none`; or empty.
        flag: The flag that holds it, for messages.

    Raises:
        InputError: If it is something else.
    """
    if not text:
        return None
    if text == NONE:
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(map(is_number, words)):
        raise InputError(
            f"--config.{flag} '{text}' is neither numbers joined by commas nor {NONE}"
        )
    return tuple(map(number, words))


def fill_gaps(
    values: Float[np.ndarray, "*shape"], codes: Sequence[float] | None
) -> list[float]:
    """Set cells without a value to NaN, in place, and return the codes that were there.

    Cells that are infinite have no value either.

    Args:
        values: Native values.
        codes: Numbers that stand for no value. None = those of `CODES` that lie beyond
            the range of all other values by at least that range.
    """
    values[np.isinf(values)] = np.nan
    if codes is None:
        codes = _recognised(values)
    found = []
    most = float(np.finfo(values.dtype).max)
    for code in codes:
        about = abs(code) * _ALIKE
        if not abs(code) - about <= most:  # beyond the type of the values, or NaN
            continue
        least, greatest = max(code - about, -most), min(code + about, most)
        there = (values >= least) & (values <= greatest)
        if there.any():
            values[there] = np.nan
            found.append(code)
    return found


def _recognised(values: Float[np.ndarray, "*shape"]) -> list[float]:
    """Return the codes among values; they are the outermost values."""
    candidates: list[float] = []
    low, high = -math.inf, math.inf
    while True:
        inside = (values > low) & (values < high)
        least = float(values.min(where=inside, initial=math.inf))
        most = float(values.max(where=inside, initial=-math.inf))
        if least > most:  # codes alone
            return []
        if _is_code(least):
            candidates.append(least)
            low = least
        elif _is_code(most):
            candidates.append(most)
            high = most
        else:
            break
    confirmed = []
    for code in sorted(candidates, key=lambda code: max(least - code, code - most)):
        if max(least - code, code - most) >= most - least:
            confirmed.append(code)
        else:  # an ordinary value, which widens the range
            least, most = min(least, code), max(most, code)
    return confirmed


def _is_code(value: float) -> bool:
    return any(math.isclose(value, code, rel_tol=_ALIKE) for code in CODES)
