"""What a stretch of steps logs, checked and written."""

import numpy as np

from gan_jax.config.errors import DivergedError
from gan_jax.report.journal import Rows
from gan_jax.training.updates import CAUSES, Log

_FIRST_STEPS = 20  # each of them is logged


def write_logs(journal: Rows, logs: Log, first: int, count: int, every: int) -> None:
    """Write a stretch of steps into a journal: the first ones, then some.

    Args:
        journal: of a run.
        logs: of the stretch, with a leading axis.
        first: the step before the stretch.
        count: of steps in it.
        every: so many steps one is written.

    Raises:
        DivergedError: a value is not finite.
    """
    check(logs, first, count)
    for turn in range(count):
        step = first + turn + 1
        if step <= _FIRST_STEPS or due(step, every):
            journal.write(step, {name: row[turn] for name, row in logs.values.items()})


def check(logs: Log, first: int, count: int) -> None:
    """Stop at the first value of a stretch that is not finite.

    Raises:
        DivergedError: names the step, and the tensor that is the cause.
    """
    bad = {name: ~rows[:count] for name, rows in logs.finite.items()}
    steps = [int(np.argmax(rows)) for rows in bad.values() if rows.any()]
    if not steps:
        return
    worst = min(steps)
    names = sorted(
        (name for name, rows in bad.items() if rows[worst]),
        key=lambda name: CAUSES.index(" ".join(name.split()[:2])),
    )
    raise DivergedError(
        f"not finite at step {first + worst + 1}: {names[0]}"
        + (f" (and {len(names) - 1} tensors that follow from it)" if names[1:] else "")
        + "; the last good checkpoint is kept, a lower learning rate may help"
    )


def due(step: int, every: int) -> bool:
    """Return whether something that happens every so many steps, 0 = never, is due."""
    return bool(every) and step % every == 0
