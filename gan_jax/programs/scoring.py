"""A trained detector on the user's images: a score, a percentile and a verdict each."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.config import flatten
from gan_jax.data.decode import fit, with_channels
from gan_jax.data.feed import to_float
from gan_jax.data.files import given_images
from gan_jax.data.sources import Skipped
from gan_jax.errors import InputError, Interrupted
from gan_jax.networks.compilation import compiled
from gan_jax.programs.assembly import make_mesh
from gan_jax.programs.chunks import chunks
from gan_jax.programs.detector import (
    Detector,
    describe_run,
    open_detector,
    read_gan_config,
)
from gan_jax.programs.given import Image8, decoded
from gan_jax.programs.prior import blank_state, read_run
from gan_jax.programs.results import environment
from gan_jax.programs.signals import Signals
from gan_jax.programs.workdir import check_workdir, claimed, write_results
from gan_jax.report import detection as pages
from gan_jax.report import files
from gan_jax.report.page import Card, Figure, Table, picture
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.report.training import command
from gan_jax.training.method import Recipe
from gan_jax.training.state import Variables

_CHUNK = 250  # images decoded and scored at once
_LISTED = 50  # images with the highest scores, in the report


class Scored(NamedTuple):
    """What was said of one image."""

    file: Path
    output: Path
    score: float
    percentile: float
    anomalous: bool


def score_images(config: ConfigDict, workdir: Path, commands: str) -> dict[str, Any]:
    """Score the images of a folder with a trained detector.

    Every image is written to `<workdir>/images` as the detector saw it, and beside it
    where the score is sensitive. A broken one is reported, and the rest are scored.

    Args:
        config: `prior`, `images` and `anomaly.false_positive_rate` of it.
        workdir: where the results go.
        commands: that make a detector.

    Raises:
        InputError: there is no detector, no folder, or no image that can be used.
        OSError: the disk failed.
        Interrupted: by SIGINT or SIGTERM.
    """
    began = time.monotonic()
    if Path(config.prior).resolve() == workdir.resolve():
        raise InputError(
            f"{workdir} is the detector's: choose another --workdir for the scores"
        )
    check_workdir(config, workdir)
    place, _, summary = read_run(config.prior, "prior", "detect", commands)
    gan = read_gan_config(place)
    channels = int(summary["dataset"]["shape"][-1])
    recipe = recipes.recipe(gan, recipes.task(gan), channels)
    like = jax.eval_shape(lambda: blank_state(gan, recipe, channels).critic.variables)
    detector = open_detector(place, like)
    if not config.images:
        raise InputError("--config.images is empty: name a folder of images to score")
    found = given_images(config.images)
    with claimed(config, workdir, ()), Signals() as signals:
        start = time.monotonic()
        size = (gan.data.size, gan.data.crop, channels)
        scored, images, skipped = _score(
            found, size, recipe, detector, config, workdir, signals
        )
        seconds = time.monotonic() - start
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
        write_results(workdir, skipped, [_line(one, workdir) for one in scored])
        if not scored:
            raise InputError(f"no image can be scored ({skipped[0].reason})")
        rate = len(found) / seconds
        say(f"{len(found)} images in {seconds:.1f} s: {rate:.0f} images/s")
        return _conclude(
            config,
            workdir,
            describe_run(place, summary),
            detector,
            (scored, np.stack(images), skipped),
            {
                "scoring_seconds": seconds,
                "images_per_second": rate,
                "total_seconds": time.monotonic() - began,
            },
        )


def _score(
    found: Sequence[Path],
    size: tuple[int, int, int],
    recipe: Recipe,
    detector: Detector,
    config: ConfigDict,
    workdir: Path,
    signals: Signals,
) -> tuple[list[Scored], list[Image8], list[Skipped]]:
    """Score files chunk by chunk, and write a picture for each."""
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    judge = _judge(recipe, detector)
    side, crop, channels = size

    def prepare(image: Image8) -> Image8:
        return fit(with_channels(image, channels), side, crop)

    scored: list[Scored] = []
    seen: list[Image8] = []
    skipped: list[Skipped] = []
    with Progress(len(found), 0, "scores", "image") as progress:
        for some, fitted, broken in decoded(found, prepare, _CHUNK):
            skipped += broken
            if some:
                images = np.stack(fitted)
                scores, slopes = judge(images)
                percentiles = detector.percentiles(scores)
                pictures = pages.beside(images, slopes)
                for file, score, percentile, picture in zip(
                    some, scores, percentiles, pictures, strict=True
                ):
                    output = workdir / "images" / f"{file.stem}.png"
                    files.write_image(output, picture)
                    verdict = bool(score > threshold)
                    scored.append(
                        Scored(file, output, float(score), float(percentile), verdict)
                    )
                seen += list(images)
            progress.advance(len(scored) + len(skipped))
            if signals.received:
                raise Interrupted(signals.received, "the same command begins anew")
    return scored, seen, skipped


def _judge(
    recipe: Recipe, detector: Detector
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Give scores of images of 8 bits, and how steeply they rise with each pixel."""

    def score(
        critic: Variables, images: Float[Array, "batch height width channels"]
    ) -> tuple[Float[Array, ""], Float[Array, "batch"]]:
        scores: Any = recipe.critic.apply(critic, images)
        flat = -detector.scale(scores.reshape(scores.shape[0], -1).mean(axis=1))
        return flat.sum(), flat

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


def _line(one: Scored, workdir: Path) -> dict[str, Any]:
    return {
        "input": str(one.file),
        "done": True,
        "output": str(one.output.relative_to(workdir)),
        "score": one.score,
        "percentile": one.percentile,
        "anomalous": one.anomalous,
    }


def _conclude(
    config: ConfigDict,
    workdir: Path,
    prior: Mapping[str, Any],
    detector: Detector,
    outcome: tuple[Sequence[Scored], np.ndarray, Sequence[Skipped]],
    timing: Mapping[str, float],
) -> dict[str, Any]:
    """Write the sorted sheet, the report and the summary."""
    scored, images, skipped = outcome
    scores = np.array([one.score for one in scored])
    share = float(np.mean([one.anomalous for one in scored]))
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    sheet = pages.ranking(images, scores)
    files.write_image(workdir / "samples" / "sorted.png", sheet)
    order = np.argsort(-scores, kind="stable")[:_LISTED]
    best = [scored[at] for at in order]
    table = Table(
        "Highest scores",
        ["image", "score", "percentile", "above the threshold"],
        [[str(one.file), one.score, one.percentile, one.anomalous] for one in best],
        "Percentile: the percentage of the detector's validation images with a lower "
        "score.",
    )
    rate = config.anomaly.false_positive_rate
    page = pages.report(
        config.name,
        "Images scored by a detector of anomalies.",
        {
            "detector": str(config.prior),
            "images": f"{len(scored)} scored, {len(skipped)} failed",
        },
        [
            Card("Above the threshold", share, f"share; {rate:g} of normal images are"),
            Card("Threshold", threshold, "chosen on validation images"),
        ],
        [table],
        [
            picture("Sorted", sheet, "From the most anomalous to the most normal."),
            Figure(
                "Scores",
                pages.histograms(
                    {
                        "these images": scores,
                        "validation": np.asarray(detector.quantiles),
                    },
                    threshold,
                ),
                "Beside the scores of validation images.",
            ),
        ],
        [],
        command(config.name, flatten(config)),
    )
    files.write_text(workdir / "report.html", page)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    summary = {
        "program": config.program,
        "config_name": config.name,
        "dataset": {
            "name": config.images,
            "split": "images",
            "count": len(scored),
            "shape": list(images.shape[1:]),
            "sha256": digest,
        },
        "prior": dict(prior),
        "inputs": {"done": len(scored), "failed": len(skipped)},
        "metrics": {"anomalous": share, "threshold": threshold},
        "metrics_failed": {},
        "timing": dict(timing),
        "environment": environment(make_mesh(1)),
        "parameters_sha256": prior["parameters_sha256"],
        "complete": True,
    }
    files.write_json(workdir / "summary.json", summary)
    return summary
