"""Paths of checkpoints, taken as they are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

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
