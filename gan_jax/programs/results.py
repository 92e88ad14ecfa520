"""What a training run leaves: the summary and the report."""

import math
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import jax

import gan_jax
from gan_jax.keys import flatten
from gan_jax.programs.assembly import Run
from gan_jax.programs.evaluation import Evaluation
from gan_jax.programs.prior import keep_prior
from gan_jax.programs.selection import Epochs
from gan_jax.report import files, training
from gan_jax.report.journal import Rows
from gan_jax.report.terminal import say
from gan_jax.training.processes import leads
from gan_jax.training.state import TrainState, digest, trained


def conclude(
    this: Run,
    state: TrainState,
    evaluation: Evaluation,
    epochs: Epochs,
    journal: Rows,
    timing: Mapping[str, float],
    began: float,
) -> dict[str, Any]:
    """Measure the best and the last epoch on the test part; write the report.

    The best epoch's measures are the run's own, because it is chosen on validation
    images. Where none was evaluated on the way, it is the last.
    """
    rows = journal.rows
    last = int(state.step)
    chosen = epochs.best(rows, state, say) or trained(state)
    criterion = epochs.criterion(rows)
    if criterion and len(criterion) < len(this.task.criterion):
        say(f"the best epoch is chosen by {' and '.join(criterion)} alone")
    count = this.config.evaluation.final_count
    step = int(chosen.step)
    measured = {
        at: evaluation.measure(networks, "test", count)
        for at, networks in {last: trained(state), step: chosen}.items()
    }
    real_score = keep_prior(this, chosen)
    plate = evaluation.draw(chosen)
    train_part = this.parts["train"]
    # Only what a run has: most have none of them.
    more = {
        "baselines": {
            name: found.metrics | {"metrics_failed": found.failed}
            for name, found in evaluation.baselines("test", count).items()
        },
        "teacher": this.teacher and this.teacher.describe(),
        "real_score": None if math.isnan(real_score) else real_score,
    }
    summary = {
        "program": this.config.program,
        "config_name": this.config.name,
        "dataset": {
            "name": next(iter(train_part.values())).name,
            "split": "train",
            "count": sum(len(source) for source in train_part.values()),
            "shape": list(next(iter(train_part.values())).shape),
            "sha256": this.digest,
        },
        "metrics": measured[step].metrics,
        "metrics_failed": measured[step].failed,
        "evaluation": {"split": "test", "count": count},
        "steps": last,
        **{name: value for name, value in more.items() if value not in (None, {})},
        "best": {"step": step, "criterion": criterion},
        "last": {
            "step": last,
            "metrics": measured[last].metrics,
            "metrics_failed": measured[last].failed,
        },
        "timing": {
            **no_timing(),
            **timing,
            "total_seconds": timing.get("total_seconds", time.monotonic() - began),
        },
        "environment": environment(this.mesh),
        "parameters_sha256": parameters_digest(state),
        "complete": True,
    }
    figures = evaluation.figures(chosen)
    if leads():
        journal.flush()
        files.write_image(this.workdir / "samples" / "best.png", plate)
        page = training.report(
            summary, flatten(this.config), rows, plate, figures, this.task, this.workdir
        )
        files.write_text(this.workdir / "report.html", page)
        files.write_json(this.workdir / "summary.json", summary)
    return summary


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
