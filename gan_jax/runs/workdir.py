"""The folder of a run: which config it belongs to, its lock, and its files."""

import contextlib
import itertools
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.checks import check_path, difference
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.training.checkpoint import about_run
from gan_jax.training.distributed import is_main

_FILES = (
    "checkpoints",
    "epochs",
    "snapshots",
    "detector",
    "searches",
    "results",
    "metrics.jsonl",
    "summary.json",
    "report.html",
)
"""Names that only a run writes."""
_COPIES = ("checkpoints", "prior", "detector", "epochs", "history", "snapshots")
"""Folders of checkpoints, which hold copies of the config."""


def another(workdir: Path, flag: str = "--workdir") -> str:
    """Return the advice to give `flag` another folder, with one that does not exist."""
    return f"choose another {flag}, e.g. {shlex.quote(f'{flag}={_free(workdir)}')}"


def _free(workdir: Path) -> Path:
    """Return the first of `runs/gan-2`, `runs/gan-3`, ... that does not exist."""
    place = workdir if workdir.name.strip(".") else workdir.resolve()
    stem = re.sub(r"-\d+$", "", place.name)
    numbered = (place.parent / f"{stem}-{number}" for number in itertools.count(2))
    return next(folder for folder in numbered if not os.path.lexists(folder))


def check_workdir(
    config: ConfigDict,
    workdir: Path,
    flag: str = "--workdir",
    named: Path | None = None,
) -> dict[str, Any] | None:
    """Raise if a workdir belongs to another config; write nothing.

    Args:
        config: Config of the run.
        workdir: Folder of the run.
        flag: Flag by which the user has named it.
        named: Folder that the flag names, if the workdir lies inside it.

    Returns:
        The summary of a complete run of the config there; None if there is none.

    Raises:
        InputError: Another config wrote the folder (with the difference), or it cannot
            be read.
    """
    path, advice = workdir / "config.json", another(named or workdir, flag)
    wanted = flatten(config)
    _check_apart(wanted.get("images", ""), workdir, flag)
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"workdir {workdir} is a file: {advice}")
    check_path(flag, workdir)
    try:
        written = written_config(workdir)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}), and no checkpoint says what it held: "
            "copy it from a run of the same command in another --workdir, which may be "
            f"stopped at once, or {advice}"
        ) from None
    if written is None:
        others = [name for name in _FILES if (workdir / name).exists()]
        if others:
            raise InputError(
                f"{workdir} holds {others[0]} but no config.json to tell whose it is: "
                f"{advice}"
            )
    else:
        changed = difference(written, wanted)
        if changed:
            raise InputError(
                f"{workdir} was written with another config ({'; '.join(changed)}):"
                f" {advice}, or give the same values"
            )
    try:
        return read_summary(workdir)
    except (OSError, ValueError) as error:
        say(f"{workdir / 'summary.json'} cannot be used ({error}): writing it anew")
        return None


def written_config(workdir: Path) -> dict[str, Any] | None:
    """Return the flat config that a run has written; None where there is none.

    Its checkpoints have copies, of which one is read if `config.json` cannot be.

    Raises:
        OSError: The file cannot be read, and there is no copy.
        ValueError: The file holds something else, and there is no copy.
    """
    try:
        return files.read_json(workdir / "config.json")
    except (OSError, ValueError) as error:
        for folder in _COPIES:
            config = about_run(workdir / folder).get("config")
            if isinstance(config, dict):
                return config
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise


def _check_apart(images: str, workdir: Path, flag: str) -> None:
    """Raise if the workdir and the folder of the user's images contain each other.

    Outputs have the names of their inputs and would be read as inputs.
    """
    if not images:
        return
    inputs, outputs = Path(images).expanduser().resolve(), workdir.resolve()
    if inputs.is_relative_to(outputs) or outputs.is_relative_to(inputs):
        raise InputError(
            f"--config.images {images} and the workdir {workdir} lie in each other, "
            f"and results would be taken for images: choose another {flag}"
        )


@contextlib.contextmanager
def claimed(
    config: ConfigDict,
    workdir: Path,
    skipped: Sequence[Skipped],
    flag: str = "--workdir",
) -> Iterator[None]:
    """Lock a workdir for a config, once everything else has been checked.

    Removes half-written files of a killed run, and lists unusable inputs in
    `results.jsonl`. A second run in the same workdir is refused. Of several processes
    the main one holds the lock. Messages name the workdir's `flag`.

    Raises:
        InputError: Another run is at work there.
        OSError: The workdir cannot be written.
    """
    if not is_main():
        yield
        return
    workdir.mkdir(parents=True, exist_ok=True)
    with _locked(workdir, flag):
        check_workdir(config, workdir, flag)  # another run may have come first
        files.remove_temporaries(workdir)
        files.write_json(workdir / "config.json", flatten(config))
        if skipped or (workdir / "results.jsonl").exists():
            write_results(workdir, skipped)
        yield


def check_shared(workdir: Path) -> None:
    """Raise if this process does not see the workdir that the main one has claimed.

    Raises:
        InputError: The workdir is a folder of another machine.
    """
    if not (workdir / "config.json").exists():
        raise InputError(
            f"workdir {workdir} is not the same folder on all machines: give a "
            "--workdir that they share"
        )


def write_results(
    workdir: Path, skipped: Sequence[Skipped], done: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write `results.jsonl`: a line for every input, those that failed first.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]
    text = "".join(files.encode_json(line) + "\n" for line in [*lines, *done])
    files.write_text(workdir / "results.jsonl", text)


@contextlib.contextmanager
def _locked(workdir: Path, flag: str) -> Iterator[None]:
    """Lock the folder itself, which the system unlocks when the process ends.

    A lock file (the filelock package) would stay in the user's workdir, and where a
    file system has no locks it would outlive `kill -9`.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    folder = os.open(workdir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another run is at work in {workdir}: wait for it, or "
                f"{another(workdir, flag)}"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        yield
    finally:
        os.close(folder)


def read_summary(workdir: Path) -> dict[str, Any] | None:
    """Return the summary of a workdir; None if there is none.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds something else.
    """
    try:
        summary = files.read_json(workdir / "summary.json")
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in ("metrics", "metrics_failed", "timing"):
        if not isinstance(summary.get(name), dict):
            raise ValueError(f"it holds no {name}")
    for name in ("dataset", "environment"):  # a study of failures has none
        if not isinstance(summary.get(name, False), dict | None):
            raise ValueError(f"it holds no {name}")
    return summary
