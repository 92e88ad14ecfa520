"""The summary of a run: what `summary.json` holds."""

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
    timing: Mapping[str, float],
    environment: Mapping[str, Any] | None,
    **more: Any,
) -> dict[str, Any]:
    """Return the summary of a run that has ended.

    Args:
        config: of the run.
        dataset: `name`, `split`, `count` and `sha256` of the images.
        measured: its metrics, and why some could not be computed.
        timing: seconds and rates, by name; `total_seconds` of every run.
        environment: as `environment` returns it.
        **more: what only some programs have; `parameters_sha256` where there are
            networks, `prior` where one was used.
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
    """Return what a run ran on; `git` is the package's `commit`."""
    return {
        "jax": jax.__version__,
        "flax": flax.__version__,
        "device": mesh.devices.flat[0].device_kind,
        "count": mesh.devices.size,
        "git": commit(Path(gan_jax.__file__)),
    }


def commit(file: Path) -> str | None:
    """Return the commit of the checkout that a file belongs to.

    A file may lie in another project's checkout without belonging to it, as an
    installed package does in a virtual environment there.

    Args:
        file: whose.

    Returns:
        The commit's hash, with `-dirty` behind it where tracked files have changed
        since; None where no checkout tracks the file, or there is no git.
    """
    # In a hook of git these name the repository that is at work, wherever one asks.
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
        # No tag stands for the commit.
        return git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def parameters_digest(state: TrainState) -> str:
    """Hash the final generator's and critic's parameters (SHA-256)."""
    networks = {"generator": state.generator, "critic": state.critic}
    return digest({name: player.parameters for name, player in networks.items()})


def no_timing() -> dict[str, float]:
    """Timing of a run of which nothing was trained."""
    names = ("compile_seconds", "steps_per_second", "images_per_second", "host_share")
    return dict.fromkeys(names, 0.0)
