"""The rows of a batch job in Parquet files, each written whole or not at all."""

import io
from collections.abc import Mapping, Sequence, Set
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

STATE: Columns = {"input_bytes": int, "input_modified": int}
"""Columns of the size of an input, and of the time when it was last changed."""
State: TypeAlias = tuple[int | None, int | None]
"""The values of these columns, in bytes and in nanoseconds since 1970; both are None in
rows of earlier versions."""


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
        every = schema({**columns, **STATE})
        self._schema = every.with_metadata({_PRIOR: prior.encode()})
        self.done: dict[str, bool] = {}
        """Whether an image was made, by input."""
        self.states: dict[str, State] = {}
        """State of the file that was read, by input."""
        self.outputs: set[str] = set()
        """Outputs of the images that were made."""
        numbers = [int(path.stem[5:]) for path in self._paths()]
        self._number = 1 + max(numbers, default=-1)
        self._read()

    def _paths(self) -> list[Path]:
        return [
            path
            for path in sorted(self._folder.glob("part-*.parquet"))
            if path.stem[5:].isdecimal()
        ]

    def _read(self) -> None:
        """Read which inputs have a row."""
        self.done, self.states, self.outputs = {}, {}, set()
        for path in self._paths():
            part = self._open(path, ["input", "done", "output", *STATE])
            for row in [] if part is None else part.to_pylist():
                name = printable(row["input"])  # earlier versions escaped less
                self.done[name] = row["done"]
                if output := row.get("output"):
                    self.outputs.add(printable(output))
                self.states[name] = tuple(row.get(column) for column in STATE)

    def _open(self, path: Path, columns: Sequence[str] = ()) -> pa.Table | None:
        """Return a part, or those of some columns that it has; all by default.

        A damaged part is set aside; the result is None then.
        """
        try:
            known = pq.read_schema(path).names
            chosen = [name for name in columns or known if name in known]
            part = pq.read_table(
                path,
                columns=chosen,
                partitioning=None,
                page_checksum_verification=True,
            )
            part.validate(full=True)
            part.select(["input", "done"])
            prior = (part.schema.metadata or {})[_PRIOR]
        except (pa.ArrowException, KeyError, ValueError, OSError) as error:
            # pyarrow reports damaged content as an OSError without errno.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            aside = files.set_aside(path)
            reason = " ".join(str(error).split())
            say(
                f"{path} cannot be read ({reason}): it is now {aside.name}, and its "
                "images are done again"
            )
            return None
        if prior != self._schema.metadata[_PRIOR]:
            raise InputError(
                f"{path} holds results of another prior, which has been trained anew "
                "since: choose another --out"
            )
        return part

    def forget(self, inputs: Set[str]) -> None:
        """Remove the rows of some inputs, so that they are done again.

        Raises:
            OSError: If a part cannot be written.
        """
        if not inputs:
            return
        for path in self._paths():
            if (part := self._open(path)) is not None:
                names = map(printable, part["input"].to_pylist())
                kept = [name not in inputs for name in names]
                if not all(kept):
                    self._write(path, part.filter(kept))
        self._read()

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows as another part.

        Raises:
            OSError: If the part cannot be written; nothing of it is left.
        """
        path = self._folder / f"part-{self._number:06d}.parquet"
        self._write(path, as_table(rows, self._schema))
        self._number += 1
        self.done |= {printable(row["input"]): row["done"] for row in rows}

    def _write(self, path: Path, part: pa.Table) -> None:
        content = io.BytesIO()
        pq.write_table(part, content, write_page_checksum=True)
        files.write_bytes(path, content.getvalue())
