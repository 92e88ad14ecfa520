"""The files that Orbax keeps: literal paths, and errors of the disk."""

import contextlib
import errno
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from etils import epath

_Path: Any = type(epath.Path())
_ABANDONED = re.compile(
    "Event loop is closed|Encountered error while reading array|was never awaited"
)
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


def check_regular(folder: Path) -> None:
    """Raise a `ValueError` if there is anything but files and folders below a folder.

    Orbax would open a pipe, which may wait forever, and read a device without end.
    """
    for path in folder.rglob("*"):
        if not path.is_file() and (path.is_symlink() or not path.is_dir()):
            raise ValueError(f"{path.name} is neither a file nor a folder")


def drop_abandoned_reads() -> None:
    """Let nothing be printed of reads that were under way when Orbax gave up a state.

    It raises the first failure. The others end later, in threads and when memory is
    collected, and Python prints each with a traceback that nobody can catch.
    """
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")
    before = sys.unraisablehook
    if getattr(before, "func", None) is not _report_others:
        sys.unraisablehook = functools.partial(_report_others, before)


def _report_others(
    before: Callable[[Any], object], report: "sys.UnraisableHookArgs"
) -> None:
    if not _ABANDONED.search(str(report.exc_value)):
        before(report)


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
