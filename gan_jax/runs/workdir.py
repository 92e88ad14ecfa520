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

from gan_jax.build import datasets
from gan_jax.config.checks import check_path, difference
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.report import files, ownership
from gan_jax.report.terminal import say
from gan_jax.training.checkpoint import about_run
from gan_jax.training.distributed import is_main

_PATHS = ("images", "masks", "known", "mask.pattern", "teacher.path")
_RUNS = ("prior", "history_run")
"""Keys of inputs, beside those of data."""
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
    """Raise if a workdir belongs to another config, or to no run; write nothing.

    Args:
        config: Config of the run.
        workdir: Folder of the run.
        flag: Flag by which the user has named it.
        named: Folder that the flag names, if the workdir lies inside it.

    Returns:
        The summary of a complete run of the config there; None if there is none.

    Raises:
        InputError: Another config wrote the folder (with the difference), it holds
            what a run would write over, an input lies in it, or it in an input, or it
            cannot be read.
    """
    path, advice = workdir / "config.json", another(named or workdir, flag)
    wanted = flatten(config)
    _check_apart(wanted, named or workdir, flag)
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
        other = ownership.taken(workdir)
        if other is not None:
            raise InputError(
                f"{workdir} holds {other} but no config.json to tell whose it is: "
                f"{advice}"
            )
    else:
        changed = difference(written, wanted)
        if changed:
            raise InputError(
                f"{workdir} was written with another config ({'; '.join(changed)}):"
                f" {advice}, or give the same values"
            )
    wrong = ownership.misplaced(workdir)
    if wrong is not None:
        raise InputError(f"{wrong} in {workdir}, which no run wrote: {advice}")
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


def _check_apart(config: Mapping[str, Any], workdir: Path, flag: str) -> None:
    """Raise if a workdir and the inputs that a flat config names lie in each other.

    Outputs would be read as inputs, or written over them. A single file may lie in the
    workdir, but not where a run writes.
    """
    outputs = workdir.resolve()
    for name, path in _inputs(config):
        place = path.resolve()
        inside = place.is_relative_to(outputs)
        if path.is_dir() and (inside or outputs.is_relative_to(place)):
            raise InputError(
                f"{name} {path} and the workdir {workdir} lie in each other, and "
                f"results would be taken for images: choose another {flag}"
            )
        if inside and {*place.relative_to(outputs).parts[:1]} & ownership.NAMES:
            raise InputError(
                f"{name} {path} lies where a run in {workdir} writes: choose another "
                f"{flag}"
            )


def _inputs(config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield what a flat config reads from the disk, each with the words for its key.

    The data of a prior count too, unless it is applied to `images`: many applications
    read them.
    """
    for name, path in _named(config):
        yield f"--config.{name}", path
    runs = () if config.get("images") else _RUNS
    for run in filter(None, (config.get(key) for key in runs)):
        with contextlib.suppress(OSError, ValueError):
            of_run = written_config(Path(run).expanduser())
            for name, path in _named(of_run or {}):
                yield f"{name} of {run}", path


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a flat config names, each with its key."""
    texts = {key: value for key, value in config.items() if isinstance(value, str)}
    data = datasets.place(texts.get("data.name", ""), texts.get("data.path", ""))
    named = [("data.path", data), *((key, texts.get(key, "")) for key in _PATHS)]
    named += [("known", part) for part in texts.get("known", "").split(",")]
    for other in texts.get("anomaly.others", "").split(","):
        name, _, _ = other.rpartition(":")  # without its base rate
        named += [("anomaly.others", other), ("anomaly.others", name)]
    for key, text in named:
        if (path := _existing(text)) is not None:
            read = datasets.read_of(path) if key == "data.path" else [path]
            yield from ((key, part) for part in read)


def _existing(text: str) -> Path | None:
    """Return the path in a text; None where it is a name, or missing."""
    # A list of names may be too long for a path, or begin with an unknown user.
    with contextlib.suppress(OSError, RuntimeError):
        path = Path(text).expanduser()
        return path if text and path.exists() else None
    return None


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
        ownership.check_links(workdir)
        ownership.sign(workdir)
        files.write_json(workdir / "config.json", flatten(config))
        ownership.remove_temporaries(workdir)
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
