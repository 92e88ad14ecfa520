"""Exceptions that the command line reports as one line and an exit code."""

import errno
from collections.abc import Mapping


class InputError(Exception):
    """An input of the user cannot be used (exit code 2).

    The message is one readable line that says what is wrong and what to do.
    """


class DivergedError(Exception):
    """Training stopped at a value that is not finite (exit code 1)."""


class Interrupted(Exception):  # noqa: N818 - not an error: the run was asked to stop
    """A signal ended the run after it saved its state (exit code 128 + signal)."""

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal


EXPECTED = (InputError, DivergedError, Interrupted, OSError)
"""Exceptions that may end a run without an error in the program."""

_AGAIN = "run the same command again"
_SPACE = f"free space and {_AGAIN}"
_PERMISSIONS = f"change its permissions or choose another folder, and {_AGAIN}"
_REMEDIES: Mapping[int | None, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f) and {_AGAIN}",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.EROFS: _PERMISSIONS,
    errno.EEXIST: f"move it away and {_AGAIN}",
    errno.EISDIR: f"move it away and {_AGAIN}",
    errno.EMFILE: f"raise the limit on open files (ulimit -n) and {_AGAIN}",
}


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line that tells the user why a run ended, and the exit code.

    Only this function turns an `OSError` into advice; other code lets it through.

    Args:
        error: An instance of `EXPECTED`.
    """
    if isinstance(error, Interrupted):
        return str(error), 128 + error.signal
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        place = error.filename2 or error.filename
        remedy = _REMEDIES.get(error.errno, f"solve the problem and {_AGAIN}")
        what = f"{place}: {reason}" if place is not None else f"{reason}"
        return " ".join(f"{what}: {remedy}".split()), 2
    return str(error), 2 if isinstance(error, InputError) else 1
