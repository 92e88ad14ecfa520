"""Searches watched on their way: their course is that of the search itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.search.latent import Search, compile_search, run
from gan_jax.search.trace import recorded_steps, trace
from tests.problems import bowl, network_search, problems, starts


@pytest.mark.parametrize(
    ("iterations", "length", "wanted"),
    [
        (5, 1, [0]),
        (10, 10, [0]),
        (20, 10, [0, 10]),
        (100, 10, [0, 10, 30]),
        (1001, 10, [0, 10, 30, 100, 300, 1000]),
        (4000, 25, [0, 25, 50, 100, 300, 1000, 3000]),
        (100, 50, [0, 50]),
    ],
)
def test_it_is_looked_at_after_1_and_3_times_powers_of_ten(iterations, length, wanted):
    assert recorded_steps(iterations, length) == wanted


def recording(latents):
    """Return what compiles a function whose every result is kept: (job, step) -> z."""

    def compiled(function):
        inner = jax.jit(function)

        def recorded(loss, slots, starts, problems, jobs, fresh):
            state, over = inner(loss, slots, starts, problems, jobs, fresh)
            for job, step, latent in zip(jobs, state.step, state.latent, strict=True):
                latents[int(job), int(step)] = np.asarray(latent)
            return state, over

        return recorded

    return compiled


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("slots", [8, 3])
def test_a_watched_search_takes_the_course_of_the_search_bit_for_bit(patience, slots):
    """Of every image from the start that won, among other neighbours."""
    search = network_search(patience)._replace(progress=1e-4)
    images = jnp.tanh(jax.random.normal(jax.random.key(3), (12, 8, 8, 1)))
    start = jax.random.normal(jax.random.key(4), (2, 12, 5))
    visited = {}
    compiled_search = compile_search(search, 10, recording(visited))
    found = run(compiled_search, start, images, slots)
    whole = dict(visited)
    some = np.array([9, 0, 7, 11, 2])
    seen = trace(compiled_search, start, images, some, found.restart[some], slots)
    assert (len(set(seen.ends)) > 2) == (patience > 0)
    ends = seen.ends.max()
    assert seen.steps.tolist() == [*(at for at in (0, 10, 30) if at < ends), ends]
    assert seen.latent.shape == (5, len(seen.steps), 5)
    np.testing.assert_array_equal(
        seen.ends, found.restarts.steps[some, found.restart[some]]
    )
    for place, image in enumerate(some):
        restart = found.restart[image]
        np.testing.assert_array_equal(seen.latent[place, 0], start[restart, image])
        for mark, step in enumerate(seen.steps[1:], 1):
            # A search that has ended stays where it was.
            made = min(int(step), int(seen.ends[place]))
            same = whole[restart * 12 + image, made]
            np.testing.assert_array_equal(seen.latent[place, mark], same)
        assert not np.array_equal(seen.latent[place, 0], seen.latent[place, -1])


def test_the_last_latent_is_where_a_search_would_go_next_and_in_the_box():
    given = jnp.full((2, 3), 0.9), jnp.ones(2)
    search = Search(bowl, optax.sgd(0.1), lambda z: jnp.clip(z, -0.5, 0.5), 30)
    compiled_search = compile_search(search, 10)
    start = starts(1, 2)
    steps = []
    both = np.arange(2)
    seen = trace(compiled_search, start, given, both, np.zeros(2, int), 4, steps.append)
    assert steps == [10, 20, 30] and seen.steps.tolist() == [0, 10, 30]
    np.testing.assert_array_equal(seen.latent[:, 0], np.clip(start[0], -0.5, 0.5))
    latent = np.clip(np.asarray(start[0]), -0.5, 0.5)
    for step in range(1, 31):
        latent = np.clip(latent - 0.1 * 2 * (latent - 0.9), -0.5, 0.5)
        if step in (10, 30):
            mark = seen.steps.tolist().index(step)
            np.testing.assert_allclose(seen.latent[:, mark], latent, atol=1e-5)


def test_nothing_to_watch_is_refused():
    compiled_search = compile_search(Search(bowl, optax.sgd(0.1)), 10)
    none = np.zeros(0, int)
    with pytest.raises(ValueError, match="no search to watch"):
        trace(compiled_search, starts(1, 2), problems(2), none, none)
