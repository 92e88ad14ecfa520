"""Refine what a prior makes, samples or completed images, together with its critic."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.collaborate import report as pages
from gan_jax.apps.collaborate.completions import refine_completions
from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.collaborate.samples import Outcome, refine_samples
from gan_jax.apps.collaborate.shaping import (
    Lessons,
    check_shaping,
    drawn_lessons,
    searched_lessons,
    shape_critic,
    telling_critics,
)
from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint.observations import (
    as_task,
    check_fits,
    check_prior,
    gather,
    named_holes,
)
from gan_jax.apps.inpaint.results import Task
from gan_jax.apps.inpaint.search import Prepared, Searched, found_for, prepare_search
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.build import searches, tasks
from gan_jax.config.command_line import full_command
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.names import look_up
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.holes import Hole
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.journal import read_rows
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior, describe, open_prior
from gan_jax.runs.signals import Signals
from gan_jax.runs.startup import cache_folder
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import check_workdir, claimed, write_results
from gan_jax.search.collaboration import STOPPINGS, Collaboration, Stopping
from gan_jax.training.state import digest

COMMANDS = (
    "Train one, then refine with it: python -m gan_jax.main --config=configs/gan.py "
    "--workdir=runs/gan; python -m gan_jax.main --config=configs/collaborate.py "
    "--config.prior=runs/gan"
)


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Shape a prior's critic and refine samples, or completed images, with it.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        DivergedError: shaping met a value that is not finite.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    prior = open_prior(config.prior, COMMANDS)
    _check_prior(prior)
    check_shaping(config.shaping)
    if config.images and not config.masks:
        raise InputError(
            "--config.images is to be completed: name its holes, or a folder of masks, "
            "with --config.masks"
        )
    who, shaper = (
        collaboration(config, prior, key) for key in ("refinement", "shaping")
    )
    this = prepare(_data_config(config, prior), workdir)
    given = _gather(config, prior) if config.masks else None
    lessons = None if given else drawn_lessons(this, config.shaping.images, config.seed)
    skipped = given.skipped if given else []
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    with claimed(config, workdir, skipped), Signals() as signals:
        searched = None
        if given:
            searched, lessons = _search(config, prior, this, given, signals)
        assert lessons is not None
        start = time.monotonic()
        snapshots = shape_critic(this, prior, config.shaping, shaper, lessons, signals)
        tellers = {}
        if searched is None and config.acceptance.count:
            own = config.shaping.copy_and_resolve_references()
            with own.unlocked():
                own.epochs, own.snapshots = config.acceptance.epochs, ""
                own.learning_rate = config.acceptance.learning_rate
            last = snapshots[-1].critic
            tellers = telling_critics(this, prior, own, who, lessons, signals, last)
        shaped = time.monotonic()
        slack = config.refinement.slack
        part = this.parts["validation"]
        refiner = Refiner(prior, who, part, slack, signals)
        if searched is None:
            outcome = refine_samples(config, this, refiner, snapshots, tellers)
        else:
            outcome, lines = refine_completions(
                config, prior, workdir, refiner, snapshots, searched
            )
            write_results(workdir, skipped, lines)
        timing = {
            "search_seconds": searched.seconds if searched else 0.0,
            "shaping_seconds": shaped - start,
            "refinement_seconds": time.monotonic() - shaped,
            "total_seconds": time.monotonic() - began,
        }
        ended = {"generator": prior.networks.generator, "critic": snapshots[-1].critic}
        hashes = {
            "dataset": targets.digest(given.task.targets) if given else this.digest,
            "parameters": digest(ended),
        }
        return _conclude(config, prior, this, outcome, skipped, timing, hashes)


def _check_prior(prior: Prior) -> None:
    """Refuse a prior whose samples cannot be refined.

    Raises:
        InputError: its critic scores several images at once, it draws no latents, or
            it makes parts of images.
    """
    packing = prior.config.get("packing", 1)
    if packing > 1:
        raise InputError(
            f"the critic of {prior.workdir} scores {packing} images at once, and a "
            "refinement needs a score of each: train one with --config.packing=1"
        )
    made = tasks.task(prior.config).channels(prior.channels)
    for wrong, what in (
        (not prior.method.has_latent, "draws no latents"),
        (made != prior.channels, f"makes {made} of {prior.channels} channels"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a refinement needs one that makes "
                f"images from latents. {COMMANDS}"
            )


def collaboration(config: ConfigDict, prior: Prior, key: str) -> Collaboration:
    """Make what refines, of a config and a prior.

    Args:
        config: `refinement` of it.
        prior: whose networks refine.
        key: of the config that names the stopping: `refinement` or `shaping`.

    Raises:
        InputError: a name is unknown, or there is no such layer.
    """
    settings, method = config.refinement, prior.method
    name = f"{key}.stopping"
    stopping: Stopping = look_up(STOPPINGS, name, config[key].stopping)
    stages = len(method.generator.stages)
    if settings.layer > stages:
        raise InputError(
            f"refinement.layer {settings.layer}: the generator of {prior.workdir} has "
            f"{stages} stages; 0 is the latent, {stages} the image itself"
        )
    score_loss = searches.score_loss(
        prior.config, "refinement.unlikely", settings.unlikely
    )
    return Collaboration(
        method.generator,
        method.critic,
        settings.layer,
        score_loss,
        settings.rate,
        settings.momentum,
        settings.steps,
        stopping,
        settings.slots,
    )


class _Given(NamedTuple):
    """Images to be completed, and the holes of those that the critic learns from."""

    prepared: Prepared
    task: Task
    skipped: list[Skipped]
    hole: str
    training_hole: Hole


def _gather(config: ConfigDict, prior: Prior) -> _Given:
    check_prior(prior, COMMANDS)
    (name, hole), *more = named_holes(config.masks).items()
    masks = config.shaping.masks or config.masks
    (training, training_hole), *others = named_holes(masks).items()
    if more or others:
        raise InputError(
            "masks and shaping.masks name one kind of hole each: shape a critic for "
            "each kind in a --workdir of its own"
        )
    if training_hole is None:
        raise InputError(
            f"{masks} is a folder: name the holes of the training images with "
            "--config.shaping.masks, e.g. center"
        )
    check_fits(training, training_hole, prior.config.data.size)
    if 0 < config.shaping.images < config.shaping.batch_size:
        raise InputError(
            f"shaping.images {config.shaping.images} are fewer than shaping.batch_size "
            f"{config.shaping.batch_size}: give more"
        )
    (loss,) = config.losses
    search = prepare_search(prior, config.losses[loss], config.search, f"losses.{loss}")
    task, skipped = gather(config, prior, name, hole)
    return _Given(search, task, skipped, training, training_hole)


def _search(
    config: ConfigDict, prior: Prior, this: Run, given: _Given, signals: Signals
) -> tuple[Searched, Lessons]:
    """Search the latents of the images, and those of training images to learn from.

    They are kept by what they depend on, so that other collaborations find them.
    """
    (name,) = config.losses

    def found(task: Task, what: str) -> Searched:
        identity = {
            "prior": prior.digest,
            "images": targets.digest(task.targets),
            "seed": config.seed,
            "loss": config.losses[name].to_dict(),
            "search": config.search.to_dict(),
        }
        text = json.dumps(identity, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        path = cache_folder() / "latents" / f"{key}.npz"
        return found_for(config, prior, task, given.prepared, path, what, signals)

    searched = found(given.task, "images")
    count = config.shaping.images or len(this.parts["train"]["real"])
    some = targets.of_data(prior, "train", count, given.training_hole, config.seed)
    known, blank = as_task(prior, given.hole, some, prior.config.data.size)
    if blank:
        say(f"{len(blank)} training images are left out: {blank[0].reason}")
    images = np.stack([target.image for target in known.targets])
    masks = np.asarray(known.known.mask)
    latents = found(known, "training images").found.latent
    return searched, searched_lessons(this, images, masks, latents, config.seed)


def _data_config(config: ConfigDict, prior: Prior) -> ConfigDict:
    """Return the prior's config with the batches of shaping."""
    own = prior.config.copy_and_resolve_references()
    with own.unlocked():
        own.batch_size = config.shaping.batch_size
    return own


def _conclude(
    config: ConfigDict,
    prior: Prior,
    this: Run,
    outcome: Outcome,
    skipped: Sequence[Skipped],
    timing: Mapping[str, float],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """Write the pictures, the report and the summary."""
    workdir = this.workdir
    for picture in outcome.pictures:
        name = picture.title.lower().replace(" ", "_")
        files.write_bytes(workdir / "samples" / f"{name}.png", picture.image)
    kind = "completed images" if config.masks else "samples"
    facts = {
        "prior": f"{prior.config.name} on {prior.config.data.name}",
        "refined": f"{outcome.done:,} {kind}",
        "layer": f"{config.refinement.layer} of {len(prior.method.generator.stages)}",
        "shaping": f"{config.shaping.epochs:g} epochs",
    }
    page = pages.report(
        config.name,
        f"{kind.capitalize()} refined inside the generator by the critic.",
        facts,
        outcome.tables,
        outcome.pictures,
        read_rows(workdir / "metrics.jsonl"),
        full_command(config.name, flatten(config)),
    )
    files.write_text(workdir / "report.html", page)
    summary = complete_summary(
        config,
        dataset={
            "name": config.images or prior.config.data.name,
            "split": "images" if config.images else "test",
            "count": outcome.done,
            "sha256": hashes["dataset"],
        },
        measured=Measured(dict(outcome.metrics), dict(outcome.failed)),
        timing=timing,
        environment=environment(this.mesh),
        parameters_sha256=hashes["parameters"],
        prior=describe(prior),
        inputs={"done": outcome.done, "failed": len(skipped)},
    )
    files.write_json(workdir / "summary.json", summary)
    return summary
