"""Losses against numbers computed by hand, finite differences and known critics."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.losses import adversarial, penalties, reconstruction

# D(x) = 1 and D(G) = -2: softplus(-1) = 0.3132617, softplus(-2) = 0.1269280,
# softplus(2) = 2.1269280.
REAL, FAKE = jnp.array([1.0]), jnp.array([-2.0])
CRITIC = 0.3132617 + 0.1269280


@pytest.mark.parametrize(
    ("objective", "generator"),
    [(adversarial.minimax, -0.1269280), (adversarial.nonsaturating, 2.1269280)],
)
def test_objectives_by_hand(objective, generator):
    assert float(objective.critic(REAL, FAKE)[0]) == pytest.approx(CRITIC, abs=1e-6)
    found = float(objective.generator(FAKE, REAL)[0])
    assert found == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
def test_gradients_against_finite_differences(name):
    objective = getattr(adversarial, name)
    with jax.enable_x64(True):
        for function in (objective.critic, objective.generator):
            for place in (0, 1):
                scores = [jnp.array([0.7, -1.3]), jnp.array([-0.4, 2.1])]

                def total(value, place=place, scores=scores, function=function):
                    inputs = [*scores[:place], value, *scores[place + 1 :]]
                    return function(*inputs).sum()

                slope = jax.grad(total)(scores[place])
                for index in range(2):
                    nudge = jnp.zeros(2).at[index].set(1e-6)
                    numeric = (
                        total(scores[place] + nudge) - total(scores[place] - nudge)
                    ) / 2e-6
                    assert float(slope[index]) == pytest.approx(
                        float(numeric), abs=1e-7
                    )


@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
def test_extreme_scores_stay_finite(name):
    objective = getattr(adversarial, name)
    scores = jnp.array([-1000.0, 0.0, 1000.0])
    for function in (objective.critic, objective.generator):
        value, slope = jax.value_and_grad(lambda s, f=function: f(s, -s).sum())(scores)
        assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(slope).all())
    critic = objective.critic(jnp.array([-1000.0]), jnp.array([1000.0]))
    assert float(critic[0]) == 2000.0


def test_a_patch_critics_map_keeps_its_shape():
    scores = jnp.ones((2, 3, 3))
    assert adversarial.minimax.critic(scores, scores).shape == (2, 3, 3)


def test_pixel_fidelity_by_hand():
    generated = jnp.zeros((2, 2, 2, 1)).at[0, 0, 0, 0].set(0.5)
    known = jnp.ones((2, 2, 2, 1))
    mask = jnp.zeros((2, 2, 2, 1)).at[0, 0, 0].set(1).at[0, 1, 1].set(1)
    # First image: (0.25 + 1) / 2; the second has no known pixel.
    np.testing.assert_allclose(
        reconstruction.pixel_fidelity(generated, known, mask), [0.625, 0.0], rtol=1e-6
    )


def test_unknown_pixels_may_hold_anything():
    mask = jnp.zeros((1, 2, 2, 1)).at[0, 0, 0].set(1)
    known = jnp.full((1, 2, 2, 1), jnp.nan).at[0, 0, 0].set(1.0)
    generated = jnp.zeros((1, 2, 2, 1))
    value, slope = jax.value_and_grad(
        lambda images: reconstruction.pixel_fidelity(images, known, mask).sum()
    )(generated)
    assert float(value) == 1.0
    np.testing.assert_array_equal(slope.ravel(), [-2.0, 0.0, 0.0, 0.0])


def test_pixel_fidelity_averages_over_channels_too():
    generated = jnp.zeros((1, 1, 2, 3))
    known = jnp.array([[[[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]]]])
    mask = jnp.array([[[[1.0], [0.0]]]])
    found = reconstruction.pixel_fidelity(generated, known, mask)
    assert float(found[0]) == pytest.approx(14 / 3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**16), st.floats(-1, 1))
def test_what_is_not_known_does_not_count(seed, elsewhere):
    keys = jax.random.split(jax.random.key(seed), 3)
    generated, known = (
        jax.random.uniform(key, (2, 4, 4, 1), minval=-1, maxval=1) for key in keys[:2]
    )
    mask = jax.random.bernoulli(keys[2], 0.3, (2, 4, 4, 1)).astype(jnp.float32)
    other = known * mask + elsewhere * (1 - mask)
    before, after = (
        reconstruction.pixel_fidelity(generated, values, mask)
        for values in (known, other)
    )
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_zero_centred_penalty_of_linear_and_quadratic_critics():
    weights = jnp.arange(4.0).reshape(2, 2, 1)
    images = jax.random.normal(jax.random.key(0), (3, 2, 2, 1))

    def linear(points):
        return (points * weights[None]).sum(axis=(1, 2, 3))

    def quadratic(points):
        return jnp.square(points).sum(axis=(1, 2, 3))

    # |w|^2 = 0 + 1 + 4 + 9 everywhere, and |2x|^2.
    np.testing.assert_allclose(
        penalties.zero_centred_penalty(linear, images), [14.0] * 3, rtol=1e-6
    )
    np.testing.assert_allclose(
        penalties.zero_centred_penalty(quadratic, images),
        4 * jnp.square(images).sum(axis=(1, 2, 3)),
        rtol=1e-5,
    )
    slope = jax.grad(
        lambda points: penalties.zero_centred_penalty(quadratic, points).sum()
    )(jnp.zeros((1, 2, 2, 1)))
    assert not math.isnan(float(slope.sum()))
