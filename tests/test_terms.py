"""Terms of a play: each penalises what its name says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.training import terms
from gan_jax.training.method import LossInputs

REAL, FAKE = 3.0, 5.0


def quadratic(images, condition):
    """A critic whose slope at x is x, times what the condition says."""
    flat = jnp.square(images).reshape(len(images), -1).sum(axis=1) / 2
    return flat if condition is None else condition * flat


def cards(critic=quadratic, **values):
    images = jnp.ones((2, 2, 1, 1))
    inputs = dict.fromkeys(LossInputs._fields)
    inputs |= {"real": REAL * images, "fake": FAKE * images, "critic": critic}
    inputs["key"] = jax.random.key(0)
    return LossInputs(**(inputs | values))


def test_r1_is_taken_at_real_images_and_r2_at_generated_ones():
    np.testing.assert_allclose(terms.real_penalty(cards()), 2 * REAL**2)
    np.testing.assert_allclose(terms.fake_penalty(cards()), 2 * FAKE**2)


def test_each_sees_the_condition_of_its_images():
    inputs = cards(
        condition=jnp.array([1.0, 2.0]), real_condition=jnp.array([3.0, 1.0])
    )
    np.testing.assert_allclose(terms.real_penalty(inputs), [162, 18])
    np.testing.assert_allclose(terms.fake_penalty(inputs), [50, 200])


def test_a_map_of_scores_counts_by_its_mean_or_its_sum():
    def patches(images, condition):
        """Two scores per image, of slopes x and 3 x: their mean has 2 x."""
        score = quadratic(images, None)
        return jnp.stack([score, 3 * score], axis=1)

    np.testing.assert_allclose(terms.real_penalty(cards(patches)), 8 * REAL**2)
    summed = terms.real_penalty(cards(patches), jnp.sum)
    np.testing.assert_allclose(summed, 32 * REAL**2)


def test_a_gradient_penalty_lies_between_the_two():
    found = terms.gradient_penalty(cards())
    low, high = ((x * 2**0.5 - 1) ** 2 for x in (REAL, FAKE))
    assert ((low < found) & (found < high)).all() and found[0] != found[1]


def test_pulling_away_takes_the_codes():
    codes = {"code": (jnp.array([[1.0, 0.0], [1.0, 1.0]]),)}
    assert float(terms.pulling_away(cards(codes=codes))) == pytest.approx(0.5)
