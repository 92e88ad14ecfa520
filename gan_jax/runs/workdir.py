"""The folder of one run: whose it is, and what it holds."""

import contextlib
import itertools
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.checks import difference
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.report import files
from gan_jax.training.distributed import is_main

_OWN = (
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


def another(workdir: Path, flag: str = "--workdir") -> str:
    """Return the advice to take another folder, with one that exists nowhere yet.

    Args:
        workdir: that is taken.
        flag: by which the user has named it.
    """
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
    """Find whether a workdir is free or this config's; nothing is written yet.

    Args:
        config: whose it may be.
        workdir: the folder.
        flag: by which the user has named it.
        named: what the flag names, where the workdir lies inside that.

    Returns:
        The summary of an earlier, complete run of the config there, if any.

    Raises:
        InputError: another config wrote it (with the difference), or it cannot be
            read.
    """
    path, advice = workdir / "config.json", another(named or workdir, flag)
    wanted = flatten(config)
    _check_apart(wanted.get("images", ""), workdir, flag)
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"workdir {workdir} is a file: {advice}")
    if not path.exists():
        others = [name for name in _OWN if (workdir / name).exists()]
        if others:
            raise InputError(
                f"{workdir} holds {others[0]} but no config.json to tell whose it is: "
                f"{advice}"
            )
    try:
        if path.exists():
            written = json.loads(path.read_text())
            if not isinstance(written, dict):
                raise ValueError("its config.json is not a run's")
            changed = difference(written, wanted)
            if changed:
                raise InputError(
                    f"{workdir} was written with another config ({'; '.join(changed)}):"
                    f" {advice}, or give the same values"
                )
        return read_summary(workdir)
    except (OSError, ValueError) as error:
        raise InputError(
            f"workdir {workdir} cannot be used ({error}): remove the broken file "
            f"there, or {advice}"
        ) from None


def _check_apart(images: str, workdir: Path, flag: str) -> None:
    """Refuse a workdir around the user's images or among them.

    Outputs have the names of their inputs: they would lie over each other.
    """
    if not images:
        return
    given, place = Path(images).expanduser().resolve(), workdir.resolve()
    if given.is_relative_to(place) or place.is_relative_to(given):
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
    """Hold a workdir as this config's; entered once everything else was found good.

    What a killed run left half-written is removed, and the inputs that cannot be used
    are listed in `results.jsonl`. While one run holds a workdir, a second is refused;
    the system lets go of it when the run ends, by `kill -9` too. Of several processes
    of a run it is the first one that holds it.

    Raises:
        InputError: another run is at work there.
        OSError: it cannot be written.
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
    """Refuse a workdir that a process of this run does not see; after it is claimed.

    Raises:
        InputError: it is a folder of another machine.
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
        OSError: it cannot be written.
    """
    lines = [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]
    text = "".join(files.encode_json(line) + "\n" for line in [*lines, *done])
    files.write_text(workdir / "results.jsonl", text)


@contextlib.contextmanager
def _locked(workdir: Path, flag: str) -> Iterator[None]:
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
    """Read the summary of a workdir, None where there is none."""
    path = workdir / "summary.json"
    if not path.exists():
        return None
    summary: dict[str, Any] = json.loads(path.read_text())
    if not isinstance(summary, dict) or not isinstance(summary.get("timing"), dict):
        raise ValueError("its summary.json is not a run's")
    return summary
