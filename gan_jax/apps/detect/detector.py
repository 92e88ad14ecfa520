"""The detector D_TV of a run: its scores, and how it is saved and opened."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.detect.total_variation import Scale
from gan_jax.build import methods, tasks
from gan_jax.build import networks as architectures
from gan_jax.config.checks import read_config
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.feed import to_float
from gan_jax.evaluation.detection import Scores
from gan_jax.networks.compilation import compiled
from gan_jax.report import files
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior, blank_state, read_arrays, read_run, unfit
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Method
from gan_jax.training.state import Variables

_FOLDER, _CONFIG = "detector", "gan.json"
_CHUNK = 250  # images scored at once
QUANTILES = 1001  # scores of validation images that a detector keeps

Scorer: TypeAlias = Callable[[np.ndarray], Scores]
"""A function from images, 8-bit or in [-1, 1], to their anomaly scores."""


class Detector(NamedTuple):
    """A critic, the scale of its scores, and the scores of validation images."""

    critic: Variables
    scale: Scale
    quantiles: Float[Array | np.ndarray, "quantiles"]
    """Quantiles of the scores of validation images, ascending."""

    def percentiles(
        self, scores: Float[np.ndarray, " images"]
    ) -> Float[np.ndarray, " images"]:
        """Return the percentage of validation images with a lower score."""
        places, first = np.unique(np.asarray(self.quantiles), return_index=True)
        percentages = 100 * first / (len(self.quantiles) - 1)
        within = np.interp(scores, places, percentages)
        percentiles: np.ndarray = np.where(scores > places[-1], 100.0, within)
        return percentiles

    def threshold(self, false_positive_rate: float) -> float:
        """Return the score above which that share of validation images lies."""
        place = 1 - false_positive_rate
        return float(np.quantile(np.asarray(self.quantiles), place))


class DetectorRun(NamedTuple):
    """A run of `detect`, opened for use."""

    workdir: Path
    config: ConfigDict
    summary: Mapping[str, Any]
    gan: ConfigDict
    """Training config that describes the critic."""
    method: Method
    """Method of that config."""
    detector: Detector
    channels: int


def anomaly_scores(
    method: Method,
    scale: Scale,
    critic: Variables,
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Return the anomaly scores of images in [-1, 1], for use in a compiled function.

    They equal those of `CriticScorer.anomaly_scorer`, whatever the number of images.
    """
    scores: Any = method.critic.apply(critic, images)
    return -scale(scores.reshape(scores.shape[0], -1).mean(axis=1))


class CriticScorer:
    """Scores of many images by critics of one architecture, compiled once."""

    def __init__(self, method: Method):
        """Compile the critic of a method."""
        self._apply = compiled(method.critic.apply)

    def __call__(
        self, critic: Variables, images: np.ndarray
    ) -> Float[np.ndarray, " count"]:
        """Return a critic's raw scores of images, 8-bit or in [-1, 1]."""
        scores: np.ndarray = in_chunks(
            lambda at: self._apply(critic, to_float(images[at])), len(images), _CHUNK
        )
        mean: np.ndarray = scores.reshape(len(images), -1).mean(axis=1)
        return mean

    def anomaly_scorer(self, critic: Variables, scale: Scale) -> Scorer:
        """Return the anomaly scores of a critic: its negated scaled scores."""
        return lambda images: -scale(self(critic, images))


def critic_scale(prior: Prior) -> Scale:
    """Return the scale of a GAN's own critics: it negates energies."""
    return Scale(0.0, -1.0 if architectures.gives_energies(prior.config) else 1.0)


def save_detector(detector: Detector, prior: Prior, workdir: Path) -> None:
    """Write a detector's arrays, and the config that describes its critic."""
    files.write_json(workdir / _CONFIG, flatten(prior.config))
    with Checkpoints(workdir / _FOLDER, keep=None) as checkpoints:
        checkpoints.replace(0, _arrays(detector))


def describe_detector(run: DetectorRun) -> dict[str, Any]:
    """Return what a summary says of the detector that was used."""
    return {
        "workdir": str(run.workdir),
        "config_name": run.summary["config_name"],
        "parameters_sha256": run.summary["parameters_sha256"],
    }


def open_detector_run(
    path: str, commands: str, memory: int | None = None
) -> DetectorRun:
    """Open a run of `detect` for use; nothing of it is changed.

    Args:
        path: Workdir of the run.
        commands: Commands that train a detector, for the error's advice.
        memory: Bytes that the detector may take; None = those of the machine.

    Raises:
        InputError: If there is no such run, or it is incomplete or damaged.
    """
    workdir, config, summary = read_run(path, "prior", "detect", commands)
    channels = summary["dataset"]["shape"][-1]
    try:
        gan = read_config(files.read_json(workdir / _CONFIG), "train")
        method = methods.method(gan, tasks.task(gan), channels)
        blank = jax.eval_shape(
            lambda: blank_state(gan, tasks.task(gan), method, channels)
        )
    except MemoryError:
        raise
    except Exception as error:  # whatever another version's config leads to
        raise InputError(unfit("prior", workdir, error)) from None
    detector = open_detector(workdir, blank.critic.variables, memory)
    return DetectorRun(workdir, config, summary, gan, method, detector, channels)


def open_detector(
    workdir: Path, like: Variables, memory: int | None = None
) -> Detector:
    """Read the arrays of `save_detector`.

    Args:
        workdir: Workdir of the run.
        like: Variables of a critic of the same architecture; only shapes are read.
        memory: Bytes that the detector may take; None = those of the machine.

    Raises:
        InputError: If there is no detector, it needs more memory or cannot be read.
    """
    blank = Detector(like, Scale(), np.zeros(QUANTILES, np.float32))
    arrays = read_arrays(workdir, _FOLDER, _arrays(blank), memory)
    if arrays is None:
        raise InputError(f"prior {workdir} holds no detector: run it again")
    scale = Scale(*map(float, arrays["scale"]))
    return Detector(arrays["critic"], scale, np.asarray(arrays["quantiles"]))


def _arrays(detector: Detector) -> dict[str, Any]:
    return {
        "critic": detector.critic,
        "scale": jnp.array(detector.scale, jnp.float32),
        "quantiles": jnp.asarray(detector.quantiles, jnp.float32),
    }
