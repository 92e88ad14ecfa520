"""What a training run leaves: the summary and the report."""

import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan_jax.apps.train import report as training
from gan_jax.apps.train.epochs import Epochs
from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.recalibration import recalibrate
from gan_jax.apps.train.setup import Run
from gan_jax.config.keys import flatten
from gan_jax.networks.compilation import compiled
from gan_jax.report import files
from gan_jax.report.journal import Rows
from gan_jax.report.terminal import say
from gan_jax.runs.prior import PRIOR_FOLDER, measure_real_score
from gan_jax.runs.summary import (
    complete_summary,
    environment,
    no_timing,
    parameters_digest,
)
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.distributed import is_main, local_copy
from gan_jax.training.method import Example
from gan_jax.training.state import Trained, TrainState, trained


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
    summary = complete_summary(
        this.config,
        dataset={
            "name": next(iter(train_part.values())).name,
            "split": "train",
            "count": sum(len(source) for source in train_part.values()),
            "shape": list(next(iter(train_part.values())).shape),
            "sha256": this.digest,
        },
        measured=measured[step],
        timing={
            **no_timing(),
            **timing,
            "total_seconds": timing.get("total_seconds", time.monotonic() - began),
        },
        environment=environment(this.mesh),
        parameters_sha256=parameters_digest(state),
        evaluation={"split": "test", "count": count},
        steps=last,
        best={"step": step, "criterion": criterion},
        last={
            "step": last,
            "metrics": measured[last].metrics,
            "metrics_failed": measured[last].failed,
        },
        **{name: value for name, value in more.items() if value not in (None, {})},
    )
    figures = evaluation.figures(chosen)
    if is_main():
        journal.flush()
        files.write_image(this.workdir / "samples" / "best.png", plate)
        page = training.report(
            summary, flatten(this.config), rows, plate, figures, this.task, this.workdir
        )
        files.write_text(this.workdir / "report.html", page)
        files.write_json(this.workdir / "summary.json", summary)
    return summary


_BATCHES = 20  # on which statistics are taken anew


def keep_prior(this: Run, chosen: Trained) -> float:
    """Leave the networks of a run for later use, under `<workdir>/prior`.

    Args:
        this: the run.
        chosen: its best epoch.

    Returns:
        `Prior.real_score` of these networks.
    """
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_003)
    arrays = this.feed.load(0, _BATCHES, _BATCHES)

    def example(arrays: PyTree, step: Array) -> Example:
        batch = this.feed.batch(arrays, step)
        return this.method.present(jax.random.fold_in(key, step), batch)

    present = compiled(example)
    examples = (present(arrays, jnp.int32(step)) for step in range(_BATCHES))
    networks = recalibrate(this.method, chosen, examples, key)
    with Checkpoints(this.workdir / PRIOR_FOLDER, keep=None) as kept:
        for step in kept.steps:
            kept.delete(step)
        kept.save(int(networks.step), networks._asdict())
    return measure_real_score(
        this.method, local_copy(networks.critic), lambda: this.parts
    )
