"""Numbers and durations formatted for people, the same in terminal and page."""

import math


def format_number(value: float | int, digits: int = 4) -> str:
    """Return a number in at most `digits` significant digits: `0.0213`, `12,345`.

    Integer parts are never rounded. Very small and very large numbers are written with
    a power of ten, NaN and infinities by name.
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    # Rounding can carry into the next power of ten, so the exponent is read after it.
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if value and not -5 < exponent < 9:
        return f"{_trim(mantissa)}e{exponent}"
    return _trim(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_duration(seconds: float | int) -> str:
    """Return seconds as on a clock: `1:29`, `2:03:07`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
