"""The loss of a completion: its addends by hand, through real networks' functions."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import degradations
from gan_jax.losses import inpainting
from gan_jax.search.completion import Terms, completion_loss
from gan_jax.search.observation import Observation

VALUES = jnp.array([[0.5, -0.5], [0.25, 9.0]])[..., None]
MASK = jnp.array([[1.0, 1.0], [1.0, 0.0]])[..., None]
PROBLEM = Observation(VALUES, MASK, jnp.array([[1.0, 2.0], [3.0, 0.0]])[..., None])


def generate(latent):
    """Paints the latent's four values as an image of 2x2."""
    return latent.reshape(2, 2, 1)


def score(image):
    return image.sum()


def loss_of(terms, measure=lambda image: image, problem=PROBLEM):
    loss = completion_loss(generate, score, measure, terms)
    return loss(jnp.array([1.0, 0.0, 0.0, -1.0]), problem)


def test_addends_by_hand():
    """Errors .5, .5, -.25 under weights 1, 2, 3; the image sums to 0."""
    context = 0.5 * 1 + 0.5 * 2 + 0.25 * 3
    alone, residual = loss_of(Terms(context=2.0, prior=0.0))
    assert float(alone) == pytest.approx(2 * context)
    assert float(residual) == pytest.approx(1.25 / 3)
    # To the right 0, weighing 1; down from .5 to -.25, weighing 1.
    slopes = 1 * 0.0 + 1 * 0.75
    both, _ = loss_of(Terms(context=0.0, gradient=4.0, prior=0.0))
    assert float(both) == pytest.approx(4 * slopes)
    score_loss = inpainting.SCORE_LOSSES["saturating"]
    prior, _ = loss_of(Terms(context=0.0, prior=2.0, score_loss=score_loss))
    assert float(prior) == pytest.approx(2 * np.log(0.5))
    every, _ = loss_of(Terms(2.0, 4.0, 2.0, score_loss))
    assert float(every) == pytest.approx(float(alone + both + prior))


def test_a_composite_is_what_the_critic_sees():
    """Known values .5, -.5 and .25, and the generated -1."""
    terms = Terms(0.0, 0.0, 1.0, inpainting.SCORE_LOSSES["score"])
    assert float(loss_of(terms)[0]) == 0
    assert float(loss_of(terms._replace(composite=True))[0]) == pytest.approx(0.75)


def test_a_mean_is_the_sum_over_the_number_of_known_values():
    terms = Terms(1.0, 1.0, 0.5, inpainting.SCORE_LOSSES["energy"])
    whole, part = (float(loss_of(terms._replace(mean=m))[0]) for m in (False, True))
    assert part == pytest.approx(whole / 3)


def test_what_is_compared_is_what_was_measured():
    """Blocks of 2x2: the mean of the image is 0, and .75 was measured."""
    one = jnp.ones((1, 1, 1))
    problem = Observation(0.75 * one, one, one)
    measure = degradations.downsample(2).apply
    found, residual = loss_of(Terms(prior=0.0), measure, problem)
    assert float(found) == float(residual) == pytest.approx(0.75)
