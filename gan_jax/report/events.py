"""TensorBoard's events of a run, written where the caller waits for them.

tensorboardX's own writer hands events to a thread; when the disk is full the thread
ends, and the run then waits for ever for a place in its queue.
"""

import time
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_jax.report.files import named


class Events:
    """One file of events in a folder, which is made if missing."""

    def __init__(self, folder: Path, first_step: int | None = None) -> None:
        """Opens a new file.

        Args:
            folder: earlier files may lie there.
            first_step: TensorBoard hides what earlier files hold from this step on.

        Raises:
            OSError: the folder cannot be written.
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
        """Adds a value to a curve.

        Raises:
            OSError: the file cannot be written.
        """
        from tensorboardX import summary

        self._write(step, summary.scalar(name, value))

    def image(
        self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Adds an image.

        Raises:
            OSError: the file cannot be written.
        """
        from tensorboardX import summary

        self._write(step, summary.image(name, image, dataformats="HWC"))

    def _write(self, step: int, summary: object) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with named(self._folder):
            self._file.write_event(
                Event(wall_time=time.time(), step=int(step), summary=summary)
            )

    def flush(self) -> None:
        """Brings everything written so far to the disk.

        Raises:
            OSError: the file cannot be written.
        """
        with named(self._folder):
            self._file.flush()

    def close(self) -> None:
        """Flushes and closes.

        Raises:
            OSError: the file cannot be written.
        """
        with named(self._folder):
            self._file.close()
