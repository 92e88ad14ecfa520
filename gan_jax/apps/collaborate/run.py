"""Refine samples or completed images of a prior by its critic."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.collaborate import report as pages
from gan_jax.apps.collaborate.completions import refine_completions
from gan_jax.apps.collaborate.lessons import (
    drawn_lessons,
    latents_path,
    searched_lessons,
)
from gan_jax.apps.collaborate.memory import collaboration_demands
from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.collaborate.report import Outcome
from gan_jax.apps.collaborate.samples import refine_samples
from gan_jax.apps.collaborate.shaping import (
    acceptance_critics,
    check_shaping,
    shape_critic,
)
from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.fit import (
    Minimise,
    best_windows,
    measure_fit,
    say_misfits,
)
from gan_jax.apps.inpaint.masked_images import named_holes
from gan_jax.apps.inpaint.memory import completion_demands
from gan_jax.apps.inpaint.observations import (
    ObservedImages,
    Observer,
    check_fits,
    check_prior,
    open_users_images,
)
from gan_jax.apps.inpaint.placement import masked_of
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.build import searches
from gan_jax.config.command_line import FIRST_COMMANDS, full_command
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import memory_limit, size_of
from gan_jax.config.names import look_up
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.holes import Hole
from gan_jax.priors.packaged import open_any
from gan_jax.report import files
from gan_jax.report.journal import read_rows
from gan_jax.report.ownership import write_picture
from gan_jax.report.terminal import say
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import Prior, check_critic, describe
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import check_workdir, claimed, write_results
from gan_jax.search.collaboration import STOPPINGS, Collaboration, Stopping
from gan_jax.search.latent import Found
from gan_jax.training.state import Variables, digest


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Shape a prior's critic and refine samples, or completed images, with it.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: If the user can mend it; nothing was overwritten.
        OSError: If the disk failed; the same call continues once it is mended.
        DivergedError: If shaping met a value that is not finite.
        Interrupted: By SIGINT or SIGTERM, after saving; the same call continues.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    prior = open_any(
        config.prior, FIRST_COMMANDS["collaborate"], memory=memory_limit(config)
    )
    _check_prior(prior, config.shaping.start)
    check_shaping(config.shaping)
    if config.images and not config.masks:
        raise InputError(
            "--config.images is to be completed: name its holes, or a folder of masks, "
            "with --config.masks"
        )
    refinement = collaboration(config, prior, "refinement")
    shaping = collaboration(config, prior, "shaping")
    check_memory(config, collaboration_demands(config, prior, 0))
    train_config = prior.config.copy_and_resolve_references()
    with train_config.unlocked():
        train_config.batch_size = config.shaping.batch_size
        train_config.memory = config.get("memory", 0.0)
        train_config.data.changed = config.data.changed
    training = prepare(train_config, workdir, trained=prior.workdir)
    reading = training.dataset.reading
    images: ObservedImages | None = None
    skipped: Sequence[Skipped] = ()
    if config.masks:
        observer, images, skipped, training_hole = _gather(config, prior, training)
        if observer.images is not None:
            reading = observer.images.reading
        (loss,) = config.losses
        search = LatentSearch(config, prior, config.losses[loss], f"losses.{loss}")
        completed = len(images.sources)
        learned = len(training.parts["train"]["real"])
        learned = min(config.shaping.images or learned, learned)
        check_memory(
            config,
            [
                *collaboration_demands(config, prior, completed),
                *completion_demands(config, prior, max(completed, learned)),
            ],
        )
    else:
        check_memory(config, collaboration_demands(config, prior, config.count))
        lessons = drawn_lessons(training, config.shaping.images, config.seed)
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    failed = len(skipped)
    with claimed(config, workdir, skipped), Signals() as signals:
        search_seconds = 0.0
        if images is not None:
            images = best_windows(
                observer, images, _cached(config, prior, search, signals, restarts=1)
            )
            latents = latents_path(config, prior, images)
            found, search_seconds = search.run(images, latents, "images", signals)
            lessons = searched_lessons(
                config, prior, training, training_hole, search, signals
            )
            cached = _cached(config, prior, search, signals)
            fit = measure_fit(observer, images, cached, "validation images")
            say_misfits(images.sources, found, fit)
        start = time.monotonic()
        snapshots = shape_critic(
            training, prior, config.shaping, shaping, lessons, signals
        )
        last = snapshots[-1].critic
        critics: dict[str, Variables] = {}
        if images is None and config.acceptance.count:
            critics = acceptance_critics(
                config, training, prior, refinement, lessons, signals, last
            )
        shaped = time.monotonic()
        part, slack = training.parts["validation"], config.refinement.slack
        refiner = Refiner(prior, refinement, part, slack, signals)
        if images is None:
            outcome = refine_samples(config, training, refiner, snapshots, critics)
            count, data_digest = config.count, training.digest
        else:
            outcome, lines = refine_completions(
                config, prior, workdir, refiner, snapshots, images, found, fit
            )
            write_results(workdir, skipped, lines)
            count = sum(line["done"] for line in lines)
            failed += len(lines) - count
            data_digest = masked_images.digest(masked_of(images.sources))
        timing = {
            "search_seconds": search_seconds,
            "shaping_seconds": shaped - start,
            "refinement_seconds": time.monotonic() - shaped,
            "total_seconds": time.monotonic() - began,
        }
        dataset = {
            "name": config.images or prior.data_name,
            "split": "images" if config.images else "test",
            "count": count,
            "sha256": data_digest,
            "read": reading.as_json(),
            **training.identity.as_json(),
        }
        return _conclude(
            config, prior, training, last, outcome, dataset, reading, failed, timing
        )


def _check_prior(prior: Prior, start: str) -> None:
    """Refuse a prior whose samples cannot be refined.

    Args:
        prior: The prior.
        start: The optimiser's state from which its critic is shaped.

    Raises:
        InputError: If its critic scores several images at once, it draws no latents,
            it makes parts of images, or what it needs was not packaged.
    """
    packing = prior.config.get("packing", 1)
    if packing > 1:
        raise InputError(
            f"the critic of {prior.workdir} scores {packing} images at once, and a "
            "refinement needs a score of each: train one with --config.packing=1"
        )
    channels = prior.task.channels(prior.channels)
    for wrong, what in (
        (not prior.method.has_latent, "draws no latents"),
        (channels != prior.channels, f"makes {channels} of {prior.channels} channels"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a refinement needs one that makes "
                f"images from latents. {FIRST_COMMANDS['collaborate']}"
            )
    check_critic(prior, "a refinement", FIRST_COMMANDS["collaborate"])
    if start == "trained" and prior.networks.critic_optimizer is None:
        raise InputError(
            f"prior {prior.workdir} ships without the state of its critic's optimiser: "
            "give --config.shaping.start=restarted, or name a run"
        )


def collaboration(config: ConfigDict, prior: Prior, key: str) -> Collaboration:
    """Return the networks and settings of a refinement.

    Args:
        config: A config with `refinement`.
        prior: The prior whose networks refine.
        key: Key of the config that names the stopping: `refinement` or `shaping`.

    Raises:
        InputError: If a name is unknown, or there is no such layer.
    """
    settings, method = config.refinement, prior.method
    stopping: Stopping
    stopping = look_up(STOPPINGS, f"{key}.stopping", config[key].stopping)
    stages = len(method.generator.stages)
    if settings.layer > stages:
        raise InputError(
            f"--config.refinement.layer={settings.layer}: the generator of "
            f"{prior.workdir} has {stages} stages; 0 is the latent, {stages} the "
            "image itself"
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


def _cached(
    config: ConfigDict,
    prior: Prior,
    search: LatentSearch,
    signals: Signals,
    restarts: int | None = None,
) -> Minimise:
    """Return the search of images whose latents are kept as those of all others."""

    def minimise(images: ObservedImages, name: str) -> Found:
        path = latents_path(config, prior, images)
        return search.run(images, path, name, signals, restarts)[0]

    return minimise


def _gather(
    config: ConfigDict, prior: Prior, training: Run
) -> tuple[Observer, ObservedImages, list[Skipped], Hole]:
    """Return the images to be completed, with their observer, and other inputs.

    The others are the images that are skipped, and the hole of training images.

    Raises:
        InputError: If the prior, the holes or the images cannot be used.
    """
    check_prior(prior, config.program)
    (name, hole), *other_holes = named_holes(config.masks).items()
    masks = config.shaping.masks or config.masks
    (training_name, training_hole), *others = named_holes(masks).items()
    if other_holes or others:
        raise InputError(
            "--config.masks and --config.shaping.masks name one kind of hole each: "
            "shape a critic for each kind in a --workdir of its own"
        )
    if training_hole is None:
        raise InputError(
            f"{masks} holds masks of your images: name the holes of the training "
            "images with --config.shaping.masks, e.g. center"
        )
    check_fits(training_name, training_hole, size_of(prior.config.data.size))
    if 0 < config.shaping.images < config.shaping.batch_size:
        raise InputError(
            f"--config.shaping.images={config.shaping.images} is less than "
            f"--config.shaping.batch_size={config.shaping.batch_size}: give more"
        )
    users = open_users_images(config, prior)
    observer = Observer(config, prior, name, hole, images=users, parts=training.parts)
    return observer, *observer.gather(), training_hole


def _conclude(
    config: ConfigDict,
    prior: Prior,
    training: Run,
    critic: Variables,
    outcome: Outcome,
    dataset: Mapping[str, Any],
    reading: Reading,
    failed: int,
    timing: Mapping[str, float],
) -> dict[str, Any]:
    """Write the pictures, the report and the summary; return the summary."""
    workdir = training.workdir
    for picture in outcome.pictures:
        name = picture.title.lower().replace(" ", "_")
        path = workdir / "samples" / f"{name}.png"
        write_picture(workdir, path, picture.image)
    kind = "completed images" if config.masks else "samples"
    facts = {
        "prior": f"{prior.config.name} on {prior.data_name}",
        "refined": f"{dataset['count']:,} {kind}",
        "layer": f"{config.refinement.layer} of {len(prior.method.generator.stages)}",
        "shaping": f"{config.shaping.epochs:g} epochs",
        "data": "; ".join(reading.lines()),
    }
    page = pages.report(
        config.name,
        f"{kind.capitalize()} refined inside the generator by the critic.",
        facts,
        outcome,
        read_rows(workdir / "metrics.jsonl"),
        full_command(config.name, flatten(config)),
    )
    files.write_text(workdir / "report.html", page)
    summary = complete_summary(
        config,
        dataset=dataset,
        measured=outcome.measured,
        timing=timing,
        environment=environment(training.mesh),
        parameters_sha256=digest(
            {"generator": prior.networks.generator, "critic": critic}
        ),
        prior=describe(prior),
        inputs={"done": dataset["count"], "failed": failed},
    )
    files.write_json(workdir / "summary.json", summary)
    return summary
