"""The journal of a run: `metrics.jsonl`, and the same values for TensorBoard."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, SupportsFloat

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.memory import FILE_LIMIT, read_regular
from gan_jax.report.files import decode_json, encode_json, named, write_text

_FLUSH_SECONDS = 5.0
# The whole file is rewritten at every flush: where that is slow (a long run on a
# network disk), it is done more rarely, so that it takes at most 2% of the time.
_FLUSH_SHARE = 0.02


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the rows of a `metrics.jsonl` in order; none if the file is missing.

    Lines that are not one strict JSON object of numbers with an integer `step`, such as
    a half-written last line, are left out.

    Raises:
        InputError: If it is larger than 1 GiB, or no regular file.
        OSError: If it cannot be read.
    """
    try:
        text = read_regular(Path(path), FILE_LIMIT).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}): move it away") from None
    rows = (_row(line) for line in text.split("\n"))
    return [row for row in rows if row is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = decode_json(line)
    except ValueError:
        return None
    numbers = all(isinstance(value, int | float | None) for value in row.values())
    return row if numbers and type(row.get("step")) is int else None


class Rows:
    """The rows of a run's `metrics.jsonl` in memory, without a file.

    The processes beside the main one, which has the `Journal`, keep these. Each step
    has one row: values written for the last step again are merged into its row.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], resume_step: int | None = None
    ) -> None:
        """Read the rows that a run continues from.

        Args:
            workdir: Folder of the run.
            resume_step: Step of the checkpoint from which the run continues; later
                rows are dropped. None, for a new run, drops all.
        """
        self._path = Path(workdir) / "metrics.jsonl"
        self._kept = -1 if resume_step is None else resume_step
        self._rows = [row for row in read_rows(self._path) if row["step"] <= self._kept]

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return all rows so far, `{"step": n, name: value, ...}`, in order."""
        return [dict(row) for row in self._rows]

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Add the values of one step; NaN and infinities are written as null.

        Args:
            step: Step, at least the last one written.
            values: Values by name, e.g. `critic/adversarial`: Python's and numpy's
                numbers, and arrays without dimensions.

        Raises:
            ValueError: If the step is before the last one, or a value is named `step`.
        """
        if "step" in values:
            raise ValueError('"step" is the journal\'s own: name the value otherwise')
        last = self._rows[-1]["step"] if self._rows else None
        if last is not None and step < last:
            raise ValueError(f"step {step} comes after step {last} in the journal")
        numbers = {name: _plain(value) for name, value in values.items()}
        if step != last:
            self._rows.append({"step": int(step)})
        self._rows[-1].update(numbers)

    def image(
        self, step: int, name: str, image: UInt8[np.ndarray, "height width channels"]
    ) -> None:
        """Do nothing; a `Journal` shows the image."""

    def flush(self) -> None:
        """Do nothing; a `Journal` writes to the disk."""

    def close(self) -> None:
        """Do nothing; a `Journal` closes its files."""


class _Events:
    """A TensorBoard event file, written synchronously.

    tensorboardX's own writer hands events to a thread. When the disk is full that
    thread ends, and the run waits forever for a place in its queue.
    """

    def __init__(self, folder: Path, first_step: int | None) -> None:
        """Open a new file.

        Args:
            folder: Folder of the file, created if missing. It may hold earlier files.
            first_step: Step from which TensorBoard hides the events of earlier files.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        # Files are named by the second: a run that is stopped and continued within
        # one second would overwrite its own events.
        self._file = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        if first_step is not None:
            self.add(first_step, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, **content: Any) -> None:
        """Add an event: a `summary` or a `session_log`."""
        from tensorboardX.proto.event_pb2 import Event

        with named(self._folder):
            self._file.write_event(
                Event(wall_time=time.time(), step=int(step), **content)
            )

    def flush(self) -> None:
        with named(self._folder):
            self._file.flush()

    def close(self) -> None:
        with named(self._folder):
            self._file.close()


class Journal(Rows):
    """`metrics.jsonl` and the TensorBoard events of one run, as a context manager.

    Opening drops every row after `resume_step` (the run will write those steps again)
    and every half-written line. The file on disk is whole at any moment. It gets new
    rows at `flush`, at closing, and from `write` once every few seconds. All methods
    raise `OSError` if it cannot be written.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], resume_step: int | None = None
    ) -> None:
        """Open the journal as `Rows` does; the folder is created if missing."""
        super().__init__(workdir, resume_step)
        self._lines = [encode_json(row) for row in self._rows]
        self._changed = True
        self._flush_after = 0.0
        folder = Path(workdir) / "tensorboard"
        continued = folder.is_dir() and any(folder.iterdir())
        self._events = _Events(folder, self._kept + 1 if continued else None)
        self.flush()

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Add the values of one step, as `Rows` does."""
        from tensorboardX import summary

        super().write(step, values)
        row = self._rows[-1]
        self._lines[len(self._rows) - 1 :] = [encode_json(row)]
        self._changed = True
        for name in values:
            if row[name] is not None:
                self._events.add(step, summary=summary.scalar(name, row[name]))
        if time.monotonic() >= self._flush_after:
            self.flush()

    def image(
        self, step: int, name: str, image: UInt8[np.ndarray, "height width channels"]
    ) -> None:
        """Show an image of 1 or 3 channels in TensorBoard."""
        from tensorboardX import summary

        colour = image.repeat(3, axis=2) if image.shape[2] == 1 else image
        shown = summary.image(name, colour, dataformats="HWC")
        self._events.add(step, summary=shown)

    def flush(self) -> None:
        """Write everything added so far to the disk.

        Call it before a checkpoint is saved, so that no checkpoint is ahead of it.
        """
        began = time.monotonic()
        if self._changed:
            write_text(self._path, "".join(line + "\n" for line in self._lines))
            self._changed = False
        self._events.flush()
        ended = time.monotonic()
        wait = max(_FLUSH_SECONDS, (ended - began) / _FLUSH_SHARE)
        self._flush_after = ended + wait

    def close(self) -> None:
        """Flush and close; the journal cannot be written any more."""
        try:
            self.flush()
        finally:
            self._events.close()


def _plain(value: SupportsFloat) -> float | int | None:
    """Return a number for JSON; None for NaN and infinities."""
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
