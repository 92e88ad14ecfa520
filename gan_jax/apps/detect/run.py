"""Anomaly detection by the history of a GAN: train a detector, or use one."""

import functools
import time
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.detect import report as pages
from gan_jax.apps.detect.baselines import (
    DETECTOR,
    evaluate,
    evaluate_searches,
    method_scorers,
)
from gan_jax.apps.detect.classes import (
    count_classes,
    describe_classes,
    with_classes,
)
from gan_jax.apps.detect.data import (
    NORMAL,
    check_anomalies,
    is_whole,
    normal_images,
    read_anomalies,
    validation_images,
)
from gan_jax.apps.detect.detector import CriticScorer, save_detector
from gan_jax.apps.detect.diagnostics import diagnose, diagnostic_metrics
from gan_jax.apps.detect.history import open_snapshots
from gan_jax.apps.detect.memory import detection_demands
from gan_jax.apps.detect.scoring.apply import open_scoring
from gan_jax.apps.detect.scoring.labels import scored_files
from gan_jax.apps.detect.scoring.maps import (
    folder_pixels,
    make_scores_and_maps,
    pixel_measures,
)
from gan_jax.apps.detect.starts import check_detector, detector_prior
from gan_jax.apps.detect.training import train_detector
from gan_jax.apps.train import run as train
from gan_jax.apps.train.setup import prepare
from gan_jax.build import searches, tasks
from gan_jax.config.checks import difference
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.defaults import training
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import memory_limit
from gan_jax.evaluation.measure import measure
from gan_jax.report import files
from gan_jax.report.journal import read_rows
from gan_jax.report.ownership import write_picture
from gan_jax.report.terminal import say
from gan_jax.runs.apply import apply_to_folder
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import describe, open_prior, read_run
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import another, check_workdir, claimed, written_config
from gan_jax.training.state import digest

_GAN = "gan"
_APART = ("path", "download", "feed", "few", "changed")  # keys that choose no images


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train a detector and evaluate it, or score the user's images with one.

    The GAN is an ordinary run in `<workdir>/gan`, unless `history_run` names another.
    Errors are those of `apps.train.run.run`.

    Returns:
        The summary, as written to `summary.json`.
    """
    if config.prior or config.images:
        return apply_to_folder(config, workdir, "score", open_scoring, scored_files)
    began = time.monotonic()
    config, known_classes = with_classes(config)
    check_workdir(config, workdir)
    check_anomalies(config)
    gan, gan_workdir = _gan_config(config), workdir / _GAN
    if config.history_run:
        gan, gan_workdir = _history_run(gan, config.history_run)
    else:
        check_workdir(gan, gan_workdir, named=workdir)
        _check_history(config, workdir)
    with (gan := gan.copy_and_resolve_references()).unlocked():
        gan.memory = config.get("memory", 0.0)
        gan.data.changed = config.data.changed
    normal = prepare(gan, workdir, trained=gan_workdir)
    check_detector(config, normal)
    if config.baselines.searched:
        searches.check(config.search, config.reconstruction, gan, "reconstruction")
    kinds, broken = read_anomalies(config, normal)
    tested = {name: len(kind.images) for name, kind in kinds.items()}
    classes = count_classes(config, normal.dataset, known_classes, tested)
    say(f"{normal.dataset.train.name}: {describe_classes(classes)}")
    check_memory(config, detection_demands(config, normal, kinds))
    for path, reason in broken:
        say(f"skipped {path}: {reason}")
    with claimed(config, workdir, [*normal.skipped, *broken]), Signals() as signals:
        if not config.history_run:
            train.run(gan, gan_workdir, normal._replace(workdir=gan_workdir))
            signals.obey()
        gan_trained = time.monotonic()
        prior = open_prior(
            str(gan_workdir), FIRST_COMMANDS["detect"], memory=memory_limit(config)
        )
        snapshots = open_snapshots(prior, len(normal.parts["train"]["real"]))
        memory = f"{snapshots.size / 2**20:.0f} MiB"
        say(f"history: {len(snapshots.steps)} snapshots of both networks, {memory}")
        detector_gan = detector_prior(config.detector, prior, _gan_config(config))
        gan_critics = CriticScorer(prior.method)
        critics = (
            gan_critics if detector_gan is prior else CriticScorer(detector_gan.method)
        )
        detector, total_variation = train_detector(
            normal, detector_gan, snapshots, critics, config, signals
        )
        save_detector(detector, detector_gan, workdir)
        detector_trained = time.monotonic()
        scorer = critics.anomaly_scorer(detector.critic, detector.scale)
        scorers = method_scorers(config, normal, prior, snapshots, gan_critics, scorer)
        results, all_scores = evaluate(config, normal, scorers, kinds, signals)
        scores = all_scores[DETECTOR]
        if config.baselines.searched:
            results += evaluate_searches(config, normal, prior, kinds, scores, signals)
        now = time.monotonic()
        timing = {
            "gan_seconds": gan_trained - began,
            "detector_seconds": detector_trained - gan_trained,
            "evaluation_seconds": now - detector_trained,
            "total_seconds": now - began,
        }
        images = {name: kind.images for name, kind in kinds.items()}
        first = next(iter(images.values()))
        diagnostics = diagnose(
            config, normal, prior, snapshots, scorer, gan_critics, first
        )
        metrics = {"total_variation": total_variation}
        for row in results:
            whole = is_whole(row.anomalies, config, kinds)
            metrics |= row.metrics("" if whole else f"{row.anomalies}/")
        metrics |= diagnostic_metrics(diagnostics)
        images = {NORMAL: normal_images(normal, "test"), **images}
        threshold = detector.threshold(config.anomaly.false_positive_rate)
        pictures = pages.pictures(scores, images, threshold, diagnostics)
        source, settings = normal.parts["train"]["real"], config.detector
        validated = len(validation_images(normal))
        critic = detector_gan.config.network.critic
        facts = {
            "normal images": f"{prior.data_name}, {len(source):,}",
            "classes": describe_classes(classes),
            "detector": f"{critic}, start: {settings.start}",
            "anomalies": ", ".join(kinds),
            "history": f"{len(snapshots.steps)} snapshots, {memory}",
            "density of t": f"exp(-{settings.beta:g} t) from {settings.alpha:g} to 1",
            "total variation": f"{total_variation:.3f}, on {validated:,} validation "
            "images and as many of the history",
            "seed": str(config.seed),
            "data": "; ".join(normal.dataset.reading.lines()),
        }
        for picture in pictures:
            name = picture.title.lower().replace(" ", "_")
            kind = "svg" if picture.image.lstrip().startswith(b"<") else "png"
            place = workdir / "samples" / f"{name}.{kind}"
            write_picture(workdir, place, picture.image)
        rows = read_rows(workdir / "metrics.jsonl")
        page = pages.report(config, facts, results, total_variation, pictures, rows)
        files.write_text(workdir / "report.html", page)
        measured = measure(
            {name: functools.partial(float, value) for name, value in metrics.items()}
        )
        if known_classes.roles and known_classes.folder and classes["masks"]:
            scores_and_maps = make_scores_and_maps(
                detector_gan.method, detector, detector_gan.config
            )
            pixels = folder_pixels(
                known_classes.folder,
                known_classes.roles,
                scores_and_maps,
                source.shape[-1],
                gan.data,
                normal.dataset.reading.scaling,
            )
            measured.add(pixel_measures(pixels))
        summary = complete_summary(
            config,
            dataset={
                "name": prior.data_name,
                "split": "train",
                "count": len(source),
                "shape": list(source.shape),
                "sha256": normal.digest,
                "read": normal.dataset.reading.as_json(),
                **normal.identity.as_json(),
            },
            measured=measured,
            timing=timing,
            environment=environment(normal.mesh),
            parameters_sha256=digest(detector.critic),
            prior=describe(prior),
            history={"snapshots": len(snapshots.steps), "bytes": snapshots.size},
            validation={"count": validated},
            classes=classes,
        )
        files.write_json(workdir / "summary.json", summary)
        return summary


def _gan_config(config: ConfigDict) -> ConfigDict:
    """Return the config of the GAN: a plain training run on normal images."""
    known, copied = training("").keys(), config.copy_and_resolve_references()
    gan = ConfigDict({key: copied[key] for key in known})
    gan.name, gan.program = f"{config.name}_gan", "train"
    classes = [config.data.without, config.anomaly.label]
    gan.data.without = ",".join(filter(None, classes))
    return gan.lock()


def _check_history(config: ConfigDict, workdir: Path) -> None:
    """Raise an `InputError` if a GAN keeps no history, or outgrows its detector."""
    interval, steps = config.history.every, config.steps
    if not 0 < interval <= steps:
        raise InputError(
            f"--config.history.every {interval} keeps no snapshot of {steps} steps: a "
            "detector needs some"
        )
    written = written_config(workdir / _GAN)  # checked before
    if (workdir / "checkpoints").exists() and written is not None:
        before = written.get("steps")
        if before != steps:
            raise InputError(
                f"{workdir} holds a detector of a history of {before} steps, not "
                f"{steps}: {another(workdir)}"
            )


def _history_run(wanted: ConfigDict, path: str) -> tuple[ConfigDict, Path]:
    """Return the config and the workdir of a run whose history is used.

    Raises:
        InputError: If the run's data are not those of the config `wanted`, or its
            generator is conditional.
    """
    workdir, gan, _ = read_run(path, "history_run", "train", FIRST_COMMANDS["detect"])
    if tasks.task(gan).conditional:
        raise InputError(
            f"--config.history_run {path} generates under conditions: name a run of a "
            "plain GAN"
        )
    sides = [
        {key: value for key, value in flatten(config.data).items() if key not in _APART}
        for config in (gan, wanted)
    ]
    changed = [f"data.{text}" for text in difference(*sides)]
    if changed:
        raise InputError(
            f"--config.history_run {path} was trained on other data "
            f"({'; '.join(changed)}): give the same --config.data values, and the "
            "class left out as --config.anomaly.label"
        )
    return gan, workdir
