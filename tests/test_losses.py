"""Losses against numbers computed by hand, finite differences and known critics."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.losses import adversarial, penalties, reconstruction

OBJECTIVES = {
    "minimax": adversarial.minimax,
    "nonsaturating": adversarial.nonsaturating,
    "lsgan": adversarial.lsgan,
    "ebgan": adversarial.ebgan(margin=1.0),
    "wgan": adversarial.wgan,
    "hinge": adversarial.hinge,
    "relativistic": adversarial.relativistic,
}


@pytest.mark.parametrize(
    ("name", "real", "fake", "critic", "generator"),
    [
        # softplus(-1) + softplus(-2), and -+softplus(+-2).
        ("minimax", 1.0, -2.0, 0.3132617 + 0.1269280, -0.1269280),
        ("nonsaturating", 1.0, -2.0, 0.3132617 + 0.1269280, 2.1269280),
        # (0 + 4) / 2 and 9 / 2; (0.25 + 0.16) / 2 and 0.36 / 2.
        ("lsgan", 1.0, -2.0, 2.0, 4.5),
        ("lsgan", 0.5, 0.4, 0.205, 0.18),
        # 0.3 + (1 - 0.4); beyond the margin only the real image counts.
        ("ebgan", 0.3, 0.4, 0.9, 0.4),
        ("ebgan", 0.3, 1.5, 0.3, 1.5),
        ("wgan", 1.0, -2.0, -3.0, 2.0),
        # 0.75 + 0.5; both sides of the hinge are at rest in the second.
        ("hinge", 0.25, -0.5, 1.25, 0.5),
        ("hinge", 1.5, -2.0, 0.0, 2.0),
        # softplus(-3) and softplus(3).
        ("relativistic", 1.0, -2.0, 0.0485874, 3.0485874),
    ],
)
def test_objectives_by_hand(name, real, fake, critic, generator):
    objective = OBJECTIVES[name]
    real_scores, fake_scores = jnp.array([real]), jnp.array([fake])
    found = objective.critic(real_scores, fake_scores)
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(critic, abs=1e-6)
    found = objective.generator(fake_scores, real_scores)
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(generator, abs=1e-6)


def numeric_gradient(function, point, step=1e-6):
    point, slope = np.array(point), np.zeros(np.shape(point))
    for place in np.ndindex(*slope.shape):
        nudge = np.zeros_like(slope)
        nudge[place] = step
        rise = function(jnp.asarray(point + nudge)) - function(
            jnp.asarray(point - nudge)
        )
        slope[place] = float(rise) / (2 * step)
    return slope


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_against_finite_differences(name):
    objective = OBJECTIVES[name]
    with jax.enable_x64(True):
        for function in (objective.critic, objective.generator):
            for place in (0, 1):
                scores = [jnp.array([0.7, -1.3]), jnp.array([-0.4, 2.1])]

                def total(value, place=place, scores=scores, function=function):
                    inputs = [*scores[:place], value, *scores[place + 1 :]]
                    return function(*inputs).sum()

                np.testing.assert_allclose(
                    jax.grad(total)(scores[place]),
                    numeric_gradient(total, scores[place]),
                    atol=1e-7,
                )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_extreme_scores_stay_finite(name):
    objective = OBJECTIVES[name]
    scores = jnp.array([-1000.0, 0.0, 1000.0])
    for function in (objective.critic, objective.generator):
        value, slope = jax.value_and_grad(lambda s, f=function: f(s, -s).sum())(scores)
        assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(slope).all())


def test_a_wholly_mistaken_logistic_critic_pays_for_both_scores():
    for name in ("minimax", "nonsaturating", "relativistic"):
        critic = OBJECTIVES[name].critic(jnp.array([-1000.0]), jnp.array([1000.0]))
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


def test_moment_distance_by_hand():
    generated = jnp.array([[1.0, -1.0], [0.5, 0.5]]).reshape(2, 2, 1, 1)
    real = jnp.array([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]]).reshape(3, 2, 1, 1)
    # Means are 1/4 and 1/2, mean squares 2.5/4 and 5/6.
    found = reconstruction.moment_distance(generated, real)
    np.testing.assert_allclose(found, 1 / 16 + (5 / 8 - 5 / 6) ** 2, rtol=1e-6)
    assert reconstruction.moment_distance(real, real) == 0


def test_moment_distance_pulls_facies_to_their_proportions():
    real = jnp.array([1.0, 1.0, 1.0, -1.0]).reshape(4, 1, 1, 1)
    generated = jnp.array([1.0, -1.0, -1.0, -1.0]).reshape(4, 1, 1, 1)
    slope = jax.grad(reconstruction.moment_distance)(generated, real)
    # d/dx of (E[x] - E[y])^2 is 2 (-1/2 - 1/2) / 4; the mean squares are equal.
    np.testing.assert_allclose(slope, jnp.full(generated.shape, -0.5), rtol=1e-6)


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


def test_gradient_penalty_of_linear_and_quadratic_critics():
    weights = jnp.arange(4.0).reshape(2, 2, 1)
    keys = jax.random.split(jax.random.key(0), 3)
    real, fake = (jax.random.normal(key, (3, 2, 2, 1)) for key in keys[:2])

    def linear(points):
        return (points * weights[None]).sum(axis=(1, 2, 3))

    def quadratic(points):
        return jnp.square(points).sum(axis=(1, 2, 3)) / 2

    # The slope is |w| = sqrt(14) everywhere; a slope of 1 costs nothing.
    found = penalties.gradient_penalty(linear, real, fake, keys[2])
    np.testing.assert_allclose(found, [(14**0.5 - 1) ** 2] * 3, rtol=1e-6)
    found = penalties.gradient_penalty(
        lambda points: linear(points) / 14**0.5, real, fake, keys[2]
    )
    np.testing.assert_allclose(found, [0.0] * 3, atol=1e-12)
    # Here the slope at a point is the point's length: derived without gradients.
    found = penalties.gradient_penalty(quadratic, real, fake, keys[2])
    share = jax.random.uniform(keys[2], (3, 1, 1, 1))
    points = np.asarray(fake + share * (real - fake)).reshape(3, -1)
    expected = (np.linalg.norm(points, axis=1) - 1) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_point_of_a_gradient_penalty_is_drawn_for_each_pair():
    real, fake = jnp.ones((64, 1, 1, 1)), jnp.zeros((64, 1, 1, 1))
    slopes = 1 - jnp.sqrt(
        penalties.gradient_penalty(
            lambda points: jnp.square(points).sum(axis=(1, 2, 3)) / 2,
            real,
            fake,
            jax.random.key(0),
        )
    )
    assert len(np.unique(slopes)) == 64
    assert float(slopes.min()) < 0.1 and float(slopes.max()) > 0.9


def test_gradients_of_penalties_against_finite_differences():
    key = jax.random.key(1)
    with jax.enable_x64(True):
        real, fake = (
            jax.random.normal(each, (2, 2, 2, 1), jnp.float64)
            for each in jax.random.split(key)
        )

        def critic(weight):
            return lambda points: jnp.sin(weight * points).sum(axis=(1, 2, 3))

        def gradient(weight):
            return penalties.gradient_penalty(critic(weight), real, fake, key).sum()

        def zero_centred(weight):
            return penalties.zero_centred_penalty(critic(weight), real).sum()

        def pulling(codes):
            return penalties.pulling_away(codes)

        weight = jnp.array([0.3, -1.1], jnp.float64).reshape(1, 2, 1, 1)
        codes = jax.random.normal(key, (3, 4), jnp.float64)
        for function, point in (
            (gradient, weight),
            (zero_centred, weight),
            (pulling, codes),
        ):
            np.testing.assert_allclose(
                jax.grad(function)(point), numeric_gradient(function, point), atol=1e-6
            )


def test_the_gradient_of_a_flat_critics_penalty_is_finite():
    images, key = jnp.zeros((2, 2, 2, 1)), jax.random.key(0)

    def penalty(weight):
        return penalties.gradient_penalty(
            lambda points: (weight * points).sum(axis=(1, 2, 3)), images, images, key
        ).sum()

    assert float(penalty(0.0)) == pytest.approx(2.0, abs=1e-5)
    assert math.isfinite(float(jax.grad(penalty)(0.0)))


def test_pulling_away_by_hand():
    # Cosines: 0 between the axes, 1 / sqrt(2) to the diagonal, whatever the lengths:
    # (0 + 1/2 + 1/2) * 2 / 6.
    codes = jnp.array([[2.0, 0.0], [0.0, 3.0], [0.5, 0.5]])
    assert float(penalties.pulling_away(codes)) == pytest.approx(1 / 3, rel=1e-6)
    assert float(penalties.pulling_away(jnp.ones((4, 3)))) == pytest.approx(1.0)
    assert float(penalties.pulling_away(jnp.eye(3))) == 0.0
    assert float(penalties.pulling_away(jnp.ones((1, 3)))) == 0.0
    slope = jax.grad(penalties.pulling_away)(jnp.zeros((3, 2)))
    assert bool(jnp.isfinite(slope).all())


def test_distances_of_colours_by_hand():
    one = jnp.zeros((2, 1, 2, 2))
    other = one.at[0, 0, 0].set(jnp.array([0.3, -0.5]))
    np.testing.assert_allclose(reconstruction.l1(one, other), [0.2, 0], atol=1e-7)
    np.testing.assert_allclose(reconstruction.l2(one, other), [0.085, 0], atol=1e-7)


def test_class_distribution_by_hand():
    """A sure pupil of a teacher who wavers: .5 ln(.5 / .8) + .5 ln(.5 / .2)."""
    pupil, teacher = jnp.log(jnp.array([[0.8, 0.2]])), jnp.zeros((1, 2))
    found = reconstruction.class_distribution(pupil, teacher)
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(0.2231436, abs=1e-6)
    same = reconstruction.class_distribution(teacher + 3, teacher)
    assert float(same[0]) == pytest.approx(0, abs=1e-7)


def test_class_distribution_against_finite_differences():
    with jax.enable_x64(True):
        pupil = jnp.array([[0.3, -1.2, 0.5]])
        teacher = jnp.array([[1.0, 0.1, -0.7]])

        def value(logits):
            return reconstruction.class_distribution(logits, teacher).sum()

        np.testing.assert_allclose(
            jax.grad(value)(pupil), numeric_gradient(value, pupil), atol=1e-7
        )
