"""Training of D_TV, a critic that tells normal images from those of a history.

Chatillon & Ballester 2019 (arXiv 1912.11843). It is a critic update with the history's
images as the fakes, the total variation as the objective, and a smooth bound.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.apps.detect.history import History, sample_history
from gan_jax.data.feed import ImagesByRole
from gan_jax.losses import anomaly
from gan_jax.losses.adversarial import Objective
from gan_jax.training.method import LossInputs, Method, Scores, Term
from gan_jax.training.population import Form
from gan_jax.training.state import Player, Variables
from gan_jax.training.updates import Log, critic_update

Numbers = TypeVar("Numbers", Array, np.ndarray)


class Scale(NamedTuple):
    """An affine map of a critic's scores into [-1, 1], high for normal images.

    A Wasserstein critic is determined up to a constant, and its slope is held at 1
    whatever the distance: its scores may lie anywhere.
    """

    centre: float = 0.0
    half: float = 1.0
    """Half the width of the range; negative for energies, low for normal images."""

    def __call__(self, scores: Numbers) -> Numbers:
        """Return scaled scores."""
        scaled: Numbers = (scores - self.centre) / self.half
        return scaled


def fit_scale(
    real_scores: Float[Array | np.ndarray, "real"],
    fake_scores: Float[Array | np.ndarray, "fake"],
) -> Scale:
    """Return the scale that brings most of two sets of scores into [-1, 1].

    It is no part of the paper, where the bound penalty alone does so.
    """
    means = real_scores.mean(), fake_scores.mean()
    spreads = real_scores.std(), fake_scores.std()
    half = max(float(abs(means[0] - means[1]) / 2), *map(float, spreads)) or 1.0
    return Scale(float(means[0] + means[1]) / 2, half)


def energy_scale(margin: float) -> Scale:
    """Return the scale of energies, which range from 0 to the margin: D = 1 - 2 E / m.

    With it an energy-based critic is a D_TV (Arjovsky et al. 2017, arXiv 1701.07875,
    appendix D).
    """
    return Scale(margin / 2, -margin / 2)


class DetectorState(NamedTuple):
    """State of D_TV's training."""

    step: Int[Array, ""]
    critic: Player
    key: PRNGKeyArray
    """Constant: the randomness of a step is `fold_in(key, step)`."""


def initial_detector_state(
    method: Method, critic: Variables, key: PRNGKeyArray
) -> DetectorState:
    """Return the state of step 0 for a critic's variables."""
    statistics = dict(critic)
    parameters = statistics.pop("params")
    optimizer = method.critic_optimizer.init(parameters)
    return DetectorState(jnp.int32(0), Player(parameters, statistics, optimizer), key)


def detector_method(
    method: Method, optimizer: optax.GradientTransformation, bound: float, scale: Scale
) -> Method:
    """Return the method that trains the D_TV of a GAN.

    Args:
        method: Method by which the generators and critics were trained.
        optimizer: Optimiser of D_TV.
        bound: lambda_b, the weight of the squared distance of scores to [-1, 1].
        scale: Scale of scores.
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
    """Return the train step: one critic update on normal images and the history's.

    Args:
        method: Method of `detector_method`.
        images_of_step: `batch(arrays, step)` of the feed.
        groups: Number of times t in a batch.
        form: How the generators of these times run, see `sample_history`.

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
        fake = sample_history(method.generator, history, latents, keys[2], groups, form)
        critic, log = critic_update(method, state.critic, weights, batch, fake, keys[3])
        return DetectorState(state.step + 1, critic, state.key), log

    return step
