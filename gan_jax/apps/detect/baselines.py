"""A detector beside baselines on every kind of anomalies: scores, then figures."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import (
    NORMAL,
    Anomalies,
    Images8,
    normal_images,
    validation_images,
)
from gan_jax.apps.detect.detector import Scorer, plain_scale
from gan_jax.apps.detect.report import SEPARATION
from gan_jax.apps.detect.snapshots import Snapshots
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.observations import observe, required
from gan_jax.apps.inpaint.search import prepare_search, search_latents
from gan_jax.apps.train.setup import Run
from gan_jax.evaluation.detection import Detection, detection, subsample
from gan_jax.evaluation.outliers import BASELINES
from gan_jax.report.page import Table
from gan_jax.report.terminal import say
from gan_jax.runs.inference import taken
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals

Scores = Float[np.ndarray, " _"]
Scoring: TypeAlias = Callable[[Images8], Scores]
"""From images to how anomalous they are."""

DETECTOR = "D_TV"


class Tested(NamedTuple):
    """What a method says of one kind of anomalies."""

    method: str
    anomalies: str
    figures: Detection
    images: int
    """Of both kinds."""


def methods(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    score: Scorer,
    ours: Scoring,
) -> dict[str, Scoring]:
    """Return the detector, `ours`, and what it is compared with, by name.

    The run's own critics are scored by `score`.
    """
    scale = plain_scale(prior)
    last = taken(snapshots.critics, -1)
    mean = snapshots.mean_critic(config.detector.beta)
    found: dict[str, Scoring] = {
        DETECTOR: ours,
        "last critic": score.of(last, scale),
        "mean of the critics": score.of(mean, scale),
    }
    if config.baselines.shallow:
        normal = normal_images(this, "train")
        draw = np.random.default_rng(config.seed)
        some = normal[draw.permutation(len(normal))]
        for name, fit in BASELINES.items():
            found[name] = fit(some, config.seed)
    return found


def measured(
    config: ConfigDict,
    this: Run,
    scorings: Mapping[str, Scoring],
    kinds: Mapping[str, Anomalies],
    signals: Signals,
) -> tuple[list[Tested], dict[str, dict[str, Scores]]]:
    """Score unseen images by every method.

    A method's threshold is chosen on validation images, for the stated share of them.

    Returns:
        The figures, and the scores by method and kind of images.
    """
    normal, validation = normal_images(this, "test"), validation_images(this)
    rate = config.anomaly.false_positive_rate
    rows: list[Tested] = []
    every: dict[str, dict[str, Scores]] = {}
    for method, scoring in scorings.items():
        signals.obey()
        threshold = float(np.quantile(scoring(validation), 1 - rate))
        scores = every[method] = {NORMAL: scoring(normal)}
        for name, (images, base_rate) in kinds.items():
            scores[name] = scoring(images)
            chosen = subsample(len(normal), len(images), base_rate, config.seed)
            sides = [
                scores[kind][mask]
                for kind, mask in zip((NORMAL, name), chosen, strict=True)
            ]
            rows.append(_tested(method, name, sides[0], sides[1], threshold))
    return rows, every


def measured_searches(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    kinds: Mapping[str, Anomalies],
    scores: Mapping[str, Scores],
    signals: Signals,
) -> list[Tested]:
    """Score images by how badly the generator can make them, as AnoGAN does.

    Schlegl et al. 2017 (arXiv 1703.05921), with our search and loss; the detector's
    figures on the same images stand beside.

    Args:
        config: `baselines.searched` of it: so many images of each test are searched.
        this: the run on normal images.
        prior: whose latents are searched.
        kinds: of anomalies.
        scores: the detector's, by kind of images.
        signals: that interrupt it.
    """
    normal = normal_images(this, "test")
    prepared = prepare_search(config, prior, config.reconstruction, "reconstruction")
    rows: list[Tested] = []
    for name, (images, base_rate) in kinds.items():
        both = np.concatenate([normal, images])
        masks = subsample(len(normal), len(images), base_rate, config.seed)
        places = np.flatnonzero(np.concatenate(masks))
        draw = np.random.default_rng(config.seed)
        some = np.sort(draw.permutation(places)[: config.baselines.searched])
        whole = np.ones(both.shape[1:3], bool)
        given = [MaskedImage(f"{at:06d}", f"{at:06d}", both[at], whole) for at in some]
        observed = required(*observe(prior, "none", given))
        plain = re.sub(r"[^\w.-]", "_", name)
        path = this.workdir / "searches" / f"{plain}.npz"
        found, _ = search_latents(
            config, prior, observed, prepared, path, name, signals
        )
        is_normal = some < len(normal)
        ours = np.concatenate([scores[NORMAL], scores[name]])[some]
        for method, values in (
            ("latent search (AnoGAN)", found.loss),
            (f"{DETECTOR}, the same images", ours),
        ):
            sides = values[is_normal], values[~is_normal]
            rows.append(_tested(method, name, *sides))
    return rows


def _tested(
    method: str,
    name: str,
    normal: Scores,
    anomalous: Scores,
    threshold: float | None = None,
) -> Tested:
    """Measure a method's scores; where that cannot be done, every measure is NaN."""
    count = len(normal) + len(anomalous)
    try:
        figures = detection(normal, anomalous, threshold)
    except ValueError as error:
        say(f"{method} cannot be measured on {name}: {error}")
        figures = Detection(*[float("nan")] * len(Detection._fields))
    return Tested(method, name, figures, count)


def named(row: Tested, alone: bool) -> dict[str, float]:
    """Return a row's measures by their names in the summary.

    Args:
        row: of a method and one kind of anomalies.
        alone: whether there is but one kind.
    """
    prefix = "" if alone else f"{row.anomalies}/"
    if row.method != DETECTOR:
        prefix += f"{row.method}/"
    return {
        f"{prefix}{key}": value
        for key, value in row.figures._asdict().items()
        if value is not None
    }


def table(rows: Sequence[Tested], total_variation: float) -> Table:
    """Return the table of the report: a row for each method and kind of anomalies.

    Args:
        rows: of all methods.
        total_variation: between normal images and the history's, in [0, 1]; it stands
            beside the detector's figures.
    """
    names = [name.replace("_", " ") for name in Detection._fields]
    return Table(
        "Detection",
        ["method", "anomalies", "images", *names, "total variation"],
        [
            [
                *(row.method, row.anomalies, row.images, *row.figures),
                total_variation if row.method == DETECTOR else None,
            ]
            for row in rows
        ],
        "A random score's AUPRC is the base rate. Rates are at the threshold that "
        "each method's scores of validation images give; searches have none. The total "
        f"variation is that {SEPARATION}",
    )
