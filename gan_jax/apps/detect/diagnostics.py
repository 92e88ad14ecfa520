"""Anomaly scores along noise levels, between latents, and through training."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import Images8, normal_images
from gan_jax.apps.detect.detector import CriticScorer, Scorer, critic_scale
from gan_jax.apps.detect.history import Snapshots
from gan_jax.apps.train.setup import Run
from gan_jax.data.feed import to_float
from gan_jax.evaluation.detection import Scores
from gan_jax.networks.compilation import compiled
from gan_jax.runs.inference import taken
from gan_jax.runs.prior import Prior

_NOISE = tuple(np.linspace(0, 1, 11))  # standard deviations, as shares of the range
_PAIRS, _STEPS = 200, 11  # pairs of latents, and images on the line between two
_TRACED = 500  # images of each kind


class ScoreCurve(NamedTuple):
    """Anomaly scores of many images at each place along a line."""

    at: Float[np.ndarray, " places"]
    scores: Float[np.ndarray, "places images"]


class HistoryScores(NamedTuple):
    """Anomaly scores of normal images and anomalies by the critics of a history."""

    steps: list[int]
    normal: Float[np.ndarray, "snapshots images"]
    anomalous: Float[np.ndarray, "snapshots images"]
    mean_of_scores: Scores
    """Weighted mean over the critics, for both kinds of images."""
    score_of_mean: Scores
    """Score by the critic of averaged weights, for the same images."""


class Diagnostics(NamedTuple):
    """What a detector says along three lines."""

    noise: ScoreCurve
    """Normal images with more and more noise."""
    interpolation: ScoreCurve
    """Generated images between two latents."""
    history: HistoryScores


def diagnose(
    config: ConfigDict,
    run: Run,
    prior: Prior,
    snapshots: Snapshots,
    detector: Scorer,
    critics: CriticScorer,
    anomalous: Images8,
) -> Diagnostics:
    """Return the diagnostics of a detector, on one kind of anomalies.

    `critics` scores by the GAN's critics.
    """
    return Diagnostics(
        noise_scores(detector, run, config.seed),
        interpolation_scores(detector, prior, config.seed),
        history_scores(config, run, prior, snapshots, critics, anomalous),
    )


def noise_scores(detector: Scorer, run: Run, seed: int) -> ScoreCurve:
    """Return scores of normal images in [-1, 1] under more and more noise."""
    images = np.asarray(to_float(normal_images(run, "test", _TRACED)))
    draw = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    scores = [
        detector((images + 2 * level * draw).clip(-1, 1).astype(np.float32))
        for level in _NOISE
    ]
    return ScoreCurve(np.array(_NOISE), np.stack(scores))


def interpolation_scores(detector: Scorer, prior: Prior, seed: int) -> ScoreCurve:
    """Return scores of generated images on straight lines between two latents.

    The middle of an arc between two normal latents has the distribution of its ends,
    and its mean score could not differ.
    """
    keys = jax.random.split(jax.random.key(seed), 2)
    first, second = (prior.method.latent(key, _PAIRS) for key in keys)
    generate = compiled(prior.method.generator.apply)
    places = np.linspace(0, 1, _STEPS)
    scores = []
    for place in places:
        latents = (1 - place) * first + place * second
        images: Any = generate(prior.networks.generator, latents)
        scores.append(detector(np.asarray(images)))
    return ScoreCurve(places, np.stack(scores))


def history_scores(
    config: ConfigDict,
    run: Run,
    prior: Prior,
    snapshots: Snapshots,
    critics: CriticScorer,
    anomalous: Images8,
) -> HistoryScores:
    """Return scores of images by every critic that the run has kept."""
    scale = critic_scale(prior)
    normal = normal_images(run, "test", _TRACED)
    both = np.concatenate([normal, anomalous[:_TRACED]])
    scores_of_all = np.stack(
        [
            critics.anomaly_scorer(taken(snapshots.critics, at), scale)(both)
            for at in range(len(snapshots.steps))
        ]
    )
    beta = config.detector.beta
    return HistoryScores(
        snapshots.steps,
        scores_of_all[:, : len(normal)],
        scores_of_all[:, len(normal) :],
        snapshots.critic_weights(beta) @ scores_of_all,
        critics.anomaly_scorer(snapshots.mean_critic(beta), scale)(both),
    )


def diagnostic_metrics(diagnostics: Diagnostics) -> dict[str, float]:
    """Return the metrics of the diagnostics by name.

    `noise_rank_correlation` is Spearman's correlation of mean score and noise,
    `interpolation_middle` and `interpolation_ends` are mean scores on the lines between
    latents, and `mean_critic_correlation` is the correlation of the mean critic's
    scores with the mean of the critics' scores.
    """
    from scipy.stats import spearmanr

    noise, path, history = diagnostics
    rising = spearmanr(noise.at, noise.scores.mean(axis=1)).statistic
    agreeing = np.corrcoef(history.mean_of_scores, history.score_of_mean)[0, 1]
    return {
        "noise_rank_correlation": float(rising),
        "interpolation_middle": float(path.scores[len(path.at) // 2].mean()),
        "interpolation_ends": float(path.scores[[0, -1]].mean()),
        "mean_critic_correlation": float(agreeing),
    }
