"""Train several configs under several seeds on the same data and compare them."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax.apps.study import report as pages
from gan_jax.apps.study import sweep_report as sweeps
from gan_jax.apps.study.arms import Arm, check_arm, study_arms, trainable
from gan_jax.apps.train import run as train
from gan_jax.build import datasets, tasks
from gan_jax.config.command_line import full_command
from gan_jax.config.errors import DivergedError, InputError
from gan_jax.config.keys import flatten
from gan_jax.evaluation.correlation import rank_correlation
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files, terminal
from gan_jax.report.journal import read_rows
from gan_jax.report.ownership import write_image
from gan_jax.report.terminal import say
from gan_jax.runs.inference import make_model
from gan_jax.runs.memory import Demand, check_memory
from gan_jax.runs.prior import open_prior
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary
from gan_jax.runs.workdir import another, check_workdir, claimed

_RECORD = 2**18  # bytes of what is known of a run in the report


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train every arm of a study under every seed; write one table and one report.

    An arm is a whole training config. Its runs lie in `<workdir>/runs/<arm>/<seed>` and
    hold the same files as if trained alone. Complete runs are not repeated. A run that
    diverges is reported, and the others go on. Other errors are those of
    `apps.train.run.run`. A study that is stopped continues with the run it was at.

    Returns:
        The summary, as written to `summary.json`.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    arms = study_arms(config)
    check_memory(config, _record_demands(config, arms))
    open_data = functools.cache(lambda: datasets.source(arms[0].config.data))
    for arm in arms:
        if None in [
            _finished(arm.seeded(seed), arm.folder(workdir, seed), workdir)
            for seed in range(config.seeds)
        ]:
            check_arm(config, arm, arms[0], open_data)
    arms = trainable(arms, open_data)
    with claimed(config, workdir, ()), Signals() as signals:
        runs = [
            run for arm in arms for run in _run_arm(arm, config.seeds, workdir, signals)
        ]
        return _conclude(config, workdir, arms, runs, time.monotonic() - began)


def _record_demands(config: ConfigDict, arms: Sequence[Arm]) -> list[Demand]:
    """Return the memory of the configs, journals and summaries of all runs."""
    size = len(arms) * config.seeds * _RECORD
    return [Demand(size, "the records of its runs", ["seeds"])]


def _run_arm(
    arm: Arm, seeds: int, workdir: Path, signals: Signals
) -> list[pages.StudyRun]:
    """Return the runs of an arm under every seed; train those that are missing.

    Raises:
        InputError, OSError, Interrupted: As `train.run_together`.
    """
    name = arm.name
    configs = [arm.seeded(seed) for seed in range(seeds)]
    workdirs = [arm.folder(workdir, seed) for seed in range(seeds)]
    summaries = [
        _finished(*pair, workdir) for pair in zip(configs, workdirs, strict=True)
    ]
    missing = [seed for seed, summary in enumerate(summaries) if summary is None]
    failures = dict.fromkeys(range(seeds), "")
    if missing:
        say(f"{name}, seeds {', '.join(map(str, missing))}: {workdirs[0].parent}")
        outcomes = train.run_together(
            [configs[seed] for seed in missing], [workdirs[seed] for seed in missing]
        )
        for seed, outcome in zip(missing, outcomes, strict=True):
            if isinstance(outcome, DivergedError):
                failures[seed] = str(outcome)
                say(f"{name}, seed {seed}: {outcome}")
            else:
                summaries[seed] = outcome
        signals.obey()
    return [
        _gathered(arm, seed, summary, failures[seed], workdirs[seed])
        for seed, summary in enumerate(summaries)
    ]


def _gathered(
    arm: Arm, seed: int, summary: dict[str, Any] | None, failure: str, workdir: Path
) -> pages.StudyRun:
    """Return the record of a run from the files of its workdir."""
    rows = read_rows(workdir / "metrics.jsonl")
    try:
        follows = rank_correlation(rows, "critic/adversarial", "validation/fid")
    except ValueError:
        follows = None
    plate = workdir / "samples" / "best.png"
    return pages.StudyRun(
        arm.name, seed, summary, failure, rows, follows, plate, arm.value
    )


def _finished(arm: ConfigDict, workdir: Path, named: Path) -> dict[str, Any] | None:
    """Return the summary of a run; None if it needs more training.

    Args:
        arm: Config of the run.
        workdir: Workdir of the run.
        named: Workdir of the study.

    Raises:
        InputError: If the run is trained further than its config says.
    """
    summary = check_workdir(arm, workdir, named=named)
    steps = arm.steps if summary is None else summary.get("steps", 0)
    if steps > arm.steps:
        raise InputError(
            f"{workdir} is trained to step {steps} already: give "
            f"--config.shared.steps={steps} or more, or {another(named)}"
        )
    return summary if steps == arm.steps else None


def _conclude(
    config: ConfigDict,
    workdir: Path,
    arms: Sequence[Arm],
    runs: Sequence[pages.StudyRun],
    seconds: float,
) -> dict[str, Any]:
    """Write the summary, the plate and the report; return the summary."""
    finished = [run.summary for run in runs if run.summary is not None]
    figures = pages.figures(runs)
    measured = Measured(
        {f"{arm}/fid": None for arm in figures}
        | {
            f"{arm}/{name}": float(np.mean(values))
            for arm, arm_figures in figures.items()
            for name, values in {**arm_figures.values, **arm_figures.costs}.items()
            if values
        },
        {f"{run.arm}/fid": run.failure for run in runs if run.failure},
    )
    summary = complete_summary(
        config,
        dataset=finished[0]["dataset"] if finished else None,
        measured=measured,
        timing={
            "compile_seconds": sum(
                summary["timing"]["compile_seconds"] for summary in finished
            ),
            "total_seconds": seconds,
        },
        environment=finished[0]["environment"] if finished else None,
        arms={name: arm_figures._asdict() for name, arm_figures in figures.items()},
        baselines=pages.baselines(runs),
        runs=[
            {
                "arm": run.arm,
                "seed": run.seed,
                "failure": run.failure or None,
                "parameters_sha256": run.summary and run.summary["parameters_sha256"],
            }
            for run in runs
        ],
    )
    plate = _plate(workdir, arms, runs)
    if plate is not None:
        write_image(workdir, workdir / "samples" / "comparison.png", plate)
    sweep = None
    swept = next((arm for arm in arms if arm.value is not None), None)
    if finished and swept is not None:
        task = tasks.task(swept.config)
        published = task.report.published_along(finished[0]["dataset"]["name"])
        criterion = task.evaluation.criterion
        sweep = pages.gather_sweep(runs, config.sweep.key, criterion, published)
        terminal.show(sweeps.table(sweep))
    terminal.show(pages.tables(runs)[0])
    facts = {"arms": ", ".join(figures), "seeds": str(config.seeds)}
    if finished:
        facts["data"] = finished[0]["dataset"]["name"]
        facts["steps"] = f"{finished[0]['steps']:,}"
        facts["device"] = finished[0]["environment"]["device"]
    title = config.name.replace("_", " ")
    # Without the values of the arms, which the named variants determine.
    values = {
        key: value for key, value in flatten(config).items() if "arms." not in key
    }
    command = full_command(config.name, values)
    files.write_text(
        workdir / "report.html",
        pages.report(title, facts, runs, command, plate, sweep),
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _plate(
    workdir: Path, arms: Sequence[Arm], runs: Sequence[pages.StudyRun]
) -> UInt8[np.ndarray, "height width 3"] | None:
    """Return a picture of all arms on the same test images; None without one."""
    chosen: dict[str, pages.StudyRun] = {}
    for run in runs:
        if run.summary is not None:
            chosen.setdefault(run.arm, run)
    if not chosen:
        return None
    trained = {arm.name: arm for arm in arms if arm.name in chosen}
    first = next(arm.seeded(chosen[name].seed) for name, arm in trained.items())
    task = tasks.task(first)
    if task.report.comparison is None:
        return None
    models = {}
    for name, arm in trained.items():
        place = arm.folder(workdir, chosen[name].seed)
        prior = open_prior(str(place), "", program=first.program)
        if prior.task.condition_arrays != task.condition_arrays:
            return None  # there is no condition that all of them take
        models[name] = make_model(prior.method, task.render)(prior.networks)
    return task.report.comparison(
        models, datasets.parts(first)["test"], jax.random.key(first.seed)
    )
