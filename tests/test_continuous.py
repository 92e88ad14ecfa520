"""The search that is kept full: the same results, whoever comes when."""

import threading
from concurrent.futures import CancelledError

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.search.latent import Search, compile_search, minimise
from gan_jax.search.streaming import StreamingSearch
from tests.problems import SIZE, bowl, counting, network_search, problems, starts

COUNT, RESTARTS, SLOTS = 10, 2, 8


@pytest.fixture(scope="module")
def searched():
    """Return searches through real networks, and what they come to all at once."""
    images = jnp.tanh(jax.random.normal(jax.random.key(3), (COUNT, 8, 8, 1)))
    start = jax.random.normal(jax.random.key(4), (RESTARTS, COUNT, 5))
    search = network_search(patience=5)
    whole = minimise(search, start, images, slots=SLOTS, length=10)
    with StreamingSearch(compile_search(search, 10), SLOTS) as continuous:
        yield continuous, np.asarray(start), np.asarray(images), whole


def assert_same(found, whole, at):
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(one, two[at])


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(range(COUNT)),
    cuts=st.lists(st.integers(1, COUNT - 1), max_size=3),
)
def test_results_are_those_of_all_at_once_bit_for_bit(searched, order, cuts):
    """Whatever the order, and however many threads hand images in."""
    continuous, start, images, whole = searched
    found = {}

    def hand_in(block):
        found[block] = continuous.minimise(start[:, block], images[np.array(block)])

    blocks = [
        tuple(block) for block in np.split(np.array(order), sorted(cuts)) if len(block)
    ]
    threads = [threading.Thread(target=hand_in, args=(block,)) for block in blocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for block in blocks:
        assert_same(found[block], whole, np.array(block))


def test_a_slot_that_falls_free_is_taken_by_what_waits():
    given = jnp.zeros((24, SIZE)), jnp.where(jnp.arange(24) % 6 == 0, 0.01, 2.0)
    turns = []
    search = Search(bowl, optax.sgd(0.2), iterations=1000, patience=20)
    start = np.asarray(starts(1, 24))
    with StreamingSearch(compile_search(search, 10, counting(turns)), 4) as continuous:
        futures = [
            continuous.submit(start[:, at], jax.tree.map(lambda leaf: leaf[at], given))  # noqa: B023
            for at in range(24)
        ]
        found = [future.result() for future in futures]
    steps = np.concatenate([one.restarts.steps[:, 0] for one in found])
    # Six rounds of four, each as long as its slowest, would take more.
    waves = steps.reshape(6, 4).max(axis=1).sum()
    assert len(turns) * 10 < 0.7 * waves
    # All slots are busy but for the last searches, and what waited for the first.
    assert len(turns) * 10 * 4 < steps.sum() + 4 * steps.max() + 4 * 10


def test_what_a_loss_raises_reaches_those_who_wait_and_the_search_goes_on():
    broken = True

    def loss(latent, problem):
        if broken:
            raise FloatingPointError("no such loss")
        return bowl(latent, problem)

    search = Search(loss, optax.sgd(0.1), iterations=400)
    given = problems(3)
    start = np.asarray(starts(2, 3))
    with StreamingSearch(compile_search(search), 2) as continuous:
        with pytest.raises(FloatingPointError, match="no such loss"):
            continuous.minimise(start, given)
        broken = False
        found = continuous.minimise(start, given)
    np.testing.assert_allclose(found.latent, given[0], atol=1e-2)


def test_closing_cancels_what_has_not_ended():
    held, began = threading.Event(), threading.Event()

    def compiled(function):
        def turn(*arguments):
            began.set()
            assert held.wait(30)
            return jax.jit(function)(*arguments)

        return turn

    search = Search(bowl, optax.sgd(0.1), iterations=100)
    continuous = StreamingSearch(compile_search(search, 10, compiled), 1)
    known = jax.tree.map(lambda leaf: leaf[0], problems(1))
    futures = [continuous.submit(starts(1, 1)[:, 0], known) for _ in range(3)]
    assert began.wait(30)
    assert futures[2].cancel() and not futures[0].cancel()  # that one is under way
    closing = threading.Thread(target=continuous.close)
    closing.start()
    held.set()
    closing.join(30)
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=30)
    with pytest.raises(RuntimeError, match="closed"):
        continuous.submit(starts(1, 1)[:, 0], known)


def test_a_cancelled_image_is_never_searched():
    held = threading.Event()
    first = threading.Event()
    seen = []

    def compiled(function):
        inner = jax.jit(function)

        def turn(loss, state, latents, problems, jobs, fresh):
            first.set()
            assert held.wait(30)
            seen.extend(problems[1][fresh].tolist())
            return inner(loss, state, latents, problems, jobs, fresh)

        return turn

    search = Search(bowl, optax.sgd(0.1), iterations=10)
    with StreamingSearch(compile_search(search, 10, compiled), 1) as continuous:
        futures = [
            continuous.submit(starts(1, 1)[:, 0], (jnp.zeros(SIZE), jnp.float32(slope)))
            for slope in (1, 2, 3)
        ]
        assert first.wait(30) and futures[1].cancel()
        held.set()
        assert np.isfinite([futures[0].result().loss, futures[2].result().loss]).all()
    assert seen == [1, 3]


def test_what_makes_no_sense_is_refused():
    search = Search(bowl, optax.sgd(0.1), iterations=10)
    with pytest.raises(ValueError, match="a search needs one of each"):
        StreamingSearch(compile_search(search), 0)
    known = jnp.zeros(SIZE), jnp.float32(1)
    with StreamingSearch(compile_search(search, 10), 2) as continuous:
        with pytest.raises(ValueError, match="without restarts"):
            continuous.submit(np.zeros((0, SIZE)), known)
        with pytest.raises(ValueError, match="no images"):
            continuous.minimise(np.zeros((1, 0, SIZE)), problems(1))
        continuous.submit(np.zeros((1, SIZE)), known).result()
        with pytest.raises(ValueError, match="among those of"):
            continuous.submit(np.zeros((1, SIZE + 1)), known)
