"""Exceptions that the command line reports as one line and an exit code.

Names of files and classes, and the words of libraries that repeat them, are foreign
text. `printable` makes it harmless wherever it is shown.
"""

import errno
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping


class InputError(Exception):
    """An input of the user cannot be used (exit code 2).

    The message is one readable line that says what is wrong and what to do.
    """


class DivergedError(Exception):
    """Training stopped at a value that is not finite (exit code 1)."""


class Interrupted(Exception):  # noqa: N818 - not an error: the run was asked to stop
    """A signal or a limit of time ended the run after it saved its state.

    The exit code is 128 + signal, or 75 for SIGALRM, which stands for the limit.
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.signal = number


UNFINISHED = 75
"""Exit code of a run whose time is over and which the same command continues.

It is EX_TEMPFAIL of sysexits.h."""

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # commands to a terminal, line ends
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line ends, reversed reading order
    "\u061c\u200e\u200f"  # marks of the reading order
    "\ud800-\udfff]"  # bytes of a file name that are not UTF-8
)


def printable(text: str) -> str:
    r"""Return text as one line that a terminal shows and does not obey.

    Control characters, line ends, changes of the reading order and bytes that are not
    UTF-8 become the escapes of JSON, e.g. `\u001b`.
    """
    return _CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


def printable_lines(text: str) -> str:
    """Return text as `printable` does, with its line ends."""
    return "\n".join(map(printable, text.split("\n")))


EXPECTED = (InputError, DivergedError, Interrupted, OSError)
"""Exceptions that may end a run without an error in the program."""

_AGAIN = "run the same command again"
_SPACE = f"free space and {_AGAIN}"
_PERMISSIONS = f"change its permissions or choose another folder, and {_AGAIN}"
_OTHERWISE = f"check the disk or choose another folder, and {_AGAIN}"
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
    """Return the printable line that says why a run ended, and the exit code.

    Only this function turns an `OSError` into advice; other code lets it through.

    Args:
        error: An instance of `EXPECTED`.
    """
    if isinstance(error, Interrupted):
        if error.signal == signal.SIGALRM:
            return printable(f"{error} (--config.minutes are over)"), UNFINISHED
        return printable(str(error)), 128 + error.signal
    if isinstance(error, OSError):
        words = " ".join((error.strerror or str(error)).split())
        reason = words or type(error).__name__
        place = error.filename2 or error.filename
        remedy = _REMEDIES.get(error.errno, _OTHERWISE)
        what = f"{place}: {reason}" if place is not None else f"{reason}"
        return printable(f"{what}: {remedy}"), 2
    return printable(str(error)), 2 if isinstance(error, InputError) else 1


def print_error(line: str) -> None:
    """Print a line to standard error, as the program's own."""
    print(f"gan_jax: {printable(line)}", file=sys.stderr, flush=True)


def run_command(command: Callable[[], None], verbose: bool) -> int:
    """Run a command, print an expected error as one line, and return the exit code.

    Args:
        command: The command.
        verbose: Whether the error is raised instead, to show its traceback.
    """
    try:
        command()
    except EXPECTED as error:
        if verbose:
            raise
        line, code = explain(error)
        print_error(line)
        return code
    return 0
