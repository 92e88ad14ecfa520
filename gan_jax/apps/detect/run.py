"""Detect anomalies by the history of a GAN's training: train a detector, or use one."""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.detect import report as pages
from gan_jax.apps.detect.apply import open_scoring
from gan_jax.apps.detect.baselines import (
    DETECTOR,
    Scores,
    Scoring,
    Tested,
    measured,
    measured_searches,
    methods,
    named,
    table,
)
from gan_jax.apps.detect.data import (
    NORMAL,
    Anomalies,
    anomalies,
    check_anomalies,
    normal_images,
)
from gan_jax.apps.detect.detector import Scorer, keep_detector
from gan_jax.apps.detect.diagnostics import (
    between_latents,
    through_history,
    trends,
    with_noise,
)
from gan_jax.apps.detect.snapshots import Snapshots, open_snapshots
from gan_jax.apps.detect.training import (
    TrainedDetector,
    check_detector,
    feature_network_of,
    train_detector,
)
from gan_jax.apps.train import run as train
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.build import searches, tasks
from gan_jax.config.checks import difference
from gan_jax.config.command_line import command
from gan_jax.config.defaults import training
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.evaluation.measure import measure
from gan_jax.report import files
from gan_jax.report.journal import read_rows
from gan_jax.report.page import Card
from gan_jax.report.terminal import say
from gan_jax.runs.apply import applied_to_images
from gan_jax.runs.prior import Prior, describe, open_prior, read_run
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import another, check_workdir, claimed
from gan_jax.training.state import digest

_GAN = "gan"
COMMANDS = (
    "Train one, then score images with it: python -m gan_jax.main "
    "--config=configs/detect.py --workdir=runs/detect; python -m gan_jax.main "
    "--config=configs/detect.py --config.prior=runs/detect --config.images=DIR "
    "--workdir=runs/scored"
)


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train a detector and measure it, or score the user's images with one.

    The GAN is an ordinary run in `<workdir>/gan`, unless `history_run` names one.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    if config.prior or config.images:
        return applied_to_images(config, workdir, "score", open_scoring, COMMANDS)
    began = time.monotonic()
    check_workdir(config, workdir)
    check_anomalies(config)
    gan, place = _gan_config(config), workdir / _GAN
    if config.history_run:
        gan, place = _of_history(gan, config.history_run)
    else:
        check_workdir(gan, place, named=workdir)
        _check_history(config, workdir)
    this = prepare(gan, workdir)
    check_detector(config, this)
    if config.baselines.searched:
        searches.check(config.search, config.reconstruction, gan, "reconstruction")
    kinds, broken = anomalies(config, this)
    skipped = [*this.skipped, *broken]
    for path, reason in broken:
        say(f"skipped {path}: {reason}")
    with claimed(config, workdir, skipped), Signals() as signals:
        if not config.history_run:
            train.run(gan, place)
            signals.obey()
        trained = time.monotonic()
        prior = open_prior(str(place), COMMANDS)
        snapshots = open_snapshots(prior, len(this.parts["train"]["real"]))
        say(
            f"history: {len(snapshots.steps)} snapshots of both networks, "
            f"{snapshots.size / 2**20:.0f} MiB"
        )
        judge = feature_network_of(config.detector, prior, _gan_config(config))
        theirs = Scorer(prior.method)
        score = theirs if judge is prior else Scorer(judge.method)
        found = train_detector(this, judge, snapshots, score, config, signals)
        detector = found.detector
        keep_detector(detector, judge, workdir)
        shaped = time.monotonic()
        ours = score.of(detector.critic, detector.scale)
        scorings = methods(config, this, prior, snapshots, theirs, ours)
        rows, every = measured(config, this, scorings, kinds, signals)
        scores = every[DETECTOR]
        if config.baselines.searched:
            rows += measured_searches(config, this, prior, kinds, scores, signals)
        now = time.monotonic()
        timing = {
            "gan_seconds": trained - began,
            "detector_seconds": shaped - trained,
            "evaluation_seconds": now - shaped,
            "total_seconds": now - began,
        }
        return _conclude(
            config,
            prior,
            this,
            snapshots,
            found,
            (theirs, ours),
            kinds,
            rows,
            scores,
            timing,
        )


def _conclude(
    config: ConfigDict,
    prior: Prior,
    this: Run,
    snapshots: Snapshots,
    trained: TrainedDetector,
    scorers: tuple[Scorer, Scoring],
    kinds: Mapping[str, Anomalies],
    rows: Sequence[Tested],
    scores: Mapping[str, Scores],
    timing: Mapping[str, float],
) -> dict[str, Any]:
    """Draw, and write the report and the summary.

    The two scorers are the GAN's critics' and the detector's.
    """
    workdir, (theirs, ours) = this.workdir, scorers
    detector, total_variation = trained.detector, trained.total_variation
    noise = with_noise(ours, this, config.seed)
    path = between_latents(ours, prior, config.seed)
    first = next(iter(kinds.values())).images
    history = through_history(config, this, prior, snapshots, theirs, first)
    images = {name: kind.images for name, kind in kinds.items()}
    images = {NORMAL: normal_images(this, "test"), **images}
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    pictures = pages.pictures(scores, images, threshold, noise, path, history)
    for picture in pictures:
        name = picture.title.lower().replace(" ", "_")
        kind = "svg" if picture.image.lstrip().startswith(b"<") else "png"
        files.write_bytes(workdir / "samples" / f"{name}.{kind}", picture.image)
    metrics = {"total_variation": total_variation} | {
        name: value
        for row in rows
        for name, value in named(row, alone=len(kinds) == 1).items()
    }
    metrics |= trends(noise, path, history)
    found = measure({k: functools.partial(float, v) for k, v in metrics.items()})
    settings = config.detector
    source = this.parts["train"]["real"]
    count, memory = len(source), snapshots.size / 2**20
    facts = {
        "normal images": f"{prior.config.data.name}, {count:,}",
        "detector": f"{trained.kind}, start: {settings.start}",
        "anomalies": ", ".join(kinds),
        "history": f"{len(snapshots.steps)} snapshots, {memory:.0f} MiB",
        "density of t": f"exp(-{settings.beta:g} t) from {settings.alpha:g} to 1",
        "total variation": f"{total_variation:.3f}, on {trained.validated:,} "
        "validation images and as many of the history",
        "seed": str(config.seed),
    }
    cards = [
        Card(
            f"AUPRC, {row.anomalies}",
            row.figures.auprc,
            f"base rate {row.figures.base_rate:.2f}; AUROC {row.figures.auroc:.3f}",
            row.figures.auprc > row.figures.base_rate,
        )
        for row in rows
        if row.method == DETECTOR
    ]
    cards.append(
        Card(
            "Total variation",
            total_variation,
            "between normal images and the history's; near 1 the detector sees texture",
        )
    )
    page = pages.report(
        config.name,
        "Anomalies detected by the history of a generator's training.",
        facts,
        cards,
        [table(rows, total_variation), pages.PUBLISHED],
        pictures,
        read_rows(workdir / "metrics.jsonl"),
        command(config.name, flatten(config)),
    )
    files.write_text(workdir / "report.html", page)
    summary = complete_summary(
        config,
        dataset={
            "name": prior.config.data.name,
            "split": "train",
            "count": count,
            "shape": list(source.shape),
            "sha256": this.digest,
        },
        measured=found,
        timing=timing,
        environment=environment(this.mesh),
        parameters_sha256=digest(detector.critic),
        prior=describe(prior),
        history={"snapshots": len(snapshots.steps), "bytes": snapshots.size},
        validation={"count": trained.validated},
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _gan_config(config: ConfigDict) -> ConfigDict:
    """Return the config of the GAN: what a plain training run has, on normal images."""
    known, copied = training("").keys(), config.copy_and_resolve_references()
    own = ConfigDict({key: copied[key] for key in known})
    own.name, own.program = f"{config.name}_gan", "train"
    classes = [config.data.without, config.anomaly.label]
    own.data.without = ",".join(filter(None, classes))
    return own.lock()


def _check_history(config: ConfigDict, workdir: Path) -> None:
    """Refuse a GAN that keeps no history, or goes on under a detector of its history.

    Raises:
        InputError: names the key.
    """
    every, steps = config.history.every, config.steps
    if not 0 < every <= steps:
        raise InputError(
            f"history.every {every} keeps no snapshot of {steps} steps: a detector "
            "needs some"
        )
    written = workdir / _GAN / "config.json"
    if (workdir / "checkpoints").exists() and written.exists():
        before = json.loads(written.read_text()).get("steps")
        if before != steps:
            raise InputError(
                f"{workdir} holds a detector of a history of {before} steps, not "
                f"{steps}: {another(workdir)}"
            )


def _of_history(wanted: ConfigDict, path: str) -> tuple[ConfigDict, Path]:
    """Read the config of a run whose history is to be used, and its workdir.

    Raises:
        InputError: its data are others than those that the detector is to learn from,
            or it generates under conditions.
    """
    workdir, own, _ = read_run(path, "history_run", "train", COMMANDS)
    if tasks.task(own).conditional:
        raise InputError(
            f"history_run {path} generates under conditions: name a run of a plain GAN"
        )
    sides = [
        {key: value for key, value in flatten(one.data).items() if key not in _PLACES}
        for one in (own, wanted)
    ]
    changed = [f"data.{text}" for text in difference(*sides)]
    if changed:
        raise InputError(
            f"history_run {path} was trained on other data ({'; '.join(changed)}): "
            "give the same --config.data values, and the class left out as "
            "--config.anomaly.label"
        )
    return own, workdir


_PLACES = ("path", "download", "feed")
"""Keys of data that may differ: they say where images lie."""
