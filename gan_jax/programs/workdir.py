"""The folder of one run: whose it is, and what it holds."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config import difference, flatten
from gan_jax.errors import InputError
from gan_jax.report import files


def check_workdir(config: ConfigDict, workdir: Path) -> dict[str, Any] | None:
    """Find whether a workdir is free or this config's; nothing is written yet.

    Returns:
        The summary of an earlier, complete run of the config there, if any.

    Raises:
        InputError: another config wrote it (with the difference), or it cannot be
            read.
    """
    path = workdir / "config.json"
    wanted = flatten(config)
    try:
        if path.exists():
            changed = difference(json.loads(path.read_text()), wanted)
            if changed:
                raise InputError(
                    f"{workdir} was written with another config ({'; '.join(changed)}):"
                    " choose another --workdir, or give the same values"
                )
        return read_summary(workdir)
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"workdir {workdir} cannot be used: {error}") from None


def claim_workdir(config: ConfigDict, workdir: Path) -> None:
    """Make a workdir this config's; called once everything else was found good.

    Raises:
        InputError: it cannot be written.
    """
    try:
        files.write_json(workdir / "config.json", flatten(config))
    except OSError as error:
        raise InputError(f"workdir {workdir} cannot be written: {error}") from None


def read_summary(workdir: Path) -> dict[str, Any] | None:
    """Read the summary of a workdir, None where there is none."""
    path = workdir / "summary.json"
    if not path.exists():
        return None
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary
