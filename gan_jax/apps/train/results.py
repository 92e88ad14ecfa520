"""Results of a training run: prior, summary and report."""

import math
import time
from collections.abc import Mapping
from typing import Any

from gan_jax.apps.train import report as training
from gan_jax.apps.train.outputs import Outputs
from gan_jax.apps.train.prior import keep_prior
from gan_jax.apps.train.teacher import describe
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Dataset
from gan_jax.report import files
from gan_jax.report.ownership import write_image
from gan_jax.report.terminal import say
from gan_jax.runs.summary import (
    complete_summary,
    environment,
    no_timing,
    parameters_digest,
)
from gan_jax.training.distributed import is_main
from gan_jax.training.state import TrainState, trained


def conclude(
    outputs: Outputs,
    state: TrainState,
    timing: Mapping[str, float] | None,
    began: float,
) -> dict[str, Any]:
    """Measure the best and the last epoch on the test part; write summary and report.

    The best epoch's measures are the run's own, because it is chosen on validation
    images. Where no epoch was evaluated, the last one is the best. `timing` is None
    where nothing was trained; `began` is a time of `time.monotonic`.
    """
    run, evaluation = outputs.run, outputs.evaluation
    epochs, journal = outputs.epochs, outputs.journal
    timing = {**no_timing(), **(timing or {})}
    rows = journal.rows
    last = int(state.step)
    chosen = epochs.best(rows, state, say) or trained(state)
    criterion = epochs.criterion(rows)
    if criterion and len(criterion) < len(run.task.evaluation.criterion):
        say(f"the best epoch is chosen by {' and '.join(criterion)} alone")
    count = run.config.evaluation.final_count
    step = int(chosen.step)
    measured = {
        number: evaluation.measure(networks, "test", count)
        for number, networks in {last: trained(state), step: chosen}.items()
    }
    real_score = keep_prior(run, chosen)
    plate = evaluation.draw(chosen)
    train_part = run.parts["train"]
    # Entries that only some runs have.
    more = {
        "baselines": {
            name: baseline.metrics | {"metrics_failed": baseline.failed}
            for name, baseline in evaluation.baselines("test", count).items()
        },
        "teacher": run.teacher and describe(run.teacher),
        "augmentation": run.config.augment.kind,
        "real_score": None if math.isnan(real_score) else real_score,
    }
    summary = complete_summary(
        run.config,
        dataset={
            "name": next(iter(train_part.values())).name,
            "split": "train",
            "count": sum(len(source) for source in train_part.values()),
            "shape": list(next(iter(train_part.values())).shape),
            "sha256": run.digest,
            "read": run.dataset.reading.as_json(),
            **run.identity.as_json(),
            **_units(run.dataset),
        },
        measured=measured[step],
        timing={
            **timing,
            "total_seconds": timing.get("total_seconds", time.monotonic() - began),
        },
        environment=environment(run.mesh),
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
    figures = [*evaluation.figures(chosen), *evaluation.copies(chosen, count)]
    if is_main():
        journal.flush()
        write_image(run.workdir, run.workdir / "samples" / "best.png", plate)
        page = training.report(
            summary,
            flatten(run.config),
            rows,
            plate,
            figures,
            run.task.report,
            run.workdir,
            run.dataset.reading.lines(),
        )
        files.write_text(run.workdir / "report.html", page)
        files.write_json(run.workdir / "summary.json", summary)
    return summary


def _units(dataset: Dataset) -> dict[str, Any]:
    """Return the entries of a summary that turn images into native values and back."""
    entries: dict[str, Any] = {"units": dataset.units.as_json()}
    if dataset.geometry is not None:
        entries |= dataset.geometry.as_json()
    if dataset.variable:
        entries["variable"] = dataset.variable
    if dataset.proportions:
        entries["proportions"] = [*dataset.proportions]
    return entries
