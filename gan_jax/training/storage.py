"""The files that Orbax keeps: literal paths, and errors of the disk."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

_Path: Any = type(epath.Path())
_DAMAGE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Numbers of an `OSError` that a damaged checkpoint leads to; others are the disk's."""


class LiteralPath(_Path):
    """A path whose characters stand for themselves when files below it are searched.

    Those of etils, which Orbax uses, take the folder for a part of the pattern: below
    `run[1]` they find nothing, and Orbax saves states that it cannot read.
    """

    _uri_scheme = None  # a folder `/s3` is a local one too

    def glob(self, pattern: str) -> "Iterator[LiteralPath]":
        """Return the files below this folder whose path from here fits a pattern."""
        return map(type(self), Path(self).glob(pattern))


@contextlib.contextmanager
def silent_failures() -> Iterator[None]:
    """Drop the errors of reads that are still under way when Orbax gives up a state.

    The storage library reports them, each with a traceback, where nobody can catch
    them; the first is raised as well.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda report: None
    try:
        yield
    finally:
        sys.unraisablehook = hook


def is_transient(error: Exception) -> bool:
    """Return whether the machine failed, so that the checkpoint may well be whole."""
    if isinstance(error, OSError):
        return error.errno not in _DAMAGE
    return "RESOURCE_EXHAUSTED" in str(error)


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Raise an `OSError` with the directory where Orbax finds that the disk fails.

    Its storage library raises a `ValueError` whose text holds the system's number.
    """
    try:
        yield
    except Exception as error:
        match = re.search(r"os_error_code='(\d+)'", str(error))
        number = int(match[1]) if match else getattr(error, "errno", None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(directory)) from error
