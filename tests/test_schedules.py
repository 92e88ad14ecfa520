"""How often the critic moves: by hand, traced, and for several steps at once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.train.run import _calls
from gan_jax.config.limits import WORD
from gan_jax.training.schedules import boosted, steps_until
from tests.runs import smoke


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


@pytest.mark.parametrize(
    ("turns", "steps"), [(1, 1), (100, 1), (101, 2), (200, 2), (201, 3), (206, 4)]
)
def test_how_many_steps_make_so_many_turns(turns, steps):
    schedule = boosted(5, boost=100, first=2)
    assert steps_until(turns, schedule, 4) == steps


def test_turns_that_a_run_never_makes_are_beyond_its_end():
    assert steps_until(20, boosted(5), 4) == 4
    assert steps_until(21, boosted(5), 4) == 5


@pytest.mark.parametrize(
    "start, steps", [(0, 90), (40, 90), (0, WORD), (WORD - 50, WORD)]
)
def test_the_calls_of_a_run_follow_its_schedule_however_long_it_is(start, steps):
    """A table of the updates of all steps would take 17 GB."""
    config = smoke("gan", steps=steps, **{"critic_boost.steps": 25})
    schedule = boosted(1, 25, first=7, every=30)
    done = 7 * 24 if start else 0
    wanted, step = start + done, start
    calls = _calls(config, lambda *sizes: sizes, schedule, start, start + done)
    for count, (first, updates, capacity) in itertools.islice(calls, 30):
        each = np.asarray(schedule(np.arange(step, step + count, dtype=np.int32)))
        assert (first, updates, capacity) == (wanted, each.sum(), 25)
        assert 0 < count <= config.fused_steps and updates <= capacity
        wanted, step = wanted + updates, step + count
    assert step == steps or steps == WORD
