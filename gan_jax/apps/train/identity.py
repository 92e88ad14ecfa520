"""The data that a run was trained on: kept in its workdir, and compared with others.

Where data have changed their split is drawn anew, so that images trained on would be
taken for unseen ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data import splits
from gan_jax.data.datasets.dataset import Dataset
from gan_jax.data.files.contents import Contents, as_json, differences, from_json
from gan_jax.data.memory import read_regular
from gan_jax.data.splits import Part
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.runs.workdir import read_summary, written_config
from gan_jax.training.checkpoint import saved_steps
from gan_jax.training.distributed import is_main

_FILE = "data.json"
_LARGEST = 2**30  # bytes of it, for millions of files
_ACCEPTED: Mapping[str, bool] = {"refuse": False, "accept": True}
_SEEN = "Some of its test images may have been trained on"


class Identity(NamedTuple):
    """What identifies the data of a run."""

    contents: Contents
    """Contents of their files."""
    sha256: Mapping[str, str]
    """SHA-256 of the images and labels of each part, by its name."""
    changes: tuple[str, ...] = ()
    """How the data changed while the run was trained, in words."""

    def as_json(self) -> dict[str, list[str]]:
        """Return the entry of a summary; empty where the data have not changed."""
        return {"changes": [*self.changes]} if self.changes else {}


def is_trained(workdir: Path) -> bool:
    """Return whether a run in a workdir has trained on its data."""
    return bool(
        saved_steps(workdir / "checkpoints") or (workdir / "summary.json").exists()
    )


def identify(
    config: ConfigDict, workdir: Path, dataset: Dataset, parts: Mapping[str, Part]
) -> Identity:
    """Return the identity of data on which a run is to be trained, or goes on.

    Args:
        config: A training config, of which `data` is read.
        workdir: Workdir of the run that was trained on the data, or will be.
        dataset: The open data.
        parts: Their parts.

    Raises:
        InputError: The run was trained on other data, and `data.changed` refuses them.
    """
    # Data that are made here never change.
    names = parts if dataset.contents else ["train"]
    sha256 = {name: splits.digest(parts[name]) for name in names}
    found = Identity(dataset.contents, sha256)
    if not is_trained(workdir):
        return found
    before = _known(workdir)
    changed = _changed(before, found) or _moved(config, workdir, before)
    if changed:
        _check(workdir, changed, config.data.changed)
    return found._replace(changes=(*before.changes, *filter(None, [changed])))


def unseen_parts(prior: Prior, changed: str) -> Mapping[str, Part]:
    """Open the data of a prior, and split them as its training did.

    Args:
        prior: The trained run.
        changed: `refuse` or `accept` data that have changed since.

    Raises:
        InputError: The data cannot be opened, or have changed.
    """
    dataset = datasets.source(prior.config.data)
    parts = datasets.partition_of(prior.config, dataset)
    before = _known(prior.workdir)
    if before.contents != dataset.contents:
        sha256 = {name: splits.digest(parts[name]) for name in before.sha256}
        if different := _changed(before, Identity(dataset.contents, sha256)):
            _check(prior.workdir, different, changed)
    return parts


def keep_identity(found: Identity, workdir: Path) -> None:
    """Write what a run is trained on to its workdir, before it is trained on it.

    Raises:
        OSError: The file cannot be written.
    """
    path = workdir / _FILE
    if is_main() and (found.contents or path.exists()):
        content: dict[str, Any] = {
            "sha256": dict(found.sha256),
            "changes": [*found.changes],
            "files": as_json(found.contents),
        }
        files.write_json(path, content)


def _known(workdir: Path) -> Identity:
    """Return what a run was trained on, and say how that changed on the way."""
    known = _read(workdir)
    for change in known.changes:
        say(f"while {workdir} was trained its data changed: {change}. {_SEEN}")
    return known


def _read(workdir: Path) -> Identity:
    """Return what a run was trained on, as far as its workdir tells.

    Runs of earlier versions tell the SHA-256 of their training part alone.
    """
    path = workdir / _FILE
    try:
        content = files.decode_json(read_regular(path, _LARGEST))
        kept = [content[name] for name in ("sha256", "files")]
        sha256, contents = ({**each} for each in kept)
        changes = tuple(map(str, content["changes"]))
        return Identity(from_json(contents), sha256, changes)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError, LookupError, TypeError) as error:
        say(f"{path} cannot be used ({error}): comparing the data by summary.json")
    try:
        summary = read_summary(workdir) or {}
    except (OSError, ValueError):  # it has been said
        summary = {}
    stated = (summary.get("dataset") or {}).get("sha256")
    return Identity({}, {"train": str(stated)} if stated else {})


def _changed(before: Identity, now: Identity) -> str:
    """Return how data differ from those before, in words; empty where they do not.

    They are the same where their files are, or else their images: files may have been
    renamed, or written anew without loss.
    """
    same = (now.sha256.get(name) == sha256 for name, sha256 in before.sha256.items())
    if before.contents == now.contents or all(same):
        return ""
    if before.contents:
        return "; ".join(differences(before.contents, now.contents))
    return "its summary.json states another SHA-256 of the training images"


def _moved(config: ConfigDict, workdir: Path, before: Identity) -> str:
    """Return the change of a path, in words, where nothing tells what lay there."""
    if before.sha256:
        return ""
    try:
        path = (written_config(workdir) or {}).get("data.path")
    except (OSError, ValueError):
        path = None  # nothing tells where the data lay either
    if path in (None, config.data.path):
        return ""
    return (
        f"data.path: {path!r} -> {config.data.path!r}, and nothing tells what it held"
    )


def _check(workdir: Path, changed: str, wanted: str) -> None:
    """Refuse data that have changed since a run was trained on them, or say so.

    Raises:
        InputError: Changed data are not `wanted`.
    """
    since = f"the data of {workdir} have changed since it was trained: {changed}"
    if not look_up(_ACCEPTED, "data.changed", wanted):
        raise InputError(
            f"{since}. Their split is drawn anew, and images trained on would be taken "
            "for unseen ones: bring the data back, train in another workdir, or go on "
            "with --config.data.changed=accept"
        )
    say(f"{since}. {_SEEN}")
