"""Schedules: critic updates in a step, and the probability of augmentation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from gan_jax.losses.overfitting import Overfitting, none_seen
from gan_jax.training.state import Adaptive

Steps = Int[Array | np.ndarray, "*steps"] | int
_CHUNK = 100_000  # steps that are looked at together

Schedule = Callable[[Steps], Int[Array, "*steps"]]
"""`schedule(step)`: critic updates of a step, or of each of several; may be traced."""


def boosted(steps: int, boost: int = 0, first: int = 0, every: int = 0) -> Schedule:
    """Return a schedule of `steps` critic updates, and of `boost` in some steps.

    It keeps a Wasserstein critic near its optimum: 5 updates, but 100 in the first 25
    steps and in every 500th (Arjovsky's own code; Cooper 2017).

    Args:
        steps: Updates in ordinary steps.
        boost: Updates in steps below `first` and in multiples of `every`.
        first: Number of boosted first steps.
        every: Distance of boosted steps; 0 = none.
    """

    def schedule(step: Steps) -> Int[Array, "*steps"]:
        step = jnp.asarray(step)
        now = step < first
        if every:
            now |= step % every == 0
        return jnp.where(now, boost, steps)

    return schedule


def steps_until(updates: int, schedule: Schedule, end: int) -> int:
    """Return the number of steps after which the critic has had so many updates.

    It is 1 at least, and `end` + 1 where a run of `end` steps has fewer updates.
    """
    for first in range(0, end, _CHUNK):
        steps = np.asarray(schedule(np.arange(first, min(first + _CHUNK, end))))
        done = np.cumsum(steps, dtype=np.int64)
        if done[-1] >= updates:
            return first + 1 + int(np.searchsorted(done, updates))
        updates -= int(done[-1])
    return end + 1


WINDOW = 4
"""Critic updates over which overfitting is averaged before a probability changes."""


def adaptive() -> Adaptive:
    """Return the adaptive probability of a run that begins."""
    return Adaptive(jnp.zeros(()), none_seen())


def adjusted(
    state: Adaptive,
    seen: Overfitting,
    critic_step: Int[Array, ""],
    change: float,
    target: float,
) -> Adaptive:
    """Return an adaptive probability after one more update of the critic.

    Karras et al. 2020, section 3.1 (arXiv 2006.06676): after every fourth update the
    probability rises by a fixed amount if the critic's overfitting is above the target,
    falls by it if it is below, and stays in [0, 1].

    Args:
        state: The probability before.
        seen: Overfitting in this update.
        critic_step: Number of the update, from 0.
        change: The fixed amount.
        target: Overfitting at which the probability would stay.
    """
    total = jax.tree.map(jnp.add, state.overfitting, seen)
    step = change * jnp.sign(total.ratio - target)
    after = Adaptive(jnp.clip(state.probability + step, 0.0, 1.0), none_seen())
    due = (critic_step + 1) % WINDOW == 0
    summed = Adaptive(state.probability, total)
    return jax.tree.map(lambda new, old: jnp.where(due, new, old), after, summed)
