"""Jobs in a fixed number of slots; the others wait.

A slot whose job has ended is taken by the next job that waits, so that many jobs of
unequal length cost their mean length and not the largest. `Queue` does this on the
host, `run_queue` within one compiled program.
"""

import collections
import functools
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, Shaped

Job = TypeVar("Job")


class Queue(Generic[Job]):
    """Jobs that run in slots, and jobs that wait for a slot."""

    def __init__(self, slots: int, waiting: Iterable[Job] = ()):
        """Make empty slots."""
        self._running: list[Job | None] = [None] * slots
        self.waiting = collections.deque(waiting)

    def enter(
        self, is_wanted: Callable[[Job], bool] = lambda job: True
    ) -> dict[int, Job]:
        """Move waiting jobs into free slots, both in their order; return them by slot.

        Jobs that are not wanted are dropped.
        """
        entered = {}
        for slot, job in enumerate(self._running):
            if job is None and (new := self._next(is_wanted)) is not None:
                self._running[slot] = entered[slot] = new
        return entered

    def _next(self, is_wanted: Callable[[Job], bool]) -> Job | None:
        while self.waiting:
            job = self.waiting.popleft()
            if is_wanted(job):
                return job
        return None

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""
        return any(job is not None for job in self._running)

    def leave(self, over: Bool[Array | np.ndarray, " slots"]) -> dict[int, Job]:
        """Free the slots whose jobs have ended, and return those jobs by slot."""
        finished = {}
        for slot in np.flatnonzero(np.asarray(over)).tolist():
            if (job := self._running[slot]) is not None:
                finished[slot] = job
                self._running[slot] = None
        return finished


def replaced(
    where: Bool[Array, " slots"],
    old: Shaped[Array, "slots ..."],
    new: Shaped[Array, "slots ..."],
) -> Shaped[Array, "slots ..."]:
    """Return the new content of the marked slots and the old content of the others."""
    return jnp.where(where.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def run_queue(
    begin: Callable[[PyTree], PyTree],
    advance: Callable[[PyTree, PyTree], tuple[PyTree, Bool[Array, " slots"], PyTree]],
    jobs: PyTree[Array],
    slots: int,
) -> PyTree[Array]:
    """Run every job to its end, in one compiled loop; pure.

    Args:
        begin: `begin(jobs) -> states`, the states in which jobs enter their slots.
        advance: `advance(states, jobs) -> (states, over, results)`: makes one step of
            all slots; `results` count where jobs are `over`.
        jobs: The inputs of the jobs: arrays with a leading axis of jobs, at least one.
        slots: Number of jobs that run at once, if there are as many.

    Returns:
        The results of all jobs, in the order of the jobs.
    """
    count = len(jax.tree.leaves(jobs)[0])

    def at(places: Int[Array, " slots"]) -> Any:
        """Return the inputs of jobs; past the end, those of the last one."""
        nearest = jnp.minimum(places, count - 1)
        return jax.tree.map(lambda leaf: leaf[nearest], jobs)

    def step(carry: Any) -> Any:
        states, places, waiting, ended = carry
        states, over, results = advance(states, at(places))
        # Writes past the last job are dropped.
        done = jnp.where(over, places, count)
        ended = jax.tree.map(
            lambda old, new: old.at[done].set(new, mode="drop"), ended, results
        )
        rank = jnp.cumsum(over) - 1
        places = jnp.where(over, jnp.minimum(waiting + rank, count), places)
        fresh = begin(at(places))
        states = jax.tree.map(functools.partial(replaced, over), states, fresh)
        return states, places, waiting + rank[-1] + 1, ended

    places = jnp.arange(min(slots, count), dtype=jnp.int32)
    states = begin(at(places))
    _, _, shapes = jax.eval_shape(advance, states, at(places))
    ended = jax.tree.map(
        lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), shapes
    )
    *_, results = jax.lax.while_loop(
        lambda carry: (carry[1] < count).any(),
        step,
        (states, places, jnp.int32(len(places)), ended),
    )
    return results
