"""Train several configs under several seeds on the same data and compare them."""

import functools
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax import limits
from gan_jax import recipe as recipes
from gan_jax.config import flatten
from gan_jax.data.sources import Official
from gan_jax.errors import DivergedError, InputError
from gan_jax.evaluation.tracking import tracking
from gan_jax.programs import train
from gan_jax.programs.players import make_players
from gan_jax.programs.prior import open_prior
from gan_jax.programs.teacher import teachable
from gan_jax.programs.workdir import check_workdir, claimed
from gan_jax.report import files, terminal
from gan_jax.report import study as pages
from gan_jax.report.journal import read_rows
from gan_jax.report.terminal import say
from gan_jax.report.training import command as report_command


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
    arms = {name: arm_config(config, name) for name in _chosen(config)}
    for name, arm in arms.items():
        _check_arm(config, arm, name, workdir / "runs" / name)
    arms = _with_teachers(arms)
    with claimed(config, workdir, ()):
        runs = [
            run
            for name, arm in arms.items()
            for run in _run_arm(arm, config.seeds, name, workdir / "runs" / name)
        ]
        return _conclude(config, workdir, runs, time.monotonic() - began)


def _chosen(config: ConfigDict) -> list[str]:
    names = [name for name in config.only.split(",") if name] or list(config.arms)
    for name in names:
        if name not in config.arms:
            raise InputError(
                f"only: the study has no arm '{name}'; known: {', '.join(config.arms)}"
            )
    return names


def arm_config(config: ConfigDict, name: str) -> ConfigDict:
    """Give an arm's own config with what all arms of the study share."""
    arm = config.arms[name].copy_and_resolve_references()
    with arm.unlocked():
        arm.update_from_flattened_dict(flatten(config.shared))
    return arm


def _check_arm(config: ConfigDict, arm: ConfigDict, name: str, folder: Path) -> None:
    """Refuse an arm before any is trained, by the keys that the user has."""

    def own(found: re.Match[str]) -> str:
        shared = found[1] in flatten(config.shared)
        return f"--config.{'shared' if shared else f'arms.{name}'}.{found[1]}"

    try:
        limits.check(arm)
        recipes.recipe(arm, recipes.task(arm), channels=3)
    except InputError as error:
        told = re.sub(r"--config\.([\w.]*\w)", own, str(error))
        raise InputError(f"arm {name}: {told}") from None
    first = arm_config(config, next(iter(config.arms)))
    if arm.data != first.data:
        raise InputError(
            f"arm {name} has other data than the first arm: a study compares arms on "
            "the same data"
        )
    for seed in range(config.seeds):
        _finished(_with_seed(arm, seed), folder / str(seed))


def _with_teachers(arms: Mapping[str, ConfigDict]) -> dict[str, ConfigDict]:
    """Leave out the arms that need a teacher where the data cannot train one."""

    @functools.cache
    def official() -> Official:
        return recipes.source(next(iter(arms.values())).data)

    kept: dict[str, ConfigDict] = {}
    for name, arm in arms.items():
        if not arm.get("class_weight", 0) or teachable(arm, official()):
            kept[name] = arm
            continue
        say(
            f"without {name}: {official().train.name} has no labels to train a teacher "
            "on; give --config.shared.teacher.path=<run>/teacher.msgpack"
        )
    if not kept:
        raise InputError("every arm that was chosen needs a teacher")
    return kept


def _run_arm(
    arm: ConfigDict, seeds: int, name: str, folder: Path
) -> list[pages.StudyRun]:
    """Train an arm under every seed, or take the runs as they were trained."""
    configs = [_with_seed(arm, seed) for seed in range(seeds)]
    workdirs = [folder / str(seed) for seed in range(seeds)]
    summaries = [_finished(*each) for each in zip(configs, workdirs, strict=True)]
    missing = [seed for seed, summary in enumerate(summaries) if summary is None]
    failures = dict.fromkeys(range(seeds), "")
    if missing:
        say(f"{name}, seeds {', '.join(map(str, missing))}: {folder}")
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
        _gathered(name, seed, summary, failures[seed], workdirs[seed])
        for seed, summary in enumerate(summaries)
    ]


def _with_seed(arm: ConfigDict, seed: int) -> ConfigDict:
    config = arm.copy_and_resolve_references()
    with config.unlocked():
        config.seed = seed
    return config


def _gathered(
    name: str, seed: int, summary: dict[str, Any] | None, failure: str, workdir: Path
) -> pages.StudyRun:
    """Read what a run left."""
    rows = read_rows(workdir / "metrics.jsonl")
    try:
        follows = tracking(rows, "critic/adversarial", "validation/fid")
    except ValueError:
        follows = None
    plate = workdir / "samples" / "best.png"
    return pages.StudyRun(name, seed, summary, failure, rows, follows, plate)


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
    config: ConfigDict, workdir: Path, runs: Sequence[pages.StudyRun], seconds: float
) -> dict[str, Any]:
    finished = [run.summary for run in runs if run.summary is not None]
    arms = pages.figures(runs)
    summary = {
        "program": config.program,
        "config_name": config.name,
        "dataset": finished[0]["dataset"] if finished else None,
        "metrics": {
            f"{arm}/{name}": float(np.mean(values)) if values else None
            for arm, figures in arms.items()
            for name, values in figures.values.items()
            if values or name == "fid"
        },
        "metrics_failed": {
            f"{run.arm}/fid": run.failure for run in runs if run.failure
        },
        "arms": {name: arm._asdict() for name, arm in arms.items()},
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
    plate = _plate(config, workdir, runs)
    if plate is not None:
        files.write_image(workdir / "samples" / "comparison.png", plate)
    terminal.show(pages.tables(runs)[0])
    facts = {"arms": ", ".join(arms), "seeds": str(config.seeds)}
    if finished:
        facts["data"] = finished[0]["dataset"]["name"]
        facts["generator updates"] = f"{finished[0]['steps']:,}"
        facts["device"] = finished[0]["environment"]["device"]
    title = config.name.replace("_", " ")
    files.write_text(
        workdir / "report.html",
        pages.report(title, facts, runs, _command(config), plate),
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _plate(
    config: ConfigDict, workdir: Path, runs: Sequence[pages.StudyRun]
) -> UInt8[np.ndarray, "height width 3"] | None:
    """Draw what the arms make of the same test images, where their task can."""
    chosen: dict[str, pages.StudyRun] = {}
    for run in runs:
        if run.summary is not None:
            chosen.setdefault(run.arm, run)
    if not chosen:
        return None
    name, run = next(iter(chosen.items()))
    first = _with_seed(arm_config(config, name), run.seed)
    task = recipes.task(first)
    if task.comparison is None:
        return None
    players = {}
    for name, run in chosen.items():
        place = str(workdir / "runs" / name / str(run.seed))
        prior = open_prior(place, "", program=first.program)
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
