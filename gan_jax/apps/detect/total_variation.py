"""D_TV: a critic that tells normal images from what generators made on their way.

Chatillon & Ballester 2019 (arXiv 1912.11843). It is the critic's own update with the
history's images as the fakes, the total variation as the objective, and a smooth bound.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.apps.detect.history import History, sample
from gan_jax.data.feed import ImagesByRole
from gan_jax.losses import anomaly
from gan_jax.losses.adversarial import Objective
from gan_jax.training.method import LossInputs, Method, Scores, Term
from gan_jax.training.population import Form
from gan_jax.training.state import Player, Variables
from gan_jax.training.updates import Log, critic_update

Numbers = TypeVar("Numbers", Array, np.ndarray)


class Scale(NamedTuple):
    """What brings a critic's scores into [-1, 1], high for normal images.

    A Wasserstein critic is known up to a constant, and its slope is held at 1 whatever
    the distance: its scores lie anywhere.
    """

    centre: float = 0.0
    half: float = 1.0
    """Negative for energies, which are low for normal images."""

    def __call__(self, scores: Numbers) -> Numbers:
        """Scale scores."""
        scaled: Numbers = (scores - self.centre) / self.half
        return scaled


def scale_of(
    real_scores: Float[Array | np.ndarray, "real"],
    fake_scores: Float[Array | np.ndarray, "fake"],
) -> Scale:
    """Return the scale under which most of two sets of scores lie within the bound.

    It is no part of the paper, whose bound penalty alone brings scores into [-1, 1].
    """
    means = real_scores.mean(), fake_scores.mean()
    spreads = real_scores.std(), fake_scores.std()
    half = max(float(abs(means[0] - means[1]) / 2), *map(float, spreads)) or 1.0
    return Scale(float(means[0] + means[1]) / 2, half)


def scale_of_energies(margin: float) -> Scale:
    """Return the scale of energies, which range from 0 to the margin: D = 1 - 2 E / m.

    So scaled an energy-based critic is a D_TV already (Arjovsky et al. 2017, arXiv
    1701.07875, appendix D).
    """
    return Scale(margin / 2, -margin / 2)


class DetectorState(NamedTuple):
    """What its training carries from step to step."""

    step: Int[Array, ""]
    critic: Player
    key: PRNGKeyArray
    """Constant: the randomness of a step is `fold_in(key, step)`."""


def initial_detector(
    method: Method, critic: Variables, key: PRNGKeyArray
) -> DetectorState:
    """Begin with a critic's variables."""
    statistics = dict(critic)
    parameters = statistics.pop("params")
    optimizer = method.critic_optimizer.init(parameters)
    return DetectorState(jnp.int32(0), Player(parameters, statistics, optimizer), key)


def recipe_of_detector(
    method: Method, optimizer: optax.GradientTransformation, bound: float, scale: Scale
) -> Method:
    """Turn the recipe of a GAN into that of its D_TV.

    Args:
        method: by which the generators and critics were trained.
        optimizer: of D_TV.
        bound: lambda_b, the weight of the squared distance to [-1, 1].
        scale: of scores.
    """

    def beyond(inputs: LossInputs) -> Scores:
        sides = (inputs.real_scores, inputs.fake_scores)
        real, fake = (anomaly.bound_penalty(scale(scores)) for scores in sides)
        return real + fake

    def critic(real_scores: Scores, fake_scores: Scores) -> Scores:
        return anomaly.total_variation.critic(scale(real_scores), scale(fake_scores))

    return method._replace(
        objective=Objective(critic, anomaly.total_variation.generator),
        critic_optimizer=optimizer,
        critic_terms={"bound": Term(bound, beyond)},
        critic_projection=lambda parameters: parameters,
    )


def make_detector_step(
    method: Method,
    images_of_step: Callable[[PyTree, Int[Array, ""]], ImagesByRole],
    groups: int,
    form: Form,
) -> Callable[[DetectorState, PyTree, History], tuple[DetectorState, Log]]:
    """Make the step: one critic update on normal images and the history's.

    Args:
        method: as `recipe_of_detector` gives it.
        images_of_step: `batch(arrays, step)` of the feed.
        groups: times t in a batch.
        form: how their generators are gone through.

    Returns:
        `step(state, arrays, history) -> (state, log)`, pure and compilable.
    """
    weights = {
        name: jnp.float32(term.weight) for name, term in method.critic_terms.items()
    }

    def step(
        state: DetectorState, arrays: PyTree, history: History
    ) -> tuple[DetectorState, Log]:
        keys = jax.random.split(jax.random.fold_in(state.key, state.step), 4)
        batch = method.present(keys[0], images_of_step(arrays, state.step))
        latents = method.latent(keys[1], len(batch.real))
        fake = sample(method.generator, history, latents, keys[2], groups, form)
        critic, log = critic_update(method, state.critic, weights, batch, fake, keys[3])
        return DetectorState(state.step + 1, critic, state.key), log

    return step
