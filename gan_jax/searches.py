"""Where a name in the config of a search becomes an object, as in `recipe`."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from gan_jax.data import degradations
from gan_jax.data.holes import HOLES, Hole
from gan_jax.losses import inpainting
from gan_jax.names import look_up, made
from gan_jax.recipe import OBJECTIVES, OPTIMIZERS, Optimizer
from gan_jax.search.descent import natural_gradient

DESCENTS: Mapping[str, Optimizer] = {
    **OPTIMIZERS,
    "natural": lambda rate, settings: natural_gradient(
        rate, settings.beta1, settings.beta2
    ),
}
"""Of latents; all of a network's parameters are too many for some."""

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
"""Of a search's learning rate."""


def descent(search: ConfigDict) -> optax.GradientTransformation:
    """Make the optimiser of latents, with its schedule, that a search names."""
    settings = search.optimizer
    make: Optimizer = look_up(DESCENTS, "search.optimizer.name", settings.name)
    schedule = look_up(SCHEDULES, "search.optimizer.schedule", settings.schedule)
    return make(schedule(search), settings)


def support(config: ConfigDict) -> Callable[[Array], Array]:
    """Give the projection onto the support of a run's prior of latents."""
    if config.latent.prior == "uniform":
        return lambda latent: jnp.clip(latent, -1.0, 1.0)
    return lambda latent: latent


def unlikely(config: ConfigDict) -> Callable[..., Array]:
    """Give what a score costs: the loss that a run's generator was trained with.

    A relativistic pair has no score of an image alone: the logistic loss stands in.
    """
    if config.objective == "relativistic":
        return inpainting.PRIORS["nonsaturating"]
    objective = look_up(OBJECTIVES, "objective", config.objective)(config)
    return objective.generator


def cost_of_scores(config: ConfigDict, key: str, name: str) -> Callable[..., Array]:
    """Give what a score costs, by name; `trained`: as a run's generator was trained.

    Raises:
        InputError: the name is unknown.
    """
    if name == "trained":
        return unlikely(config)
    cost: Callable[..., Array] = look_up(inpainting.PRIORS, key, name)
    return cost


def degradation(text: str) -> degradations.Degradation:
    """Make a degradation from names joined by commas, e.g. `grey,downsample:4`.

    Raises:
        InputError: a name is unknown, or what follows it makes no sense.
    """
    return degradations.chain(*made(degradations.DEGRADATIONS, "degradation", text))


def holes(text: str) -> list[Hole]:
    """Make holes from names joined by commas, e.g. `center,random:0.8`.

    Raises:
        InputError: as `degradation`.
    """
    return made(HOLES, "masks", text)
