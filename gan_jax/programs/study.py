"""Train several configs under several seeds on the same data and compare them."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax import limits
from gan_jax import recipe as recipes
from gan_jax.config import flatten
from gan_jax.errors import DivergedError, InputError
from gan_jax.evaluation.tracking import tracking
from gan_jax.programs import train
from gan_jax.programs.players import make_players
from gan_jax.programs.prior import open_prior
from gan_jax.programs.workdir import check_workdir, claimed
from gan_jax.report import files, terminal
from gan_jax.report import study as pages
from gan_jax.report import sweep as sweeps
from gan_jax.report.journal import read_rows
from gan_jax.report.sweep import Sweep
from gan_jax.report.terminal import say
from gan_jax.report.training import command as report_command


class Arm(NamedTuple):
    """What a study trains under every seed."""

    name: str
    origin: str
    """Under which name the study's config has it."""
    config: ConfigDict
    """With what all arms share."""
    value: float | None
    """Of the key of the study's sweep, where the arm is one of it."""

    def folder(self, workdir: Path, seed: int) -> Path:
        """Give the workdir of its run, inside the study's."""
        return workdir / "runs" / self.name / str(seed)

    def seeded(self, seed: int) -> ConfigDict:
        """Give its config under a seed."""
        config = self.config.copy_and_resolve_references()
        with config.unlocked():
            config.seed = seed
        return config


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train every arm of a study under every seed; write one table and one report.

    An arm is a whole training config. Its runs lie in `<workdir>/runs/<arm>/<seed>`,
    each as if it had been trained alone; those that are complete are not repeated. A
    run that diverges is reported as such and ends nothing else.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    arms = study_arms(config)
    for arm in arms:
        _check_arm(config, arm, arms[0], workdir)
    with claimed(config, workdir, ()):
        runs = [run for arm in arms for run in _run_arm(arm, config.seeds, workdir)]
        return _conclude(config, workdir, arms, runs, time.monotonic() - began)


def _chosen(config: ConfigDict) -> list[str]:
    names = [name for name in config.only.split(",") if name] or list(config.arms)
    for name in names:
        if name not in config.arms:
            raise InputError(
                f"only: the study has no arm '{name}'; known: {', '.join(config.arms)}"
            )
    return names


def study_arms(config: ConfigDict) -> list[Arm]:
    """Give the arms of a study, each with its own config.

    Raises:
        InputError: there is no such arm, or a value of the sweep cannot be.
    """
    arms: list[Arm] = []
    for name in _chosen(config):
        plain = config.arms[name].copy_and_resolve_references()
        with plain.unlocked():
            plain.update_from_flattened_dict(flatten(config.shared))
        if name != config.sweep.arm:
            arms.append(Arm(name, name, plain, None))
            continue
        for value in swept(config):
            own = plain.copy_and_resolve_references()
            with own.unlocked():
                own.update_from_flattened_dict({config.sweep.key: value})
            arms.append(Arm(f"{name}_{value:g}", name, own, value))
    return arms


def swept(config: ConfigDict) -> list[float]:
    """Give the values of a study's sweep, in their order.

    Raises:
        InputError: one is no number.
    """
    values: list[float] = []
    for text in filter(None, config.sweep.over.split(",")):
        try:
            values.append(float(text))
        except ValueError:
            raise InputError(
                f"sweep.over: '{text}' is no number; give numbers joined by commas"
            ) from None
    return sorted(set(values))


def _check_arm(config: ConfigDict, arm: Arm, first: Arm, workdir: Path) -> None:
    """Refuse an arm before any is trained, by the keys that the user has."""

    def own(found: re.Match[str]) -> str:
        if arm.value is not None and found[1] == config.sweep.key:
            return "--config.sweep.over"
        shared = found[1] in flatten(config.shared)
        return f"--config.{'shared' if shared else f'arms.{arm.origin}'}.{found[1]}"

    try:
        limits.check(arm.config)
        recipes.recipe(arm.config, recipes.task(arm.config), channels=3)
    except InputError as error:
        told = re.sub(r"--config\.([\w.]*\w)", own, str(error))
        raise InputError(f"arm {arm.name}: {told}") from None
    if arm.config.data != first.config.data:
        raise InputError(
            f"arm {arm.name} has other data than arm {first.name}: a study compares "
            "arms on the same data"
        )
    for seed in range(config.seeds):
        _finished(arm.seeded(seed), arm.folder(workdir, seed))


def _run_arm(arm: Arm, seeds: int, workdir: Path) -> list[pages.StudyRun]:
    """Train an arm under every seed, or take the runs as they were trained."""
    name = arm.name
    configs = [arm.seeded(seed) for seed in range(seeds)]
    workdirs = [arm.folder(workdir, seed) for seed in range(seeds)]
    summaries = [_finished(*each) for each in zip(configs, workdirs, strict=True)]
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
    return [
        _gathered(arm, seed, summary, failures[seed], workdirs[seed])
        for seed, summary in enumerate(summaries)
    ]


def _gathered(
    arm: Arm, seed: int, summary: dict[str, Any] | None, failure: str, workdir: Path
) -> pages.StudyRun:
    """Read what a run left."""
    rows = read_rows(workdir / "metrics.jsonl")
    try:
        follows = tracking(rows, "critic/adversarial", "validation/fid")
    except ValueError:
        follows = None
    plate = workdir / "samples" / "best.png"
    return pages.StudyRun(
        arm.name, seed, summary, failure, rows, follows, plate, arm.value
    )


def _finished(arm: ConfigDict, workdir: Path) -> dict[str, Any] | None:
    """Read the summary of a run that needs no more training."""
    summary = check_workdir(arm, workdir)
    steps = arm.steps if summary is None else summary.get("steps", 0)
    if steps > arm.steps:
        raise InputError(
            f"{workdir} is trained to step {steps} already: give "
            f"--config.shared.steps={steps} or more, or another --workdir"
        )
    return summary if steps == arm.steps else None


def _conclude(
    config: ConfigDict,
    workdir: Path,
    arms: Sequence[Arm],
    runs: Sequence[pages.StudyRun],
    seconds: float,
) -> dict[str, Any]:
    finished = [run.summary for run in runs if run.summary is not None]
    figures = pages.figures(runs)
    summary = {
        "program": config.program,
        "config_name": config.name,
        "dataset": finished[0]["dataset"] if finished else None,
        "metrics": {
            f"{arm}/{name}": float(np.mean(values)) if values else None
            for arm, own in figures.items()
            for name, values in own.values.items()
            if values or name == "fid"
        },
        "metrics_failed": {
            f"{run.arm}/fid": run.failure for run in runs if run.failure
        },
        "arms": {name: own._asdict() for name, own in figures.items()},
        "baselines": pages.baselines(runs),
        "runs": [
            {
                "arm": run.arm,
                "seed": run.seed,
                "failure": run.failure or None,
                "parameters_sha256": run.summary and run.summary["parameters_sha256"],
            }
            for run in runs
        ],
        "timing": {
            "compile_seconds": sum(
                one["timing"]["compile_seconds"] for one in finished
            ),
            "total_seconds": seconds,
        },
        "environment": finished[0]["environment"] if finished else None,
        "complete": True,
    }
    plate = _plate(workdir, arms, runs)
    if plate is not None:
        files.write_image(workdir / "samples" / "comparison.png", plate)
    sweep = None
    if finished:
        sweep = _sweep(config, arms, runs, finished[0]["dataset"]["name"])
    if sweep is not None:
        terminal.show(sweeps.table(sweep))
    terminal.show(pages.tables(runs)[0])
    facts = {"arms": ", ".join(figures), "seeds": str(config.seeds)}
    if finished:
        facts["data"] = finished[0]["dataset"]["name"]
        facts["generator updates"] = f"{finished[0]['steps']:,}"
        facts["device"] = finished[0]["environment"]["device"]
    title = config.name.replace("_", " ")
    files.write_text(
        workdir / "report.html",
        pages.report(title, facts, runs, _command(config), plate, sweep),
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _sweep(
    config: ConfigDict,
    arms: Sequence[Arm],
    runs: Sequence[pages.StudyRun],
    dataset: str,
) -> Sweep | None:
    """Gather the figures of the sweep, if there is one."""
    first = next((arm for arm in arms if arm.value is not None), None)
    if first is None:
        return None
    task = recipes.task(first.config)
    published = task.published_along(dataset)
    return pages.gather_sweep(runs, config.sweep.key, task.criterion, published)


def _plate(
    workdir: Path, arms: Sequence[Arm], runs: Sequence[pages.StudyRun]
) -> UInt8[np.ndarray, "height width 3"] | None:
    """Draw what the arms make of the same test images, where their task can."""
    chosen: dict[str, pages.StudyRun] = {}
    for run in runs:
        if run.summary is not None:
            chosen.setdefault(run.arm, run)
    if not chosen:
        return None
    trained = {arm.name: arm for arm in arms if arm.name in chosen}
    first = next(arm.seeded(chosen[name].seed) for name, arm in trained.items())
    task = recipes.task(first)
    if task.comparison is None:
        return None
    players = {}
    for name, arm in trained.items():
        place = arm.folder(workdir, chosen[name].seed)
        prior = open_prior(str(place), "", program=first.program)
        players[name] = make_players(prior.recipe, task)(prior.networks)
    return task.comparison(
        players, recipes.parts(first)["test"], jax.random.key(first.seed)
    )


def _command(config: ConfigDict) -> str:
    """Give the command that runs the study, but for its variants."""
    values = {
        key: value for key, value in flatten(config).items() if "arms." not in key
    }
    return report_command(config.name, values)
