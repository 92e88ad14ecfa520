"""The queue: slots that are filled in order, on the host and within a compiled loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.search.queue import Queue, run_queue


def test_waiting_jobs_enter_free_slots_in_their_order():
    queue = Queue(3, "abcde")
    assert queue.enter() == {0: "a", 1: "b", 2: "c"} and queue.enter() == {}
    assert queue.leave(np.array([False, True, False])) == {1: "b"}
    assert queue.enter() == {1: "d"}
    assert queue.leave(np.ones(3, bool)) == {0: "a", 1: "d", 2: "c"}
    assert not queue.is_busy and queue.waiting
    assert queue.enter() == {0: "e"} and queue.is_busy
    # A free slot has nothing to leave.
    assert queue.leave(np.ones(3, bool)) == {0: "e"}


def test_jobs_that_are_not_wanted_take_no_slot():
    queue = Queue(2, range(6))
    assert queue.enter(lambda job: job % 2 == 1) == {0: 1, 1: 3}
    queue.waiting.append(7)
    queue.leave(np.array([True, False]))
    assert queue.enter(lambda job: job > 5) == {0: 7}


@pytest.mark.parametrize("slots", [1, 3, 5, 8])
def test_every_job_runs_to_its_own_end(slots):
    """Each counts from its start to its limit; turns are those of full slots."""
    starts = jnp.array([0, 3, 1, 7, 2])
    limits = jnp.array([4, 4, 9, 8, 3])
    turns = []

    def advance(counts, jobs):
        jax.debug.callback(lambda: turns.append(1))
        counts = counts + 1
        return counts, counts >= jobs[1], (counts, jobs[0])

    run = jax.jit(lambda jobs: run_queue(lambda jobs: jobs[0], advance, jobs, slots))
    counts, begun = run((starts, limits))
    jax.effects_barrier()
    np.testing.assert_array_equal(counts, limits)
    np.testing.assert_array_equal(begun, starts)
    lengths = np.asarray(limits - starts)
    assert len(turns) == {1: lengths.sum(), 3: 8, 5: 8, 8: 8}[slots]
