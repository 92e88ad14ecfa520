"""Scoring of the user's images by a trained detector."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from ml_collections import ConfigDict

from gan_jax.apps.detect import report as pages
from gan_jax.apps.detect.classes import trained_classes
from gan_jax.apps.detect.detector import Detector, describe_detector, open_detector_run
from gan_jax.apps.detect.scoring.labels import (
    Labels,
    open_labels,
    say_labels,
)
from gan_jax.apps.detect.scoring.maps import (
    CHUNK,
    PixelScores,
    map_kind,
    pixel_measures,
    pixel_scores,
    reduced_mask,
)
from gan_jax.apps.detect.scoring.scorer import Anomaly, Scorer
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import memory_limit
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.user_images import Image8, InputFile
from gan_jax.evaluation.detection import Detection, Scores, detection
from gan_jax.evaluation.measure import Measured
from gan_jax.report.ownership import write_image
from gan_jax.report.page import Card, Figure, Table, picture
from gan_jax.report.terminal import say
from gan_jax.runs.apply import Application, Conclusion, trained_levels

_COLUMNS = {
    "score": float,
    "percentile": float,
    "anomalous": bool,
    "class": str,
    "normal": bool,
}
_LISTED = 50  # images with the highest scores, in the report
_DRAWN = 6  # classes whose scores are drawn, at most


class Seen(NamedTuple):
    """An image as the detector sees it, and what is known of it."""

    image: Image8
    kind: str
    """Its class; empty where it has none."""
    is_normal: bool | None
    """By its class; None where that is unknown."""
    anomalous: Bool[np.ndarray, "height width"] | None
    """The pixels that are anomalous; None where they are unknown."""


class Scored(NamedTuple):
    """The result for one image."""

    seen: Seen
    found: Anomaly
    pixels: PixelScores | None
    """None where the image's anomalous pixels are unknown."""


def open_scoring(config: ConfigDict, workdir: Path) -> Application[Seen, Scored]:
    """Open a trained detector for the images of a folder.

    The output of an image shows it as the detector sees it, beside a map of where it
    is anomalous. Labels come from the folders. The sheet of sorted images is written to
    `workdir`.

    Raises:
        InputError: If there is no detector, or no image.
    """
    opened = open_detector_run(
        config.prior, FIRST_COMMANDS["detect"], memory_limit(config)
    )
    if not config.images:
        raise InputError("--config.images is empty: name a folder of images to score")
    scorer = Scorer(opened, config.anomaly.false_positive_rate)
    labels = open_labels(config, trained_classes(opened.summary))
    say_labels(config, labels)
    count = len(labels.folder.images)

    def preprocess(file: InputFile, image: Image8) -> Seen:
        fitted = scorer.seen(image)
        is_normal = labels.is_normal(file.path)
        anomalous = None
        if is_normal and labels.masks:
            anomalous = np.zeros(fitted.shape[:2], bool)
        if (mask := labels.masks.get(file.path)) is not None:
            try:
                anomalous = reduced_mask(mask, image, scorer.size, scorer.crop)
            except BrokenImageError as error:
                say(f"the pixels of {file.path} are not measured: its mask: {error}")
        return Seen(fitted, labels.kind(file.path), is_normal, anomalous)

    def process(given: Sequence[Seen]) -> Iterator[tuple[Image8, Scored]]:
        images = np.stack([seen.image for seen in given])
        found, maps = scorer(images)
        outputs = pages.beside(images, maps)
        for output, seen, each, values in zip(outputs, given, found, maps, strict=True):
            pixels = None
            if seen.anomalous is not None:
                pixels = pixel_scores(values, seen.anomalous, count)
            yield output, Scored(seen, each, pixels)

    return Application(
        description=describe_detector(opened),
        preprocess=preprocess,
        chunk_size=CHUNK,
        process=process,
        line=_line,
        columns=_COLUMNS,
        conclude=lambda done: _conclude(
            done, config, workdir, opened.detector, labels, map_kind(opened.gan).name
        ),
        levels=trained_levels(opened.gan, opened.summary),
    )


def _line(scored: Scored) -> dict[str, Any]:
    line: dict[str, Any] = {
        "score": scored.found.score,
        "percentile": scored.found.percentile,
        "anomalous": scored.found.above,
    }
    if scored.seen.kind:
        line["class"] = scored.seen.kind
    if scored.seen.is_normal is not None:
        line["normal"] = scored.seen.is_normal
    return line


def _conclude(
    done: Sequence[tuple[InputFile, Scored]],
    config: ConfigDict,
    workdir: Path,
    detector: Detector,
    labels: Labels,
    map_name: str,
) -> Conclusion:
    """Return the report of all images; draw the sheet of sorted images."""
    rate = config.anomaly.false_positive_rate
    threshold = detector.threshold(rate)
    scores = np.array([scored.found.score for _, scored in done])
    share = float(np.mean([scored.found.above for _, scored in done]))
    sheet = pages.ranking(np.stack([scored.seen.image for _, scored in done]), scores)
    write_image(workdir, workdir / "samples" / "sorted.png", sheet)
    highest = [done[at] for at in np.argsort(-scores, kind="stable")[:_LISTED]]
    table = Table(
        "Highest scores",
        ["image", "class", "score", "percentile", "above the threshold"],
        [
            [
                *(str(file.path), scored.seen.kind),
                *(scored.found.score, scored.found.percentile, scored.found.above),
            ]
            for file, scored in highest
        ],
        "Percentile: the percentage of the detector's validation images with a lower "
        "score.",
    )
    labelled = [scored for file, scored in done if labels.is_measured(file.path)]
    by_class = _scores_by_class(labelled)
    detected = _detections(labelled, threshold)
    measured = Measured({"anomalous": share, "threshold": threshold}, {})
    for kind, found in detected.items():
        metrics = {k: v for k, v in found._asdict().items() if v is not None}
        measured.add(Measured(metrics, {}), f"class {kind}/" if kind else "")
    pixels = [scored.pixels for scored in labelled if scored.pixels is not None]
    if labels.masks:
        measured.add(pixel_measures(pixels))
    cards = [
        Card("Above the threshold", share, f"share; {rate:g} of normal images are"),
        Card("Threshold", threshold, "chosen on validation images"),
        *_cards(measured.metrics, map_name),
    ]
    figures = [table]
    if detected:
        whole = detected[""]
        rows = [
            [
                *(kind, len(values), float(values.mean())),
                float((values > threshold).mean()),
                None if kind in labels.normal else detected.get(kind, whole).auroc,
            ]
            for kind, values in by_class.items()
        ]
        columns = ["class", "images", "mean score", "above the threshold", "AUROC"]
        note = f"Normal: {', '.join(labels.normal)}. AUROC: against normal images."
        figures.insert(0, Table("Classes", columns, rows, note))
    drawn = by_class if 1 < len(by_class) <= _DRAWN else {"these images": scores}
    beside = {**drawn, "validation": np.asarray(detector.quantiles)}
    return Conclusion(
        measured,
        "Images scored by a detector of anomalies.",
        cards,
        figures,
        [
            picture("Sorted", sheet, "From the most anomalous to the most normal."),
            Figure(
                "Scores",
                pages.histograms(beside, threshold),
                "Beside the scores of validation images.",
            ),
        ],
        {"classes": {**labels.summary(), "map": map_name}},
    )


def _scores_by_class(labelled: Sequence[Scored]) -> dict[str, Scores]:
    """Return the scores of labelled images by class, those of normal ones first."""
    by_class: dict[tuple[bool, str], list[float]] = {}
    for each in labelled:
        side = not each.seen.is_normal, each.seen.kind
        by_class.setdefault(side, []).append(each.found.score)
    return {kind: np.array(by_class[side, kind]) for side, kind in sorted(by_class)}


def _detections(labelled: Sequence[Scored], threshold: float) -> dict[str, Detection]:
    """Return the measures of labelled images: of all as "", and of several classes.

    There are none where all images are normal, or none is.
    """
    sides: dict[bool, list[Scored]] = {True: [], False: []}
    for each in labelled:
        sides[bool(each.seen.is_normal)].append(each)
    if not sides[True] or not sides[False]:
        return {}
    normal = np.array([each.found.score for each in sides[True]])
    anomalous = _scores_by_class(sides[False])
    kinds = {"": np.concatenate([*anomalous.values()])}
    kinds |= anomalous if len(anomalous) > 1 else {}
    return {kind: detection(normal, each, threshold) for kind, each in kinds.items()}


def _cards(metrics: Mapping[str, Any], map_name: str) -> list[Card]:
    """Return the key figures of labelled images."""
    rows = {"auroc": ("AUROC", "of images"), "pixel_auroc": ("Pixel AUROC", map_name)}
    return [
        Card(title, metrics[name], note)
        for name, (title, note) in rows.items()
        if name in metrics
    ]
