"""The report of a study: several methods under several seeds side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.apps.study.named_lines import comparison
from gan_jax.apps.study.sweep_report import Published, Sweep, blocks
from gan_jax.report.formats import format_duration, format_number
from gan_jax.report.measures import in_order, measures, of_real_images
from gan_jax.report.page import (
    Block,
    Command,
    Figure,
    Section,
    Table,
    Text,
    page,
    picture,
    picture_file,
)

_ARMS = "With the variants that were named; config.json holds every value of every arm."


class StudyRun(NamedTuple):
    """A run of a study: an arm under a seed."""

    arm: str
    seed: int
    summary: Mapping[str, Any] | None
    """Summary of the run; None if it failed."""
    failure: str
    """Reason of the failure, else empty."""
    rows: Sequence[Mapping[str, Any]]
    """Rows of its journal."""
    tracking: float | None
    """Rank correlation of the loss with FID; None after few evaluations."""
    plate: Path
    """Picture of its best epoch."""
    value: float | None = None
    """Value of the sweep's key, if its arm is part of the sweep."""


class ArmFigures(NamedTuple):
    """Measures and costs of all runs of an arm."""

    runs: int
    finished: int
    collapsed: int
    values: Mapping[str, Sequence[float]]
    """Values of every measure, by seed."""
    costs: Mapping[str, Sequence[float]]
    """`milliseconds` per update, `seconds` of training, and `tracking`, by seed."""


def figures(runs: Sequence[StudyRun]) -> dict[str, ArmFigures]:
    """Return the figures of each arm, in the order of the arms."""
    all_measures = [measures(run.summary["metrics"]) for run in runs if run.summary]
    names = in_order(name for measured in all_measures for name in measured)
    arms: dict[str, ArmFigures] = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        arm_runs = [run for run in runs if run.arm == arm]
        done = [run.summary for run in arm_runs if run.summary is not None]
        measured = [measures(summary["metrics"]) for summary in done]
        values = {
            name: [row[name] for row in measured if name in row] for name in names
        }
        collapsed = sum(summary["metrics"].get("collapsed") is True for summary in done)
        speeds = [
            (summary["steps"], summary["timing"]["steps_per_second"])
            for summary in done
            if summary["timing"]["steps_per_second"]
        ]
        costs = {
            "milliseconds": [1000 / speed for _, speed in speeds],
            "seconds": [steps / speed for steps, speed in speeds],
            "tracking": [run.tracking for run in arm_runs if run.tracking is not None],
        }
        arms[arm] = ArmFigures(len(arm_runs), len(done), collapsed, values, costs)
    return arms


def gather_sweep(
    runs: Sequence[StudyRun], key: str, criterion: Sequence[str], published: Published
) -> Sweep:
    """Return the measures of the arms of a sweep along its key, and of the others.

    `criterion` names the measures that the study is about.
    """
    along: dict[float, Mapping[str, Sequence[float]]] = {}
    levels: dict[str, Mapping[str, Sequence[float]]] = {}
    values = {run.arm: run.value for run in runs}
    for arm, arm_figures in figures(runs).items():
        value = values[arm]
        if value is None:
            levels[arm] = arm_figures.values
        else:
            along[value] = arm_figures.values
    return Sweep(key, criterion, along, levels, published)


def baselines(runs: Sequence[StudyRun]) -> dict[str, dict[str, list[float]]]:
    """Return the measures of the task's baselines and of real images, by seed.

    Every run has measured them, with equal results for equal seeds.
    """
    tables: dict[str, dict[str, dict[int, float]]] = {}
    for run in runs:
        if run.summary is None:
            continue
        plain = run.summary.get("baselines", {})
        rows = {name: measures(values) for name, values in plain.items()}
        rows["real images"] = of_real_images(run.summary["metrics"])
        for row, values in rows.items():
            for name, value in values.items():
                tables.setdefault(row, {}).setdefault(name, {})[run.seed] = value
    return {
        row: {name: list(by_seed.values()) for name, by_seed in columns.items()}
        for row, columns in tables.items()
    }


def report(
    title: str,
    facts: Mapping[str, str],
    runs: Sequence[StudyRun],
    command: str,
    plate: UInt8[np.ndarray, "height width 3"] | None = None,
    sweep: Sweep | None = None,
) -> str:
    """Return the page of a study.

    Args:
        title: Title of the study.
        facts: What was run, on what.
        runs: All runs, failed ones included.
        command: Command that runs the study again.
        plate: Picture of all arms under the same conditions, if there is one.
        sweep: Measures along the swept value, if there is a sweep.
    """
    along = [] if sweep is None else blocks(sweep)
    together = (
        []
        if plate is None
        else [picture("Side by side", plate, "The same images, by the first seed.")]
    )
    return page(
        title,
        "Several methods on the same data, for the same number of steps.",
        facts,
        [
            Section("Figures", [*along, *together, *tables(runs), *_failures(runs)]),
            Section("Course", _course(runs)),
            Section("Pictures", _plates(runs)),
            Section("Reproduce", [Command("Command", command)], _ARMS),
        ],
    )


def tables(runs: Sequence[StudyRun]) -> tuple[Table, Table]:
    """Return the tables of quality and of cost, the arm with the best FID first."""
    arms, plain = figures(runs), baselines(runs)
    order = sorted(
        arms,
        key=lambda name: _mean(arms[name].values.get("fid", ())) or float("inf"),
    )
    measured = list(next(iter(arms.values())).values) if arms else []
    worth = Table(
        "Quality",
        ["arm", *measured],
        [
            [name, *(_spread(arms[name].values[measure]) for measure in measured)]
            for name in order
        ]
        + [
            [name, *(_spread(values.get(measure, [])) for measure in measured)]
            for name, values in plain.items()
        ],
        "Means over the seeds and, where there are several, their standard deviation; "
        "each run at its best epoch, on the test part.",
    )
    cost = Table(
        "Cost and stability",
        [
            "arm",
            "training time",
            "ms per update",
            "loss and FID",
            "collapsed",
            "not finite",
        ],
        [_cost(name, arms[name]) for name in order],
        "Time of one run. Loss and FID: Spearman's rank correlation, along a run, "
        "between the adversarial part of the critic's loss and FID on the validation "
        "part; far from 0 means that the loss tells quality.",
    )
    return worth, cost


def _cost(name: str, arm: ArmFigures) -> list[str | float | None]:
    seconds = _mean(arm.costs["seconds"])
    return [
        name,
        None if seconds is None else format_duration(seconds),
        _mean(arm.costs["milliseconds"]),
        _spread(arm.costs["tracking"]),
        f"{arm.collapsed} of {arm.runs}",
        f"{arm.runs - arm.finished} of {arm.runs}",
    ]


def _failures(runs: Sequence[StudyRun]) -> list[Block]:
    failed = [
        f"{run.arm}, seed {run.seed}: {run.failure}"
        for run in runs
        if run.summary is None
    ]
    return [Text("Runs that stopped", failed)] if failed else []


def _course(runs: Sequence[StudyRun]) -> list[Block]:
    """Return plots of FID against steps and against seconds of training."""
    by_step: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    by_second: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for run in runs:
        pairs = [
            (row["step"], row["validation/fid"])
            for row in run.rows
            if row.get("validation/fid") is not None
        ]
        if not pairs:
            continue
        steps, values = np.array(pairs, np.float64).T
        by_step.setdefault(run.arm, []).append((steps, values))
        speed = run.summary["timing"]["steps_per_second"] if run.summary else 0
        if speed:
            by_second.setdefault(run.arm, []).append((steps / speed, values))
    note = "On the validation part; one line for each seed, both axes logarithmic."
    blocks: list[Block] = [
        Figure(
            f"FID against {across}",
            comparison(lines, across, "FID"),
            note + more,
        )
        for across, lines, more in (
            ("steps of training", by_step, ""),
            ("seconds of training", by_second, " At each run's mean speed."),
        )
        if lines
    ]
    return blocks or [Text("", ["No run was evaluated on the way."])]


def _plates(runs: Sequence[StudyRun]) -> list[Block]:
    """Return the plate of every arm's first seed."""
    shown: dict[str, Block] = {}
    for run in runs:
        figure = picture_file(run.plate, run.arm, f"seed {run.seed}")
        if figure is not None:
            shown.setdefault(run.arm, figure)
    return [*shown.values()]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _spread(values: Sequence[float]) -> str | float | None:
    if len(values) < 2:
        return _mean(values)
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    return f"{format_number(float(mean), 3)} ± {format_number(float(deviation), 2)}"
