"""Refinement: the steps by hand, when they end, and what they leave alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.losses import inpainting
from gan_jax.networks import dcgan
from gan_jax.search.observation import Observation
from gan_jax.search.refinement import (
    Refinement,
    critic_cost,
    refine,
    visited,
)
from tests.weights import first_weights

SIZE = 8


def bowl(activation, problem):
    return jnp.square(activation - problem).sum() / 2


def limits(count, steps):
    return jnp.full(count, steps, jnp.int32)


def test_the_steps_by_hand():
    """From 1 to 0 with rate .1 and momentum .5: 1, .9, .76, .614."""
    walk = Refinement(bowl, rate=0.1, momentum=0.5)
    found = refine(walk, jnp.ones((1, 2)), jnp.zeros((1, 2)), limits(1, 3))
    place, velocity = 1.0, 0.0
    for _ in range(3):
        velocity = 0.5 * velocity + place
        place -= 0.1 * velocity
    assert place == pytest.approx(0.614)
    ways = visited(walk, jnp.ones((1, 2)), jnp.zeros((1, 2)), limits(1, 3), -np.inf, 3)
    np.testing.assert_allclose(ways[:, 0, 0], [1, 0.9, 0.76, place], rtol=1e-6)
    np.testing.assert_allclose(found.activation, place, rtol=1e-6)
    assert float(found.proposed[0]) == 1 and int(found.steps[0]) == 3
    assert float(found.cost[0]) == pytest.approx(place**2)


def test_each_ends_where_it_is_good_enough():
    starts = jnp.array([[0.1], [1.0], [4.0]])
    walk = Refinement(bowl, rate=0.1, momentum=0.0)
    found = refine(walk, starts, jnp.zeros((3, 1)), limits(3, 20), threshold=0.1)
    # A proposal that is good enough stays as it is.
    assert int(found.steps[0]) == 0 and found.activation[0] == starts[0]
    assert 0 < int(found.steps[1]) < 20 and float(found.cost[1]) <= 0.1
    assert int(found.steps[2]) == 20 and float(found.cost[2]) > 0.1
    ways = visited(walk, starts, jnp.zeros((3, 1)), limits(3, 20), 0.1, 20)
    assert ways.shape == (21, 3, 1)
    np.testing.assert_array_equal(ways[-1], found.activation)
    assert (ways[:, 0, 0] == starts[0, 0]).all()  # it has ended where it began


def test_the_best_is_kept_or_the_last():
    """A rate at which every step overshoots further."""
    start, problem = jnp.ones((1, 1)), jnp.zeros((1, 1))
    best, last = (
        refine(Refinement(bowl, 2.5, 0.0, kept), start, problem, limits(1, 4))
        for kept in (True, False)
    )
    assert int(best.step[0]) == 0 and float(best.activation[0, 0]) == 1
    assert int(last.step[0]) == 4 and float(last.cost[0]) > 1


def test_limits_of_their_own_end_examples_apart():
    walk = Refinement(bowl, momentum=0.0, best=False)
    own = jnp.array([0, 2, 5], jnp.int32)
    found = refine(walk, jnp.ones((3, 1)), jnp.zeros((3, 1)), own)
    np.testing.assert_array_equal(found.steps, own)
    np.testing.assert_allclose(found.activation[:, 0], 0.9 ** np.array(own), rtol=1e-6)


def networks():
    generator, critic = dcgan.generator(SIZE, 1, 4, 1, 3), dcgan.critic(SIZE, 4, 1, 3)
    keys = jax.random.split(jax.random.key(0), 3)
    latent = jax.random.normal(keys[0], (6, 5))
    g = first_weights(generator, keys[1], latent)
    d = first_weights(critic, keys[2], jnp.ones((2, SIZE, SIZE, 1)))
    return generator, g, critic, d, latent


@pytest.mark.parametrize("stage", [0, 1])
def test_any_stage_can_be_refined_and_no_example_sees_another(stage):
    generator, g, critic, d, latent = networks()
    heads = generator.apply(g, latent, stop=stage)

    def tail(activation, condition):
        return generator.apply(g, activation[None], start=stage)[0]

    def score(image, condition):
        """A critic without training hardly tells images apart."""
        return 1e4 * critic.apply(d, image[None])[0]

    cost = critic_cost(tail, score, inpainting.SCORE_LOSSES["nonsaturating"])
    walk = Refinement(cost)
    found = refine(walk, heads, Observation(), limits(6, 10))
    assert (found.cost < found.proposed).all()
    order = jnp.array([3, 1, 5, 0, 2, 4])
    other = refine(walk, heads[order], Observation(), limits(6, 10))
    np.testing.assert_array_equal(found.activation[order], other.activation)


def test_known_pixels_have_no_gradient():
    generator, g, critic, d, latent = networks()
    image = jnp.zeros((SIZE, SIZE, 1))
    mask = jnp.ones_like(image).at[2:5, 2:5].set(0)
    cost = critic_cost(
        lambda painted, condition: painted,
        lambda image, condition: critic.apply(d, image[None])[0],
        inpainting.SCORE_LOSSES["nonsaturating"],
    )
    painted = generator.apply(g, latent[:1])[0]
    slope = np.asarray(jax.grad(cost)(painted, Observation(image, mask)))
    assert not slope[np.asarray(mask) > 0].any()
    assert slope[np.asarray(mask) == 0].any()


def test_nothing_cannot_be_refined():
    with pytest.raises(ValueError, match="nothing"):
        refine(Refinement(bowl), jnp.ones((0, 2)), jnp.zeros((0, 2)), limits(0, 1))
