"""The rows of a batch job in Parquet files, each written whole or not at all."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from gan_jax.config.errors import InputError, printable
from gan_jax.report import files
from gan_jax.report.terminal import say

Row: TypeAlias = dict[str, Any]
"""The result of one file: flat, with `input`, `done`, and `output` or `reason`."""
Columns: TypeAlias = Mapping[str, Any]
"""Types of a row's entries by name: bool, int, float, str, or lists of numbers."""

_TYPES = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    list[int]: pa.list_(pa.int64()),
    list[float]: pa.list_(pa.float32()),
}
_PRIOR = b"prior"


def schema(columns: Columns) -> pa.Schema:
    """Return the columns as a schema of Arrow."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])


def as_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Return rows as a table of Arrow; missing entries are null."""
    plain = [
        {
            name: printable(value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    return pa.Table.from_pylist(plain, schema=schema)


class Parts:
    """The files `part-*.parquet` of a folder, written by one process."""

    def __init__(self, folder: Path, columns: Columns, prior: str):
        """Read the inputs that have a row.

        A part that cannot be read is set aside, with a warning. `prior` is the hash of
        the networks that the rows come from.

        Raises:
            InputError: If the rows there come from other networks.
            OSError: If the folder cannot be read or written.
        """
        self._folder = folder
        self._schema = schema(columns).with_metadata({_PRIOR: prior.encode()})
        self.done: dict[str, bool] = {}
        """Whether an image was made, by input."""
        paths = [
            path
            for path in sorted(folder.glob("part-*.parquet"))
            if path.stem[5:].isdecimal()
        ]
        for path in paths:
            self._read(path)
        self._number = 1 + max((int(path.stem[5:]) for path in paths), default=-1)

    def _read(self, path: Path) -> None:
        try:
            part = pq.read_table(
                path,
                columns=["input", "done"],
                partitioning=None,
                page_checksum_verification=True,
            )
            prior = (part.schema.metadata or {})[_PRIOR]
            inputs, done = (part[name].to_pylist() for name in ("input", "done"))
        except (pa.ArrowException, KeyError, UnicodeDecodeError, OSError) as error:
            # pyarrow reports damaged content as an OSError without errno.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            aside = path.with_suffix(".unreadable")
            path.replace(aside)
            reason = " ".join(str(error).split())
            say(
                f"{path} cannot be read ({reason}): it is now {aside.name}, and its "
                "images are done again"
            )
            return
        if prior != self._schema.metadata[_PRIOR]:
            raise InputError(
                f"{path} holds results of another prior, which has been trained anew "
                "since: choose another --out"
            )
        # An older version escaped fewer characters.
        self.done |= dict(zip(map(printable, inputs), done, strict=True))

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows as another part.

        Raises:
            OSError: If the part cannot be written; nothing of it is left.
        """
        content = io.BytesIO()
        pq.write_table(as_table(rows, self._schema), content, write_page_checksum=True)
        files.write_bytes(
            self._folder / f"part-{self._number:06d}.parquet", content.getvalue()
        )
        self._number += 1
        self.done |= {printable(row["input"]): row["done"] for row in rows}
