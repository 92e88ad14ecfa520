"""The critic that a detector starts from, and the scale of its scores."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import normal_images
from gan_jax.apps.detect.history import Snapshots
from gan_jax.apps.detect.total_variation import Scale, energy_scale, fit_scale
from gan_jax.apps.train.setup import Run
from gan_jax.build import methods
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.evaluation.outliers import leading_components
from gan_jax.networks import perceptron
from gan_jax.runs.inference import taken
from gan_jax.runs.prior import Prior
from gan_jax.training.state import Variables
from gan_jax.training.step import initial_state


class Start(NamedTuple):
    """A choice of a detector's initial critic."""

    begin: Callable[[Run, Prior, Snapshots, float], Variables]
    """`begin(run, prior, snapshots, beta)` returns the initial critic's variables;
    `beta` is the rate at which the weights of the saved critics fall in their mean."""
    new: bool = False
    """Whether it is a new network instead of one of the GAN's critics."""
    check: Callable[[str, ConfigDict, Run], None] = lambda critic, network, run: None
    """`check(critic, network, run)` raises an `InputError` for kinds of critics that it
    cannot start from."""


def _fresh(run: Run, prior: Prior, snapshots: Snapshots, beta: float) -> Variables:
    key = jax.random.fold_in(jax.random.key(run.config.seed), 1_000_019)
    batch = run.feed.batch(run.feed.load(0, 1, 1), jnp.int32(0))
    return initial_state(prior.method, key, batch).critic.variables


def _components(run: Run, prior: Prior, snapshots: Snapshots, beta: float) -> Variables:
    """Return a linear autoencoder onto principal components of normal images."""
    fresh = _fresh(run, prior, snapshots, beta)
    code, normal = fresh["params"]["Dense_0"]["bias"].size, normal_images(run, "train")
    fitted = leading_components(code, normal, run.config.seed)
    centre, axes = 2 * fitted.mean_ - 1, fitted.components_  # of values in [-1, 1]
    parameters = perceptron.between_components(
        *(jnp.asarray(array, jnp.float32) for array in (centre, axes))
    )
    return {**fresh, "params": parameters}


def _check_components(critic: str, network: ConfigDict, run: Run) -> None:
    if critic != "linear_autoencoder":
        raise InputError(
            f"--config.detector.start components makes no {critic}: give "
            "--config.detector.critic=linear_autoencoder"
        )
    source = run.parts["train"]["real"]
    most = min(len(source), int(np.prod(source.shape)))
    if architectures.linear_code(network) > most:
        raise InputError(
            f"--config.detector.start components: {len(source)} images of "
            f"{source.shape} have {most} at most; give a smaller --config.network.code"
        )


STARTS: Mapping[str, Start] = {
    "mean": Start(lambda run, prior, snapshots, beta: snapshots.mean_critic(beta)),
    "last": Start(lambda run, prior, snapshots, beta: taken(snapshots.critics, -1)),
    "scratch": Start(_fresh, new=True),
    "components": Start(_components, new=True, check=_check_components),
}
"""Starts by the names of `detector.start`."""


def detector_prior(settings: ConfigDict, prior: Prior, gan: ConfigDict) -> Prior:
    """Return the prior with a critic of the detector's kind.

    The `network` of the training config `gan` describes a new critic.
    """
    if not STARTS[settings.start].new:
        return prior
    with (config := gan.copy_and_resolve_references()).unlocked():
        config.network.critic = settings.critic or config.network.critic
        # Any objective that fits the critic's output: only the critic is used.
        config.objective = "ebgan" if architectures.gives_energies(config) else "wgan"
    critic = methods.method(config, prior.task, prior.channels).critic
    return prior._replace(config=config, method=prior.method._replace(critic=critic))


def detector_scale(
    config: ConfigDict,
    settings: ConfigDict,
    real_scores: Float[np.ndarray, "real"],
    fake_scores: Float[np.ndarray, "fake"],
) -> Scale:
    """Return the scale of a detector's scores, in training and in use.

    Args:
        config: Config of the run that the detector's critic belongs to.
        settings: `detector` of a config.
        real_scores: Scores of normal images by the initial critic.
        fake_scores: Scores of the history's images by the initial critic.
    """
    if architectures.gives_energies(config):
        return energy_scale(settings.margin)
    if settings.rescale and not STARTS[settings.start].new:
        return fit_scale(real_scores, fake_scores)
    return Scale()


def check_detector(config: ConfigDict, run: Run) -> None:
    """Raise for settings of a detector that contradict each other or the data.

    Raises:
        InputError: If they do; the message names the key.
    """
    settings, groups = config.detector, config.detector.groups
    start: Start = look_up(STARTS, "detector.start", settings.start)
    critic = settings.critic or config.network.critic
    look_up(architectures.CRITICS, "detector.critic", critic)
    if settings.critic and not start.new:
        new = " or ".join(name for name, choice in STARTS.items() if choice.new)
        raise InputError(
            f"--config.detector.critic {critic} is a new network, and "
            f"--config.detector.start {settings.start} one that was trained: start "
            f"from {new}"
        )
    kind = critic if start.new else run.config.network.critic
    if not settings.rescale and kind in architectures.ENERGY_CRITICS:
        raise InputError(
            f"--config.detector.rescale False leaves scores as they are, and a {kind} "
            "has energies, which become scores by --config.detector.margin: leave it "
            "True, or train a critic of scores (variant published)"
        )
    start.check(critic, config.network, run)
    batch = run.config.batch_size
    if batch % groups:
        raise InputError(
            f"--config.detector.groups {groups} do not divide batch_size {batch}: "
            "give as many times t as share its images evenly"
        )
