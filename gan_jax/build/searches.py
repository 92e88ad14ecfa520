"""Objects of a latent search from the names in a config."""

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from gan_jax.build import networks as architectures
from gan_jax.build.methods import OBJECTIVES, OPTIMIZERS, Optimizer
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up, made
from gan_jax.data import degradations
from gan_jax.data.holes import HOLES, Hole
from gan_jax.losses import inpainting
from gan_jax.search.completion import Terms
from gan_jax.search.natural_gradient import natural_gradient

DESCENTS: Mapping[str, Optimizer] = {
    **OPTIMIZERS,
    "natural": lambda rate, settings: natural_gradient(
        rate, settings.beta1, settings.beta2
    ),
}
"""Optimisers of latents by name; some take too much memory for a network's weights."""

SCHEDULES: Mapping[str, Callable[[ConfigDict], optax.ScalarOrSchedule]] = {
    "constant": lambda search: search.optimizer.learning_rate,
    "cosine": lambda search: optax.cosine_decay_schedule(
        search.optimizer.learning_rate, search.iterations
    ),
    "stairs": lambda search: optax.exponential_decay(
        search.optimizer.learning_rate,
        search.optimizer.stair,
        search.optimizer.decay,
        staircase=True,
    ),
}
"""Schedules of a search's learning rate by name."""


def descent(search: ConfigDict) -> optax.GradientTransformation:
    """Return the optimiser of latents, with its schedule, that a search names.

    Raises:
        InputError: If a name is unknown.
    """
    settings = search.optimizer
    make: Optimizer = look_up(DESCENTS, "search.optimizer.name", settings.name)
    schedule = look_up(SCHEDULES, "search.optimizer.schedule", settings.schedule)
    return make(schedule(search), settings)


def support(config: ConfigDict) -> Callable[[Array], Array]:
    """Return the projection onto the support of a run's latent distribution."""
    if config.latent.prior == "uniform":
        return lambda latent: jnp.clip(latent, -1.0, 1.0)
    return lambda latent: latent


_OF_ENERGIES = ("trained", "energy")
"""Names of score losses for a critic whose output is an energy: low for real images."""


def score_loss(config: ConfigDict, key: str, name: str) -> inpainting.ScoreLoss:
    """Return the loss of a run's critic scores in a search, by name.

    Args:
        config: Config of the training run.
        key: Key of the config that holds the name.
        name: `trained`, the loss that the run's generator was trained with, or one of
            `inpainting.SCORE_LOSSES`.

    Raises:
        InputError: If the name is unknown, or does not fit the critic's output.
    """
    objective = look_up(OBJECTIVES, "objective", config.objective)(config)
    named = inpainting.SCORE_LOSSES
    if objective.paired:
        named = {form: inpainting.relative(loss) for form, loss in named.items()}
    table = {"trained": objective.generator, **named}
    loss: inpainting.ScoreLoss = look_up(table, key, name)
    energies = architectures.gives_energies(config)
    if (name not in _OF_ENERGIES) if energies else (name == "energy"):
        output = (
            "energies, low for real images" if energies else "scores, high for them"
        )
        raise InputError(
            f"--config.{key}={name} does not fit the objective {config.objective} of "
            f"the prior, whose critic gives {output}: give --config.{key}=trained"
        )
    return loss


def terms(
    prior: ConfigDict, settings: ConfigDict, key: str, real_score: float
) -> Terms:
    """Return the terms of the loss of a latent search.

    Raises:
        InputError: As `score_loss`, or if all weights are 0.
    """
    if not (settings.context or settings.gradient or settings.prior):
        raise InputError(
            f"--config.{key} has no addend left to minimise: give a number above 0 for "
            f"one of --config.{key}.context, .gradient and .prior"
        )
    return Terms(
        settings.context,
        settings.gradient,
        settings.prior,
        score_loss(prior, f"{key}.unlikely", settings.unlikely),
        settings.composite,
        settings.mean,
        real_score,
    )


def check(
    search: ConfigDict, settings: ConfigDict, prior: ConfigDict, key: str
) -> None:
    """Refuse names of a search that are unknown or do not fit its prior.

    Raises:
        InputError: If a name is unknown or does not fit; names the key.
    """
    descent(search)
    look_up(inpainting.WEIGHTS, f"{key}.weights", settings.weights)
    terms(prior, settings, key, math.nan)


def degradation(text: str) -> degradations.Degradation | None:
    """Return the degradation of names joined by commas, e.g. `grey,downsample:4`.

    An empty text is none.

    Raises:
        InputError: If a name is unknown, or the number after it makes no sense.
    """
    if not text:
        return None
    return degradations.chain(*made(degradations.DEGRADATIONS, "degradation", text))


def holes(text: str) -> list[Hole]:
    """Return the holes of names joined by commas, e.g. `center,random:0.8`.

    Raises:
        InputError: As `degradation`.
    """
    return made(HOLES, "masks", text)
