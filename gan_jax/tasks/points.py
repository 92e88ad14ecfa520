"""Generation of points of a known mixture, whose modes can be counted exactly."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from gan_jax.data.datasets.mixtures import Mixture, sample
from gan_jax.data.feed import read
from gan_jax.data.splits import Part
from gan_jax.evaluation.features import Embedding
from gan_jax.evaluation.modes import balance, mode_count, quality
from gan_jax.report.cards import diversity_card
from gan_jax.report.page import Card
from gan_jax.tasks import samples
from gan_jax.tasks.plates.planes import planes
from gan_jax.tasks.task import Model, Picture, Samples, Task, TaskEvaluation, TaskReport

_SHOWN = 2000  # points of a picture


class MixtureFeatures:
    """The feature network of points: their coordinates and their nearest mode."""

    def __init__(self, mixture: Mixture):
        """Measure the share of points whose nearest mode is the one that made them."""
        self._mixture = mixture
        drawn, drawn_modes = sample(mixture, 10_000, seed=2)
        odds = self(_pixels(drawn)).probabilities
        assert odds is not None
        _, *arrays = mixture
        contents = b"".join(np.asarray(array).tobytes() for array in arrays)
        self.description: Mapping[str, Any] = {
            "network": "mixture, its coordinates as features",
            "sha256": hashlib.sha256(contents).hexdigest(),
            "accuracy": float((odds.argmax(axis=1) == drawn_modes).mean()),
        }

    def __call__(self, images: Samples) -> Embedding:
        """Return coordinates, and the probability that each mode made them."""
        points = _coordinates(images).astype(np.float64)
        offsets = points[:, None] - self._mixture.centres[None]
        squares = np.square(offsets).sum(axis=-1) / self._mixture.deviation**2
        odds = np.exp((squares.min(axis=1, keepdims=True) - squares) / 2)
        odds *= self._mixture.weights.reshape(1, -1)
        return Embedding(points, odds / odds.sum(axis=1, keepdims=True))


def task(mixture: Mixture) -> Task:
    """Return the task of generating the points of a mixture."""
    _, centres, weights, deviation = mixture
    evaluation = TaskEvaluation(
        measures={
            "modes": lambda points, _: mode_count(
                _coordinates(points), centres, weights, deviation
            ),
            "quality": lambda points, _: quality(
                _coordinates(points), centres, deviation
            ),
            "balance": lambda points, _: balance(
                _coordinates(points), centres, weights
            ),
        },
        feature_network=MixtureFeatures(mixture),
        criterion=(),  # FID compares moments, which say little about modes
    )
    report = TaskReport(
        plate=_plate,
        cards=lambda metrics: _cards(mixture, metrics),
        caption=(
            "Real points and generated ones on the critic's scores, from dark (low) to "
            "bright (high)."
        ),
    )
    return Task(samples.present, points=True, evaluation=evaluation, report=report)


def _plate(model: Model, part: Part, key: PRNGKeyArray) -> Picture:
    def score(points: Float[np.ndarray, "count 2"]) -> Float[np.ndarray, " count"]:
        return model.score(_pixels(points)).reshape(-1)

    real = _coordinates(np.asarray(read(part["real"], np.arange(_SHOWN)).image))
    generated = _coordinates(model.sample(key, None, _SHOWN))
    return planes(real, {"generated": (generated, score)}, score)


def _cards(mixture: Mixture, metrics: Mapping[str, Any]) -> Sequence[Card]:
    count = len(mixture.weights)
    modes = metrics.get("modes")
    return [
        Card("Modes", modes, f"of {count}", None if modes is None else modes == count),
        Card(
            "Quality", metrics.get("quality"), "within 3 sigma of a mode; true: 0.989"
        ),
        Card("Balance", metrics.get("balance"), "1 = every mode has its true share"),
        diversity_card("Diversity", "diversity", metrics),
    ]


def _coordinates(images: Samples) -> Float[np.ndarray, "count 2"]:
    return images.reshape(len(images), 2)


def _pixels(points: Float[np.ndarray, "count 2"]) -> Samples:
    return points.reshape(-1, 1, 1, 2).astype(np.float32)
