"""Checkpoints; the only module that uses Orbax."""

import contextlib
import errno
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import orbax.checkpoint as ocp
from jaxtyping import Array, PyTree
from orbax.checkpoint import checkpoint_managers

from gan_jax.config.errors import InputError
from gan_jax.training.distributed import all_max, is_main

State = TypeVar("State")


class Checkpoints:
    """The saved states of one run, by step; a context manager.

    A state is written in the background under a temporary name and then renamed, so
    that a run that is killed at any moment leaves only whole checkpoints.
    """

    def __init__(self, directory: Path, keep: int | None = 2):
        """Open the checkpoints in a directory, and keep the latest ones; None = all."""
        latest = checkpoint_managers.preservation_policy.LatestN
        # Orbax needs an absolute path: a relative one fails late, while saving.
        self._directory = directory.absolute()
        with _disk(self._directory):
            self._manager = ocp.CheckpointManager(
                self._directory,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=None if keep is None else latest(keep),
                    cleanup_tmp_directories=True,
                ),
            )

    def __enter__(self) -> "Checkpoints":
        """Enter the context."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Wait for the last save and close.

        Raises:
            OSError: The last state could not be written.
        """
        with _disk(self._directory):
            self._manager.close()

    def save(self, step: int, state: PyTree[Array]) -> None:
        """Save a state in the background, unless its step is saved already.

        Raises:
            OSError: This state, or the one before it, cannot be written.
        """
        if step not in self.steps:
            # On a full disk each of Orbax's many threads fails with a traceback. While
            # it saves, a state takes up to twice its size.
            size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
            if shutil.disk_usage(self._directory).free < 2 * size:
                reason = os.strerror(errno.ENOSPC)
                raise OSError(errno.ENOSPC, reason, str(self._directory))
            with _disk(self._directory):
                self._manager.save(step, args=ocp.args.StandardSave(state), force=True)

    def wait(self) -> None:
        """Wait until every saved state is on the disk.

        Raises:
            OSError: One could not be written.
        """
        with _disk(self._directory):
            self._manager.wait_until_finished()

    @property
    def steps(self) -> list[int]:
        """The saved steps, in order."""
        return sorted(self._manager.all_steps())

    def delete(self, step: int) -> None:
        """Delete the state of a step, if there is one."""
        if step in self.steps:
            self._manager.delete(step)

    def restore(
        self,
        like: State,
        warn: Callable[[str], None] = warnings.warn,
        order: Sequence[int] | None = None,
    ) -> State | None:
        """Return the newest state that can be read; None where there is none.

        Newer ones that cannot be read are moved to the folder `unreadable` beside the
        checkpoints. Where none can be read, none is moved.

        Args:
            like: A state of the same structure, shapes and placement.
            warn: Called with one line for every state that is moved.
            order: The steps to try, first to last, in place of the newest first.

        Raises:
            InputError: There are states, and none of them can be read.
            OSError: The disk failed; the checkpoints may well be whole.
        """
        template = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        reasons: dict[int, str] = {}
        for step in self.steps[::-1] if order is None else order:
            try:
                with _disk(self._directory):
                    restored: State = self._manager.restore(
                        step, args=ocp.args.StandardRestore(template)
                    )
            except MemoryError:
                raise
            except Exception as error:  # whatever a damaged file leads to
                if _is_transient(error):
                    raise
                lines = str(error).splitlines() or [type(error).__name__]
                reasons[step] = lines[0][:160]
                continue
            for damaged, reason in reasons.items():
                warn(
                    f"checkpoint {damaged} cannot be read ({reason}): set aside as "
                    f"{self._set_aside(damaged)}, using {step}"
                )
            return restored
        if reasons:
            step, reason = next(iter(reasons.items()))
            raise InputError(
                f"no checkpoint in {self._directory} can be read ({step}: {reason}): "
                "bring them back, or remove the folder to start anew"
            )
        return None

    def _set_aside(self, step: int) -> Path:
        aside = self._directory.parent / "unreadable" / f"{step}-{time.time_ns()}"
        if is_main():
            aside.parent.mkdir(exist_ok=True)
            (self._directory / str(step)).rename(aside)
        all_max(0)  # the others look when it has been moved
        self._manager.reload()
        return aside


def _is_transient(error: Exception) -> bool:
    """Return whether the machine failed, so that the checkpoint may well be whole."""
    if isinstance(error, OSError):
        return error.errno not in (None, errno.ENOENT)  # a file of it may be missing
    return "RESOURCE_EXHAUSTED" in str(error)


@contextlib.contextmanager
def _disk(directory: Path) -> Iterator[None]:
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
