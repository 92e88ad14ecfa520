"""Complete images by latent search under a trained prior."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint.observations import check_prior, gather, named_holes
from gan_jax.apps.inpaint.report import Arm, along_plate, plates, report
from gan_jax.apps.inpaint.results import (
    Completion,
    Generate,
    Task,
    along,
    as_arm,
    complete,
    figures,
    generating,
    write_images,
)
from gan_jax.apps.inpaint.search import Prepared, found_for, prepare_search, traced_for
from gan_jax.build import searches
from gan_jax.config.command_line import full_command
from gan_jax.config.keys import flatten
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.runs.feature_network import feature_network_of
from gan_jax.runs.prior import Prior, describe, open_prior
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import check_workdir, claimed, write_results
from gan_jax.training.mesh import make_mesh

COMMANDS = (
    "Train one, then complete images with it: python -m gan_jax.main "
    "--config=configs/wgan_gp.py --workdir=runs/wgan_gp; python -m gan_jax.main "
    "--config=configs/inpaint.py --config.prior=runs/wgan_gp"
)


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Complete unseen images of a prior's data, or the user's, and report.

    Test images are degraded first; those of the user are what a degradation has left.
    Every loss under every kind of hole is a search of its own, kept in
    `<workdir>/searches` as soon as it has ended: the same call goes on from there.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        Interrupted: by SIGINT or SIGTERM; searches that ended are kept.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    losses = losses_of(config)
    prior = open_prior(config.prior, COMMANDS)
    check_prior(prior, COMMANDS)
    text = config.degradation
    degradation = searches.degradation(text) if text else None
    prepared = {
        name: prepare_search(prior, settings, config.search, key, degradation)
        for name, (key, settings) in losses.items()
    }
    found = [
        gather(config, prior, name, hole, degradation)
        for name, hole in named_holes(config.masks).items()
    ]
    skipped = list(dict.fromkeys(one for _, some in found for one in some))
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    with claimed(config, workdir, skipped), Signals() as signals:
        generate = generating(prior)
        completions = [
            _complete(config, prior, generate, task, name, search, workdir, signals)
            for task, _ in found
            for name, search in prepared.items()
        ]
        return conclude(config, prior, completions, skipped, workdir, began)


def _complete(
    config: ConfigDict,
    prior: Prior,
    generate: Generate,
    task: Task,
    name: str,
    prepared: Prepared,
    workdir: Path,
    signals: Signals,
) -> Completion:
    """Search the latents of a task, or read those found before; make the images."""
    title = _title(task.hole, name)
    folder = workdir / "searches"
    path = folder / f"{title}.npz"
    searched = found_for(config, prior, task, prepared, path, title, signals)
    _, found, seconds = searched
    completion = complete(generate, task, name, found, config.blend, seconds)
    if not config.along:
        return completion
    path = folder / "along" / f"{title}.npz"
    seen = traced_for(config, prior, searched, prepared, path, title, signals)
    return completion._replace(along=along(generate, found, seen))


def _title(*parts: str) -> str:
    """Name a search in a path: `random:0.8` as `random_0.8`."""
    names = (Path(part).resolve().name or "masks" for part in parts)
    return "-".join(name.replace(":", "_") for name in names)


def conclude(
    config: ConfigDict,
    prior: Prior,
    completions: Sequence[Completion],
    skipped: Sequence[Skipped],
    workdir: Path,
    began: float,
) -> dict[str, Any]:
    """Write an image for every input, and the report."""
    alone = len(completions) == 1
    judge = None if config.images else feature_network_of(prior.config)
    given = Path(config.images).expanduser().resolve().name
    data = given if config.images else prior.config.data.name
    lines: list[dict[str, Any]] = []
    arms: list[Arm] = []
    metrics: dict[str, float | None] = {}
    failed: dict[str, str] = {}
    for completion in completions:
        hole, loss = completion.task.hole, completion.loss
        folder = workdir / "images" / ("" if alone else _title(hole, loss))
        found = figures(completion, judge)
        others = config.completions if config.images else 0
        lines += write_images(completion, found.each, folder, workdir, others)
        prefix = "" if alone else f"{hole}/{loss}/"
        metrics |= {f"{prefix}{key}": v for key, v in found.all.metrics.items()}
        failed |= {f"{prefix}{key}": v for key, v in found.all.failed.items()}
        arms.append(as_arm(completion, data, found.all.metrics, config.completions))
    write_results(workdir, skipped, lines)
    done = len(completions[0].task.targets)
    summary = complete_summary(
        config,
        dataset={
            "name": config.images or prior.config.data.name,
            "split": "images" if config.images else "test",
            "count": done,
            "sha256": targets.digest(completions[0].task.targets),
        },
        measured=Measured(metrics, failed),
        timing={
            "search_seconds": sum(one.seconds for one in completions),
            "total_seconds": time.monotonic() - began,
        },
        environment=environment(make_mesh(1)),
        parameters_sha256=prior.digest,
        prior=describe(prior),
        inputs={"done": done, "failed": len(skipped)},
    )
    facts = {
        "prior": f"{prior.config.name} on {prior.config.data.name}",
        "images": f"{done} done, {len(skipped)} failed",
        "restarts": str(config.search.restarts),
        "iterations": f"at most {config.search.iterations:,}",
    }
    if config.sweep.loss:
        facts["numbers in names"] = config.sweep.key.replace(",", ", ")
    page = report(config.name, facts, arms, full_command(config.name, flatten(config)))
    files.write_text(workdir / "report.html", page)
    for hole in dict.fromkeys(arm.hole for arm in arms):
        own = [arm for arm in arms if arm.hole == hole]
        for number, drawn in enumerate(plates(own), 1):
            name = _title(hole) if number == 1 else f"{_title(hole)}-{number}"
            files.write_image(workdir / "samples" / f"{name}.png", drawn)
    for arm in arms:
        if arm.along is not None:
            name = f"{_title(arm.hole, arm.loss)}-along"
            drawn = along_plate(arm, arm.along)
            files.write_image(workdir / "samples" / f"{name}.png", drawn)
    files.write_json(workdir / "summary.json", summary)
    return summary
