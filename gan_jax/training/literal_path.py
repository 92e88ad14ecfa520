"""Paths of checkpoints, taken as they are written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

from gan_jax.config.errors import InputError
from gan_jax.report.files import printable

_Path: Any = type(epath.Path())


class LiteralPath(_Path):
    """A path whose characters stand for themselves when files below it are searched.

    Those of etils, which Orbax uses, take the folder for a part of the pattern: below
    `run[1]` they find nothing, and Orbax saves states that it cannot read.
    """

    _uri_scheme = None  # a folder `/s3` is a local one too

    def glob(self, pattern: str) -> "Iterator[LiteralPath]":
        """Return the files below this folder whose path from here fits a pattern."""
        return map(type(self), Path(self).glob(pattern))


def check_path(directory: Path) -> None:
    """Raise if no states can be saved below a directory because of its name.

    Raises:
        InputError: The name holds a backslash, which the storage library takes for a
            slash, or bytes that are not UTF-8.
    """
    path = str(directory.absolute())
    if os.sep == "/" and "\\" in path:
        raise InputError(f"{path} has a backslash in its name: choose another folder")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{printable(path)} has a name that is not UTF-8: choose another folder"
        ) from None
