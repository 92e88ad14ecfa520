"""A detector and its baselines, evaluated on every kind of anomalies."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import (
    NORMAL,
    Anomalies,
    normal_images,
    validation_images,
)
from gan_jax.apps.detect.detector import CriticScorer, Scorer, critic_scale
from gan_jax.apps.detect.history import Snapshots
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.observations import observe_masked, required
from gan_jax.apps.inpaint.placement import lay_whole
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.train.setup import Run
from gan_jax.evaluation.detection import Detection, Scores, detection, subsample
from gan_jax.evaluation.outliers import BASELINES
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.runs.inference import taken
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals

DETECTOR = "D_TV"


class DetectionResult(NamedTuple):
    """Measures of one method on one kind of anomalies."""

    method: str
    anomalies: str
    figures: Detection
    images: int
    """Number of images, normal and anomalous."""

    def metrics(self, prefix: str) -> dict[str, float]:
        """Return the measures by their names in the summary, behind a prefix."""
        if self.method != DETECTOR:
            prefix += f"{self.method}/"
        return {
            f"{prefix}{name}": value
            for name, value in self.figures._asdict().items()
            if value is not None
        }


def method_scorers(
    config: ConfigDict,
    run: Run,
    prior: Prior,
    snapshots: Snapshots,
    critics: CriticScorer,
    detector: Scorer,
) -> dict[str, Scorer]:
    """Return the detector and its baselines by name.

    The config's `baselines.shallow` adds those of scikit-learn. `critics` scores by the
    GAN's critics.
    """
    scale = critic_scale(prior)
    mean = snapshots.mean_critic(config.detector.beta)
    scorers: dict[str, Scorer] = {
        DETECTOR: detector,
        "last critic": critics.anomaly_scorer(taken(snapshots.critics, -1), scale),
        "mean of the critics": critics.anomaly_scorer(mean, scale),
    }
    if config.baselines.shallow:
        normal = normal_images(run, "train")
        draw = np.random.default_rng(config.seed)
        shuffled = normal[draw.permutation(len(normal))]
        for name, fit in BASELINES.items():
            scorers[name] = fit(shuffled, config.seed)
    return scorers


def evaluate(
    config: ConfigDict,
    run: Run,
    scorers: Mapping[str, Scorer],
    kinds: Mapping[str, Anomalies],
    signals: Signals,
) -> tuple[list[DetectionResult], dict[str, dict[str, Scores]]]:
    """Score unseen images by every method.

    The threshold of a method is the score above which the stated share of validation
    images lies.

    Returns:
        The measures, and the scores by method and kind of images.
    """
    normal, validation = normal_images(run, "test"), validation_images(run)
    rate = config.anomaly.false_positive_rate
    results: list[DetectionResult] = []
    all_scores: dict[str, dict[str, Scores]] = {}
    for method, scorer in scorers.items():
        signals.obey(kept=False)
        threshold = float(np.quantile(scorer(validation), 1 - rate))
        scores = all_scores[method] = {NORMAL: scorer(normal)}
        for name, (images, base_rate) in kinds.items():
            scores[name] = scorer(images)
            chosen = subsample(len(normal), len(images), base_rate, config.seed)
            sides = [
                scores[kind][mask]
                for kind, mask in zip((NORMAL, name), chosen, strict=True)
            ]
            results.append(_result(method, name, sides[0], sides[1], threshold))
    return results, all_scores


def evaluate_searches(
    config: ConfigDict,
    run: Run,
    prior: Prior,
    kinds: Mapping[str, Anomalies],
    scores: Mapping[str, Scores],
    signals: Signals,
) -> list[DetectionResult]:
    """Score images by the loss of a latent search for them, as AnoGAN does.

    Schlegl et al. 2017 (arXiv 1703.05921), with our search and loss. The detector is
    measured on the same images.

    Args:
        config: Config of the program; `baselines.searched` images of each kind are
            searched.
        run: Data of normal images.
        prior: The GAN whose latents are searched.
        kinds: Anomalies by name.
        scores: Scores by the detector, by kind of images.
        signals: Signals that interrupt the search.
    """
    normal = normal_images(run, "test")
    search = LatentSearch(config, prior, config.reconstruction, "reconstruction")
    results: list[DetectionResult] = []
    for name, (images, base_rate) in kinds.items():
        both = np.concatenate([normal, images])
        masks = subsample(len(normal), len(images), base_rate, config.seed)
        places = np.flatnonzero(np.concatenate(masks))
        draw = np.random.default_rng(config.seed)
        chosen = np.sort(draw.permutation(places)[: config.baselines.searched])
        whole = np.ones(both.shape[1:3], bool)
        masked = [
            MaskedImage(f"{at:06d}", f"{at:06d}", both[at], whole) for at in chosen
        ]
        observed = required(*observe_masked(prior, "none", lay_whole(masked)))
        plain = files.short_name(re.sub(r"[^\w.-]", "_", name))
        path = run.workdir / "searches" / f"{plain}.npz"
        minima, _ = search.run(observed, path, name, signals)
        is_normal = chosen < len(normal)
        by_detector = np.concatenate([scores[NORMAL], scores[name]])[chosen]
        for method, values in (
            ("latent search (AnoGAN)", minima.loss),
            (f"{DETECTOR}, the same images", by_detector),
        ):
            sides = values[is_normal], values[~is_normal]
            results.append(_result(method, name, *sides))
    return results


def _result(
    method: str,
    name: str,
    normal: Scores,
    anomalous: Scores,
    threshold: float | None = None,
) -> DetectionResult:
    """Return the measures of a method; NaN where they cannot be computed."""
    try:
        figures = detection(normal, anomalous, threshold)
    except ValueError as error:
        say(f"{method} cannot be measured on {name}: {error}")
        figures = Detection(*[float("nan")] * len(Detection._fields))
    return DetectionResult(method, name, figures, len(normal) + len(anomalous))
