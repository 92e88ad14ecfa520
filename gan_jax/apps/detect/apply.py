"""Scoring of the user's images by a trained detector."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.detect import report as pages
from gan_jax.apps.detect.detector import (
    Detector,
    DetectorRun,
    anomaly_scores,
    describe_detector,
    open_detector_run,
)
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.limits import memory_limit
from gan_jax.data.decode import crop_and_resize, with_channels
from gan_jax.data.feed import to_float
from gan_jax.data.user_images import Image8
from gan_jax.evaluation.measure import Measured
from gan_jax.networks.compilation import compiled
from gan_jax.report.ownership import write_image
from gan_jax.report.page import Card, Figure, Table, picture
from gan_jax.runs.apply import Application, Conclusion, trained_levels
from gan_jax.runs.inference import in_chunks
from gan_jax.training.state import Variables

_CHUNK = 250  # images decoded and scored at once
_COLUMNS = {"score": float, "percentile": float, "anomalous": bool}
_LISTED = 50  # images with the highest scores, in the report


class Scored(NamedTuple):
    """The result for one image."""

    seen: Image8
    """The image as the detector sees it."""
    score: float
    percentile: float
    """Percentage of validation images with a lower score."""
    anomalous: bool
    """Whether the score lies above the threshold."""


def open_scoring(config: ConfigDict, workdir: Path) -> Application[Image8, Scored]:
    """Open a trained detector for the images of a folder.

    The output of an image shows it as the detector sees it, beside a map of the pixels
    that its score is sensitive to. The sheet of sorted images is written to `workdir`.

    Raises:
        InputError: If there is no detector.
    """
    opened = open_detector_run(
        config.prior, FIRST_COMMANDS["detect"], memory_limit(config)
    )
    detector, data = opened.detector, opened.gan.data
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    score_all = _scores_and_slopes(opened)

    def process(fitted: Sequence[Image8]) -> Iterator[tuple[Image8, Scored]]:
        images = np.stack(fitted)
        scores, slopes = score_all(images)
        outputs = pages.beside(images, slopes)
        percentiles = detector.percentiles(scores)
        for output, image, score, percentile in zip(
            outputs, images, scores, percentiles, strict=True
        ):
            above = bool(score > threshold)
            yield output, Scored(image, float(score), float(percentile), above)

    return Application(
        description=describe_detector(opened),
        preprocess=lambda image: crop_and_resize(
            with_channels(image, opened.channels), data.size, data.crop
        ),
        chunk_size=_CHUNK,
        process=process,
        line=lambda scored: {name: getattr(scored, name) for name in _COLUMNS},
        columns=_COLUMNS,
        conclude=lambda done: _conclude(done, config, workdir, detector),
        levels=trained_levels(opened.gan, opened.summary),
    )


def _scores_and_slopes(
    opened: DetectorRun,
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a function of 8-bit images to their scores and each pixel's slope."""
    detector = opened.detector

    def score(
        critic: Variables, images: Float[Array, "batch height width channels"]
    ) -> tuple[Float[Array, ""], Float[Array, "batch"]]:
        scores = anomaly_scores(opened.method, detector.scale, critic, images)
        return scores.sum(), scores

    @compiled
    def run(critic: Variables, images: Array) -> tuple[Array, Array]:
        # The gradient of the sum holds every image's: scores are independent.
        steep = jax.value_and_grad(score, argnums=1, has_aux=True)
        (_, scores), slopes = steep(critic, to_float(images))
        return scores, jnp.abs(slopes).mean(axis=-1)

    return lambda images: in_chunks(
        lambda at: run(detector.critic, images[at]), len(images), _CHUNK
    )


def _conclude(
    done: Sequence[tuple[Path, Scored]],
    config: ConfigDict,
    workdir: Path,
    detector: Detector,
) -> Conclusion:
    """Return the report of all images; draw the sheet of sorted images."""
    rate = config.anomaly.false_positive_rate
    threshold = detector.threshold(rate)
    scores = np.array([scored.score for _, scored in done])
    share = float(np.mean([scored.anomalous for _, scored in done]))
    sheet = pages.ranking(np.stack([scored.seen for _, scored in done]), scores)
    write_image(workdir, workdir / "samples" / "sorted.png", sheet)
    highest = [done[at] for at in np.argsort(-scores, kind="stable")[:_LISTED]]
    table = Table(
        "Highest scores",
        ["image", "score", "percentile", "above the threshold"],
        [
            [str(file), scored.score, scored.percentile, scored.anomalous]
            for file, scored in highest
        ],
        "Percentile: the percentage of the detector's validation images with a lower "
        "score.",
    )
    beside = {"these images": scores, "validation": np.asarray(detector.quantiles)}
    return Conclusion(
        Measured({"anomalous": share, "threshold": threshold}, {}),
        "Images scored by a detector of anomalies.",
        [
            Card("Above the threshold", share, f"share; {rate:g} of normal images are"),
            Card("Threshold", threshold, "chosen on validation images"),
        ],
        [table],
        [
            picture("Sorted", sheet, "From the most anomalous to the most normal."),
            Figure(
                "Scores",
                pages.histograms(beside, threshold),
                "Beside the scores of validation images.",
            ),
        ],
    )
