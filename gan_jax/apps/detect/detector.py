"""The detector D_TV of a run: how it scores images, and what of it is kept."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.detect.total_variation import Scale
from gan_jax.build import methods, tasks
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten, nested
from gan_jax.data.feed import to_float
from gan_jax.networks.compilation import compiled
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior, blank_state, read_run
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Method
from gan_jax.training.state import Variables

_FOLDER, _CONFIG = "detector", "gan.json"
CHUNK = 250  # images scored at once
QUANTILES = 1001  # of the scores of validation images, which a detector remembers


class Detector(NamedTuple):
    """What scores images."""

    critic: Variables
    scale: Scale
    quantiles: Float[Array | np.ndarray, "quantiles"]
    """Of the scores of validation images, from the lowest to the highest."""

    def percentiles(
        self, scores: Float[np.ndarray, " images"]
    ) -> Float[np.ndarray, " images"]:
        """Return the percentage of validation images that score lower."""
        places, first = np.unique(np.asarray(self.quantiles), return_index=True)
        percentages = 100 * first / (len(self.quantiles) - 1)
        within = np.interp(scores, places, percentages)
        found: np.ndarray = np.where(scores > places[-1], 100.0, within)
        return found

    def threshold(self, false_positive_rate: float) -> float:
        """Return the score above which that share of validation images lies."""
        place = 1 - false_positive_rate
        return float(np.quantile(np.asarray(self.quantiles), place))


class Detection(NamedTuple):
    """What a run of `detect` is used as."""

    workdir: Path
    config: ConfigDict
    summary: Mapping[str, Any]
    gan: ConfigDict
    """Of the GAN that the critic is of."""
    method: Method
    """Of the same."""
    detector: Detector
    channels: int


def anomaly(
    method: Method,
    scale: Scale,
    critic: Variables,
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Return how anomalous a critic finds images in [-1, 1], inside a compiled program.

    What `Scorer.of` gives for many images, whatever their number.
    """
    scores: Any = method.critic.apply(critic, images)
    return -scale(scores.reshape(scores.shape[0], -1).mean(axis=1))


class Scorer:
    """A critic as a function of many images, in chunks of one compiled program."""

    def __init__(self, method: Method):
        """Prepare."""
        self._apply = compiled(method.critic.apply)

    def __call__(
        self, critic: Variables, images: np.ndarray
    ) -> Float[np.ndarray, " count"]:
        """Return a critic's raw scores of images in [-1, 1], or of 8 bits."""
        scores: np.ndarray = in_chunks(
            lambda at: self._apply(critic, to_float(images[at])), len(images), CHUNK
        )
        mean: np.ndarray = scores.reshape(len(images), -1).mean(axis=1)
        return mean

    def of(
        self, critic: Variables, scale: Scale
    ) -> Callable[[np.ndarray], Float[np.ndarray, " count"]]:
        """Return how anomalous a critic finds images: minus its scaled score."""
        return lambda images: -scale(self(critic, images))


def plain_scale(prior: Prior) -> Scale:
    """Return the scale of a run's own critics: scores, or negated energies."""
    return Scale(0.0, -1.0 if architectures.gives_energies(prior.config) else 1.0)


def keep_detector(detector: Detector, prior: Prior, workdir: Path) -> None:
    """Leave a detector for later use: its arrays, and what they are of."""
    files.write_json(workdir / _CONFIG, flatten(prior.config))
    with Checkpoints(workdir / _FOLDER, keep=None) as kept:
        for step in kept.steps:
            kept.delete(step)
        kept.save(0, _arrays(detector))


def read_gan_config(workdir: Path) -> ConfigDict:
    """Read the config of the GAN that a detector's critic is of.

    Raises:
        InputError: it is not there any more.
    """
    try:
        written = json.loads((workdir / _CONFIG).read_text())
        config = ConfigDict(nested(written)).lock()
        tasks.task(config)
        return config
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(_damaged(workdir, error)) from None


def describe_run(workdir: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return in a summary which detector was used."""
    return {
        "workdir": str(workdir),
        "config_name": summary["config_name"],
        "parameters_sha256": summary["parameters_sha256"],
    }


def open_detection(path: str, commands: str) -> Detection:
    """Open a run of `detect` for use.

    Args:
        path: its workdir.
        commands: what to run instead where there is none.

    Raises:
        InputError: there is no such run, or it is not complete, or it is damaged.
    """
    workdir, config, summary = read_run(path, "prior", "detect", commands)
    gan = read_gan_config(workdir)
    channels = int(summary["dataset"]["shape"][-1])
    method = methods.method(gan, tasks.task(gan), channels)
    like = jax.eval_shape(lambda: blank_state(gan, method, channels).critic.variables)
    detector = open_detector(workdir, like)
    return Detection(workdir, config, summary, gan, method, detector, channels)


def open_detector(workdir: Path, like: Variables) -> Detector:
    """Open what `keep_detector` left.

    Args:
        workdir: of the run.
        like: the variables of a critic of its kind.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    blank = Detector(like, Scale(), np.zeros(QUANTILES, np.float32))
    try:
        with Checkpoints(workdir / _FOLDER, keep=None) as kept:
            found = kept.restore(_arrays(blank), say)
    except InputError as error:
        raise InputError(_damaged(workdir, error)) from None
    if found is None:
        raise InputError(f"prior {workdir} holds no detector: run it again")
    scale = Scale(*map(float, found["scale"]))
    return Detector(found["critic"], scale, np.asarray(found["quantiles"]))


def _damaged(workdir: Path, error: Exception) -> str:
    return f"prior {workdir} holds a damaged detector ({error}): run it again"


def _arrays(detector: Detector) -> dict[str, Any]:
    return {
        "critic": detector.critic,
        "scale": jnp.array(detector.scale, jnp.float32),
        "quantiles": jnp.asarray(detector.quantiles, jnp.float32),
    }
