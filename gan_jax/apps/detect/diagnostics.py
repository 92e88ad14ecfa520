"""How scores change along lines: with noise, between latents, through training."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.detect.baselines import Scoring
from gan_jax.apps.detect.data import Images8, normal_images
from gan_jax.apps.detect.detector import Scorer, plain_scale
from gan_jax.apps.detect.report import Course, CriticsScores
from gan_jax.apps.detect.snapshots import Snapshots
from gan_jax.apps.train.setup import Run
from gan_jax.data.feed import to_float
from gan_jax.networks.compilation import compiled
from gan_jax.runs.inference import taken
from gan_jax.runs.prior import Prior

_NOISE = tuple(np.linspace(0, 1, 11))  # standard deviations, of the range of 2
_PAIRS, _STEPS = 200, 11  # latents that are joined, images on the way
_TRACED = 500  # images of each kind that are scored along a line


def with_noise(detector: Scoring, this: Run, seed: int) -> Course:
    """Score normal images with more and more noise added, in [-1, 1]."""
    images = np.asarray(to_float(normal_images(this, "test", _TRACED)))
    draw = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    scores = [
        detector((images + 2 * level * draw).clip(-1, 1).astype(np.float32))
        for level in _NOISE
    ]
    return Course(np.array(_NOISE), np.stack(scores))


def between_latents(detector: Scoring, prior: Prior, seed: int) -> Course:
    """Score what lies between generated images, on lines between their latents.

    On straight lines: the middle of an arc between two latents of a normal prior is
    distributed as its ends are, and could not score otherwise in the mean.
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
    return Course(places, np.stack(scores))


def through_history(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    score: Scorer,
    anomalous: Images8,
) -> CriticsScores:
    """Score images by every critic that the run has kept."""
    scale = plain_scale(prior)
    normal = normal_images(this, "test", _TRACED)
    both = np.concatenate([normal, anomalous[:_TRACED]])
    every = np.stack(
        [
            score.of(taken(snapshots.critics, at), scale)(both)
            for at in range(len(snapshots.steps))
        ]
    )
    beta = config.detector.beta
    mean = snapshots.mean_critic(beta)
    return CriticsScores(
        snapshots.steps,
        every[:, : len(normal)],
        every[:, len(normal) :],
        snapshots.critic_weights(beta) @ every,
        score.of(mean, scale)(both),
    )


def trends(noise: Course, path: Course, history: CriticsScores) -> dict[str, float]:
    """Return the figures of what is drawn along lines, by name.

    `noise_rank_correlation`, Spearman's of mean score and noise; the mean scores in the
    middle of paths and at their ends; and the correlation of the mean critic with the
    mean of the critics.
    """
    from scipy.stats import spearmanr

    rising = spearmanr(noise.at, noise.scores.mean(axis=1)).statistic
    agreeing = np.corrcoef(history.mean_of_scores, history.score_of_mean)[0, 1]
    return {
        "noise_rank_correlation": float(rising),
        "interpolation_middle": float(path.scores[len(path.at) // 2].mean()),
        "interpolation_ends": float(path.scores[[0, -1]].mean()),
        "mean_critic_correlation": float(agreeing),
    }
