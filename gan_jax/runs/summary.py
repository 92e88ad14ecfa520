"""The content of `summary.json`."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import jax
from ml_collections import ConfigDict

import gan_jax
from gan_jax.evaluation.measure import Measured
from gan_jax.training.state import TrainState, digest


def complete_summary(
    config: ConfigDict,
    *,
    dataset: Mapping[str, Any] | None,
    measured: Measured,
    timing: Mapping[str, float | int],
    environment: Mapping[str, Any] | None,
    **more: Any,
) -> dict[str, Any]:
    """Return the summary of a complete run.

    Args:
        config: Config of the run.
        dataset: `name`, `split`, `count` and `sha256` of the images.
        measured: Metrics, and the reasons why some could not be computed.
        timing: Seconds and rates by name; every run has `total_seconds`.
        environment: Result of `environment`.
        **more: Entries of some programs only, e.g. `prior`.
    """
    return {
        "program": config.program,
        "config_name": config.name,
        "dataset": dataset,
        "metrics": measured.metrics,
        "metrics_failed": measured.failed,
        "timing": dict(timing),
        "environment": environment,
        **more,
        "complete": True,
    }


def environment(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """Return the versions, devices and commit that a run used."""
    return {
        "jax": jax.__version__,
        "flax": flax.__version__,
        "device": mesh.devices.flat[0].device_kind,
        "count": mesh.devices.size,
        "git": commit(Path(gan_jax.__file__)),
    }


def commit(file: Path) -> str | None:
    """Return the commit of the checkout that tracks a file.

    A file may lie inside another project's checkout untracked, as an installed package
    does in a virtual environment there.

    Returns:
        The commit's hash, followed by `-dirty` if tracked files have changed since;
        None if no checkout tracks the file, or git is missing.
    """
    # In a git hook these variables name the hook's repository, whatever the folder.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=file.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "--", file.name)
        # Never a tag in place of the hash.
        return git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def parameters_digest(state: TrainState) -> str:
    """Return the SHA-256 of the generator's and the critic's parameters."""
    networks = {"generator": state.generator, "critic": state.critic}
    return digest({name: player.parameters for name, player in networks.items()})


def no_timing() -> dict[str, float]:
    """Return the timing of a run that trained nothing."""
    names = ("compile_seconds", "steps_per_second", "images_per_second", "host_share")
    return dict.fromkeys(names, 0.0)
