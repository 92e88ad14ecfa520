"""What a trained prior yields: images, measures, the summary and the report."""

import hashlib
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan_jax.config import flatten
from gan_jax.programs.assembly import Run
from gan_jax.report import files, training
from gan_jax.report.journal import Journal
from gan_jax.tasks.task import Generate
from gan_jax.training.state import TrainState, Variables

_CHUNK = 100  # images generated at once


class Generator:
    """Generates with given variables, in chunks of one compiled size."""

    def __init__(self, this: Run):
        """Compile nothing yet."""
        recipe = this.recipe

        def generate(
            variables: Variables, key: PRNGKeyArray, condition: PyTree[Array]
        ) -> Float[Array, "batch height width channels"]:
            latent = recipe.latent(key, _CHUNK)
            images: Any = recipe.generator.apply(variables, latent, condition)
            return images

        self._generate = jax.jit(generate)

    def using(self, variables: Variables) -> Generate:
        """Give the function of keys and conditions that a task evaluates."""

        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count height width channels"]:
            count = len(jax.tree.leaves(conditions)[0])
            chunks = []
            for start in range(0, count, _CHUNK):
                # The last chunk is filled by repeating, and cut after.
                at = np.arange(start, start + _CHUNK) % count
                chunk = jax.tree.map(lambda maps, at=at: maps[at], conditions)
                images = self._generate(
                    variables, jax.random.fold_in(key, start), chunk
                )
                chunks.append(np.asarray(images))
            return np.concatenate(chunks)[:count]

        return generate


def evaluate(this: Run, generate: Generator, average: Variables, part: str) -> Any:
    """Measure the averaged generator on a part of the data, under fixed keys."""
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_001)
    count = this.config.evaluation.count
    if part == "validation":
        count = min(count, 500)
    return this.task.evaluate(generate.using(average), this.parts[part], key, count)


def draw(this: Run, generate: Generator, average: Variables) -> np.ndarray:
    """Draw the task's plate on validation images, the same ones at every step."""
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_002)
    picture: np.ndarray = this.task.picture(
        generate.using(average), this.parts["validation"], key
    )
    return picture


def conclude(
    this: Run,
    state: TrainState,
    journal: Journal,
    timing: Mapping[str, float],
    began: float,
) -> dict[str, Any]:
    """Evaluate on the test part, write `summary.json` and `report.html`."""
    generate = Generator(this)
    measured = evaluate(this, generate, state.average, "test")
    plate = draw(this, generate, state.average)
    train_part = this.parts["train"]
    summary = {
        "program": this.config.program,
        "config_name": this.config.name,
        "dataset": {
            "name": next(iter(train_part.values())).name,
            "split": "train",
            "count": sum(len(source) for source in train_part.values()),
            "sha256": this.digest,
        },
        "metrics": measured.metrics,
        "metrics_failed": measured.failed,
        "evaluation": {"split": "test", "count": this.config.evaluation.count},
        "steps": int(state.step),
        "timing": {
            **{key: timing[key] for key in no_timing()},
            "total_seconds": timing.get("total_seconds", time.monotonic() - began),
        },
        "environment": environment(this.mesh),
        "parameters_sha256": parameters_digest(state),
        "complete": True,
    }
    journal.flush()
    files.write_text(
        this.workdir / "report.html",
        training.report(
            summary, flatten(this.config), journal.rows, plate, this.task, this.workdir
        ),
    )
    files.write_json(this.workdir / "summary.json", summary)
    return summary


def environment(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """Tell what a run ran on; `git` is null outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "jax": jax.__version__,
        "flax": flax.__version__,
        "device": mesh.devices.flat[0].device_kind,
        "count": mesh.devices.size,
        "git": commit,
    }


def parameters_digest(state: TrainState) -> str:
    """Hash the final generator's and critic's parameters (SHA-256)."""
    digest = hashlib.sha256()
    networks = {"generator": state.generator, "critic": state.critic}
    parameters = {name: player.parameters for name, player in networks.items()}
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def no_timing() -> dict[str, float]:
    """Timing of a run of which nothing was trained."""
    return dict.fromkeys(
        ("compile_seconds", "steps_per_second", "images_per_second"), 0.0
    )
