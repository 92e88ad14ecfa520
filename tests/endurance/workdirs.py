"""Everything that a run leaves and that a second one must leave again."""

import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tests.programs import strict

CHECKPOINTS = ("checkpoints", "epochs", "history", "prior", "detector", "snapshots")
"""Folders of states by step; Orbax names the files in a state at random."""
_OWN = {"timing", "environment", "workdir", "costs", "seconds", "milliseconds"}
"""Entries of a summary that no two runs share; `arm/seconds` is one too."""


def contents(workdir: Path) -> dict[str, Any]:
    """Return what is in the files of a workdir, by path; without times.

    A file is its bytes, or what it says if it is text or a table. A state is its step:
    `parameters_sha256` tells its arrays. All Parquet parts of a folder are one table.
    """
    found: dict[str, Any] = {}
    for path in sorted(workdir.rglob("*")):
        name = path.relative_to(workdir)
        inside = [place for place in name.parts[:-1] if place in CHECKPOINTS]
        if inside:
            state = Path(*name.parts[: name.parts.index(inside[0]) + 2])
            found[str(state)] = "a state"
        elif name.parent.name == "tensorboard":
            found[str(name.parent)] = "events"
        elif path.suffix == ".parquet":
            rows = found.setdefault(f"{name.parent}/*.parquet", {})
            for row in pq.read_table(path, partitioning=None).to_pylist():
                assert row["input"] not in rows, f"{row['input']} has two rows"
                rows[row["input"]] = row
        elif path.is_file():
            found[str(name)] = _read(path)
    return found


def _read(path: Path) -> Any:
    if path.name == "summary.json":
        return timeless(strict(path.read_text()))
    if path.suffix == ".json":
        return strict(path.read_text())
    if path.suffix == ".jsonl":
        return [strict(line) for line in path.read_text().splitlines()]
    if path.suffix == ".npz":
        with np.load(io.BytesIO(path.read_bytes())) as arrays:
            return {
                name: arrays[name].tobytes() for name in arrays if name != "seconds"
            }
    if path.suffix == ".html":
        page = path.read_text()
        HTMLParser().feed(page)
        return "whole" if page.rstrip().endswith("</html>") else "a part"
    return path.read_bytes()


def timeless(value: Any) -> Any:
    """Return an entry of a summary without what no two runs share."""
    if not isinstance(value, dict):
        return value
    return {
        name: timeless(inner)
        for name, inner in value.items()
        if name.rpartition("/")[2] not in _OWN
    }


def differences(workdir: Path, whole: Path) -> list[str]:
    """Return the names of files that differ from those of an undisturbed run."""
    found, wanted = contents(workdir), contents(whole)
    return [
        f"{name}: {_brief(found.get(name))} in place of {_brief(wanted.get(name))}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]


def _brief(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:200]


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a folder, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
