"""Checkpoints; the only module that uses Orbax."""

import contextlib
import errno
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Array, PyTree
from orbax.checkpoint import checkpoint_managers

import gan_jax
from gan_jax.config.checks import check_path
from gan_jax.config.errors import InputError
from gan_jax.data.memory import read_regular
from gan_jax.report.files import read_json
from gan_jax.training.distributed import all_max, is_main
from gan_jax.training.state import digest
from gan_jax.training.storage import (
    LiteralPath,
    check_regular,
    disk_errors,
    drop_abandoned_reads,
    is_transient,
)

State = TypeVar("State")

_STEP = re.compile("0|[1-9][0-9]*")  # the folder of a saved state
_METADATA = "_CHECKPOINT_METADATA"  # the file in which Orbax keeps `custom_metadata`
_LARGEST = 2**24  # bytes of that file
_SHA256 = "arrays_sha256"


class _Written(NamedTuple):
    """A state that was saved and has not been read back yet."""

    step: int
    like: PyTree
    sha256: str


class Checkpoints:
    """The saved states of one run, by step; a context manager.

    A state is written in the background under a temporary name and then renamed, so
    that a run that is killed at any moment leaves only whole checkpoints. With it are
    kept the SHA-256 of its arrays, which is compared whenever it is read, the version
    of this package, and the content of `config.json` beside the directory. A state is
    read back before the one two saves earlier is deleted.
    """

    def __init__(self, directory: Path, keep: int | None = 2, read_only: bool = False):
        """Open the checkpoints in a directory.

        Args:
            directory: Folder of the checkpoints.
            keep: How many of the latest ones are kept; None = all.
            read_only: Whether another run's are read: nothing is created, moved or
                deleted, since that run may be at work.
        """
        check_path("directory", directory)
        drop_abandoned_reads()
        latest = checkpoint_managers.preservation_policy.LatestN
        # Orbax needs an absolute path: a relative one fails late, while saving.
        self._directory = directory.absolute()
        self._read_only = read_only
        self._about = {
            "gan_jax": gan_jax.__version__,
            "config": _config_beside(directory),
        }
        self._written: _Written | None = None
        with disk_errors(self._directory):
            self._manager = ocp.CheckpointManager(
                LiteralPath(self._directory),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=None if keep is None else latest(keep),
                    # Not Orbax's `read_only`, which warns of each of its effects.
                    create=not read_only,
                    cleanup_tmp_directories=not read_only,
                    # Orbax would read the metadata of all states now, and end at a
                    # damaged one.
                    lightweight_initialize=True,
                ),
                # Without it Orbax guesses from the first folder that it looks at how
                # all states are stored, and an empty one leads it astray.
                item_handlers=ocp.StandardCheckpointHandler(),
            )

    def __enter__(self) -> "Checkpoints":
        """Enter the context."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Wait for the last save, read it back and close.

        Raises:
            OSError: The last state could not be written, or is not what was saved.
        """
        try:
            self.wait()
        finally:
            with disk_errors(self._directory):
                self._manager.close()

    def save(self, step: int, state: PyTree[Array]) -> None:
        """Save a state in the background, unless its step is saved already.

        Raises:
            OSError: This state, or the one before it, cannot be written.
        """
        if step in self.steps:
            return
        self.wait()
        self._check_space(state)
        sha256 = _digest(state)
        with disk_errors(self._directory):
            self._manager.save(
                step,
                args=ocp.args.StandardSave(state),
                custom_metadata={**self._about, _SHA256: sha256},
                force=True,
            )
        self._written = _Written(step, jax.tree.map(_on_host, state), sha256)

    def wait(self) -> None:
        """Wait until every saved state is on the disk, and read the last one back.

        Raises:
            OSError: One could not be written, or is not what was saved.
        """
        written, self._written = self._written, None
        with disk_errors(self._directory):
            self._manager.wait_until_finished()
        if written is None:
            return
        try:
            self._read(written.step, written.like, written.sha256)
        except Exception as error:  # whatever a damaged file leads to
            if is_transient(error):
                raise
            reason = f"it is not what was saved ({_line(error)})"
            place = str(self._directory / str(written.step))
            raise OSError(errno.EIO, reason, place) from error

    def replace(self, step: int, state: PyTree[Array]) -> None:
        """Save a state, and delete those of all other steps once it has been read back.

        Nothing is written where the very state is saved already.

        Raises:
            OSError: The state cannot be written, or is not what was saved.
        """
        if not self._holds(step, state):
            self._check_space(state)
            self.delete(step)
            self.save(step, state)
            self.wait()
        for other in set(self.steps) - {step}:
            self.delete(other)

    def _holds(self, step: int, state: PyTree[Array]) -> bool:
        """Return whether a state is saved at a step, whole and with its digest."""
        sha256 = _digest(state)
        try:
            if _about(self._directory / str(step)).get(_SHA256) != sha256:
                return False
            self._read(step, jax.tree.map(_on_host, state), sha256)
        except MemoryError:
            raise
        except Exception:  # whatever a damaged file leads to
            return False
        return True

    def _check_space(self, state: PyTree[Array]) -> None:
        """Raise an `OSError` if a state may not fit on the disk.

        On a full disk each of Orbax's many threads fails with a traceback. While it
        saves, a state takes up to twice its size.
        """
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        if shutil.disk_usage(self._directory).free < 2 * size:
            reason = os.strerror(errno.ENOSPC)
            raise OSError(errno.ENOSPC, reason, str(self._directory))

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

        Newer ones that cannot be read, or whose arrays are not those that were saved,
        are moved to the folder `unreadable` beside the checkpoints. Where none can be
        read, or they are opened to be read only, none is moved.

        Args:
            like: A state of the same structure, shapes and placement.
            warn: Called with one line for every state that cannot be read.
            order: The steps to try, first to last, in place of the newest first.

        Raises:
            InputError: There are states, and none of them can be read.
            OSError: The disk failed; the checkpoints may well be whole.
        """
        template = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        reasons: dict[int, str] = {}
        for step in saved_steps(self._directory) if order is None else order:
            try:
                restored: State = self._read(step, template)
            except MemoryError:
                raise
            except Exception as error:  # whatever a damaged file leads to
                if is_transient(error):
                    raise
                reasons[step] = _line(error)
                continue
            for damaged, reason in reasons.items():
                aside = (
                    ""
                    if self._read_only
                    else f"set aside as {self._set_aside(damaged)}, "
                )
                warn(
                    f"checkpoint {damaged} cannot be read ({reason}): {aside}"
                    f"using {step}"
                )
            return restored
        if reasons:
            step, reason = next(iter(reasons.items()))
            raise InputError(
                f"no checkpoint in {self._directory} can be read ({step}: {reason}): "
                "bring them back, or remove the folder to start anew"
            )
        return None

    def _read(self, step: int, like: State, sha256: str | None = None) -> State:
        """Return the state of a step, if it has the SHA-256 given or kept with it."""
        check_regular(self._directory / str(step))
        with disk_errors(self._directory):
            restored: State = self._manager.restore(
                step, args=ocp.args.StandardRestore(like)
            )
        expected = sha256 or _about(self._directory / str(step)).get(_SHA256)
        if expected is not None and _digest(restored) != expected:
            raise ValueError("its arrays are not those that were saved")
        return restored

    def _set_aside(self, step: int) -> Path:
        aside = self._directory.parent / "unreadable" / f"{step}-{time.time_ns()}"
        if is_main():
            aside.parent.mkdir(exist_ok=True)
            (self._directory / str(step)).rename(aside)
        all_max(0)  # the others look when it has been moved
        self._manager.reload()
        return aside


def about_run(directory: Path) -> Mapping[str, Any]:
    """Return what the newest state in a directory says of its run; write nothing.

    Returns:
        `gan_jax`, the version of this package that saved it, and `config`, the content
        of its run's `config.json`. Empty where there is no state, or one of an older
        version.
    """
    for step in saved_steps(directory):
        with contextlib.suppress(Exception):  # whatever a damaged file leads to
            if about := _about(directory / str(step)):
                return about
    return {}


def _about(folder: Path) -> Mapping[str, Any]:
    """Return what was saved with a state; nothing for one of an older version."""
    try:
        text = read_regular(folder / _METADATA, _LARGEST)
    except FileNotFoundError:
        return {}
    about: Mapping[str, Any] = json.loads(text)["custom_metadata"] or {}
    return about if _SHA256 in about else {}


def saved_steps(directory: Path) -> list[int]:
    """Return the steps of the states in a directory, the newest first.

    Orbax lists only folders; what is no folder counts too, as a damaged state.
    """
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return sorted(map(int, filter(_STEP.fullmatch, names)), reverse=True)


def _config_beside(directory: Path) -> dict[str, Any] | None:
    """Return the config of the run that a directory of checkpoints lies in."""
    try:
        return read_json(directory.parent / "config.json")
    except (OSError, ValueError):
        return None


def _digest(state: PyTree[Array | np.ndarray]) -> str:
    """Return the SHA-256 of a state, which is the same for dicts and named tuples."""
    plain = {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            jax.random.key_data(leaf) if _is_key(leaf) else leaf
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    return digest(plain)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _on_host(leaf: Array) -> Any:
    """Return a template for the array, to be read without the device's memory."""
    if _is_key(leaf):
        return ocp.utils.to_shape_dtype_struct(leaf)
    return np.empty(leaf.shape, leaf.dtype)


def _line(error: Exception) -> str:
    """Return the beginning of an error's first line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
