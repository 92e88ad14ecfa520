"""TensorBoard events of a run, written synchronously.

tensorboardX's own writer hands events to a thread. When the disk is full that thread
ends, and the run waits forever for a place in its queue.
"""

import time
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_jax.report.files import named


class Events:
    """An event file; all methods raise `OSError` if it cannot be written."""

    def __init__(self, folder: Path, first_step: int | None = None) -> None:
        """Open a new file.

        Args:
            folder: Folder of the file, created if missing. It may hold earlier files.
            first_step: Step from which TensorBoard hides the events of earlier files.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        # Files are named by the second: a run that is stopped and continued within
        # one second would overwrite its own events.
        self._file = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        if first_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._file.write_event(
                Event(wall_time=time.time(), step=first_step, session_log=start)
            )

    def scalar(self, step: int, name: str, value: float | int) -> None:
        """Add a value to a curve."""
        from tensorboardX import summary

        self._write(step, summary.scalar(name, value))

    def image(
        self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Add an image."""
        from tensorboardX import summary

        self._write(step, summary.image(name, image, dataformats="HWC"))

    def _write(self, step: int, summary: object) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with named(self._folder):
            self._file.write_event(
                Event(wall_time=time.time(), step=int(step), summary=summary)
            )

    def flush(self) -> None:
        """Write everything added so far to the disk."""
        with named(self._folder):
            self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        with named(self._folder):
            self._file.close()
