"""A trained detector on the user's images: a score, a percentile and a verdict each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.detect import report as pages
from gan_jax.apps.detect.detector import Detector, anomaly, describe_run, open_detection
from gan_jax.data.decode import crop_and_resize, with_channels
from gan_jax.data.feed import to_float
from gan_jax.data.user_images import Image8
from gan_jax.evaluation.measure import Measured
from gan_jax.networks.compilation import compiled
from gan_jax.report import files
from gan_jax.report.page import Card, Figure, Table, picture
from gan_jax.runs.apply import Application, Conclusion
from gan_jax.runs.inference import chunks
from gan_jax.training.method import Method
from gan_jax.training.state import Variables

_CHUNK = 250  # images decoded and scored at once
_LISTED = 50  # images with the highest scores, in the report


class Scored(NamedTuple):
    """What was said of one image."""

    seen: Image8
    """As the detector saw it."""
    score: float
    percentile: float
    anomalous: bool


def open_scoring(
    config: ConfigDict, workdir: Path, commands: str
) -> Application[Image8, Scored]:
    """Open a trained detector for the images of a folder.

    Every image is written as the detector saw it, and beside it where the score is
    sensitive.

    Args:
        config: `prior` and `anomaly.false_positive_rate` of it.
        workdir: where the sheet goes.
        commands: that make a detector.

    Raises:
        InputError: there is no detector.
    """
    opened = open_detection(config.prior, commands)
    detector, data = opened.detector, opened.gan.data
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    judge = _judge(opened.method, detector)

    def apply(outputs: Sequence[Path], fitted: Sequence[Image8]) -> list[Scored]:
        images = np.stack(fitted)
        scores, slopes = judge(images)
        for path, drawn in zip(outputs, pages.beside(images, slopes), strict=True):
            files.write_image(path, drawn)
        percentiles = detector.percentiles(scores)
        return [
            Scored(image, float(score), float(percentile), bool(score > threshold))
            for image, score, percentile in zip(
                images, scores, percentiles, strict=True
            )
        ]

    return Application(
        describe_run(opened.workdir, opened.summary),
        lambda image: crop_and_resize(
            with_channels(image, opened.channels), data.size, data.crop
        ),
        _CHUNK,
        apply,
        _line,
        {"score": float, "percentile": float, "anomalous": bool},
        lambda done: _conclude(done, config, workdir, detector),
    )


def _judge(
    method: Method, detector: Detector
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return scores of images of 8 bits, and how steeply they rise with each pixel."""

    def score(
        critic: Variables, images: Float[Array, "batch height width channels"]
    ) -> tuple[Float[Array, ""], Float[Array, "batch"]]:
        scores = anomaly(method, detector.scale, critic, images)
        return scores.sum(), scores

    def both(critic: Variables, images: Array) -> tuple[Array, Array]:
        # One gradient of the sum holds every image's: they do not see each other.
        steep = jax.value_and_grad(score, argnums=1, has_aux=True)
        (_, scores), slopes = steep(critic, to_float(images))
        return scores, jnp.abs(slopes).mean(axis=-1)

    run = compiled(both)

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = len(images)
        (at,) = chunks(count, _CHUNK)
        found = run(detector.critic, images[at])
        scores, slopes = (np.asarray(leaf)[:count] for leaf in found)
        return scores, slopes

    return judge


def _line(one: Scored) -> dict[str, Any]:
    return {
        "score": one.score,
        "percentile": one.percentile,
        "anomalous": one.anomalous,
    }


def _conclude(
    done: Sequence[tuple[Path, Scored]],
    config: ConfigDict,
    workdir: Path,
    detector: Detector,
) -> Conclusion:
    """Measure all images, and draw the sorted sheet."""
    rate = config.anomaly.false_positive_rate
    threshold = detector.threshold(rate)
    scores = np.array([one.score for _, one in done])
    share = float(np.mean([one.anomalous for _, one in done]))
    sheet = pages.ranking(np.stack([one.seen for _, one in done]), scores)
    files.write_image(workdir / "samples" / "sorted.png", sheet)
    highest = [done[at] for at in np.argsort(-scores, kind="stable")[:_LISTED]]
    table = Table(
        "Highest scores",
        ["image", "score", "percentile", "above the threshold"],
        [
            [str(file), one.score, one.percentile, one.anomalous]
            for file, one in highest
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
