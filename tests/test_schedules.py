"""How often the critic moves: by hand, traced, and for several steps at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.training.schedules import boosted


@pytest.mark.parametrize(
    ("step", "turns"),
    [(0, 100), (24, 100), (25, 5), (499, 5), (500, 100), (501, 5), (1000, 100)],
)
def test_coopers_schedule(step, turns):
    schedule = boosted(5, boost=100, first=25, every=500)
    assert int(schedule(step)) == turns
    assert int(jax.jit(schedule)(jnp.int32(step))) == turns


def test_a_constant_schedule_and_one_with_a_beginning_only():
    np.testing.assert_array_equal(boosted(5)(np.arange(3)), [5, 5, 5])
    found = boosted(2, boost=9, first=2)(np.arange(4))
    np.testing.assert_array_equal(found, [9, 9, 2, 2])
