"""How many updates of the critic a step has."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

Steps = Int[Array | np.ndarray, "*steps"] | int
Schedule = Callable[[Steps], Int[Array, "*steps"]]
"""`schedule(step)`: critic updates of a step, whose number may be traced, or of each of
several."""


def boosted(steps: int, boost: int = 0, first: int = 0, every: int = 0) -> Schedule:
    """Return a schedule of `steps` critic updates, and of `boost` now and then.

    A Wasserstein critic is kept near its optimum so: 5 updates, but 100 in the first 25
    steps and in every 500th (Arjovsky's own code; Cooper 2017).

    Args:
        steps: in ordinary steps.
        boost: in steps below `first` and in multiples of `every`.
        first: 0 = no such beginning.
        every: 0 = never.
    """

    def schedule(step: Steps) -> Int[Array, "*steps"]:
        step = jnp.asarray(step)
        now = step < first
        if every:
            now |= step % every == 0
        return jnp.where(now, boost, steps)

    return schedule


def steps_until(turns: int, schedule: Schedule, end: int) -> int:
    """Return after how many steps the critic has moved `turns` times.

    Args:
        turns: critic updates, at least 1.
        schedule: of them.
        end: the steps of the run.

    Returns:
        Between 1 and `end`, or `end` + 1 where the critic moves less often in all.
    """
    done = np.cumsum(np.asarray(schedule(np.arange(end))), dtype=np.int64)
    return 1 + int(np.searchsorted(done, turns))
