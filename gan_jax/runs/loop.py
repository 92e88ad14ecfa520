"""The training loop, the same for every network that trains."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import PyTree

from gan_jax.config.errors import DivergedError, Interrupted
from gan_jax.report.journal import Rows
from gan_jax.report.progress import Progress
from gan_jax.runs.signals import Signals
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.distributed import all_max
from gan_jax.training.updates import CAUSES, Log

State = TypeVar("State")

Advance = Callable[[Any, PyTree, int], tuple[Any, Any]]
"""`advance(state, arrays, count) -> (state, logs)`: the next `count` steps."""

_FIRST_STEPS = 20  # each of them is logged


def iterate(
    state: State,
    step: int,
    end: int,
    *,
    title: str,
    read: Callable[[int], tuple[int, PyTree]],
    compile_advance: Callable[[State, PyTree], Advance],
    log: Callable[[Any, int, int], Mapping[str, Any]],
    record: Callable[[int, State], State],
    saves: Callable[[int], bool],
    save: Callable[[int, State, bool], None],
    signals: Signals,
    ended: Callable[[State], bool] = lambda state: False,
) -> tuple[State, dict[str, float] | None]:
    """Train from a step to the last one, several steps in each compiled call.

    Args:
        state: State that training carries from step to step.
        step: Steps done already.
        end: Steps to be done in all.
        title: Title of the progress.
        read: `read(step) -> (count, arrays)`: the number of steps in the next call, and
            what `load` of the feed returns for them. It is called while the device
            computes.
        compile_advance: `compile_advance(state, arrays) -> advance` for such arrays.
        log: `log(logs, first, count)` checks and writes the logs of `count` steps after
            step `first`, and returns values to show.
        record: `record(step, state)` evaluates or draws where that is due, and returns
            the state, in which it may note the best one.
        saves: `saves(step)`: whether a checkpoint is due; the last step always has one.
        save: `save(step, state, wait)` saves a checkpoint, in the background unless
            `wait`.
        signals: Signals, or a limit of time, that stop all processes after the current
            call.
        ended: `ended(state)`: whether to end before the last step.

    Returns:
        The last state, and `compile_seconds`, `steps_per_second` without the time of
        `record`, and `host_share`, the share of the training time, without `record`, in
        which the device waited for the host; None where nothing was left to do.

    Raises:
        Interrupted: A signal was received; the state is saved.
        DivergedError: A value is not finite.
    """
    if step >= end or ended(state):
        return state, None
    begun, host, pauses = step, 0.0, 0.0
    with Progress(end, step, title) as progress:
        count, arrays = read(step)
        start = time.monotonic()
        advance = compile_advance(state, arrays)
        all_max(0)  # a step would time out on processes that still compile
        compiled = idle = time.monotonic()  # idle: since when the device waits
        while step < end and not ended(state):
            host += time.monotonic() - idle
            state, logs = advance(state, arrays, count)
            first, step = step, step + count
            if step < end:
                count, arrays = read(step)  # while the device computes
            logs = jax.device_get(logs)
            idle = time.monotonic()
            progress.advance(step, log(logs, first, step - first))
            pause = time.monotonic()
            state = record(step, state)
            pause = time.monotonic() - pause
            pauses, idle = pauses + pause, idle + pause
            stopping = all_max(signals.to_obey()) if step < end else 0
            if saves(step) or step == end or stopping:
                save(step, state, bool(stopping))
            if stopping:
                raise Interrupted(
                    stopping, f"stopped at step {step}; the same command continues"
                )
    seconds = time.monotonic() - compiled - pauses
    return state, {
        "compile_seconds": compiled - start,
        "steps_per_second": (step - begun) / seconds,
        "host_share": host / seconds,
    }


def save_checkpoint(
    journal: Rows, checkpoints: Checkpoints, step: int, state: PyTree, wait: bool
) -> None:
    """Save a state, and before it the journal up to its step; `wait` for the disk."""
    journal.flush()
    checkpoints.save(step, state)
    if wait:
        checkpoints.wait()


def due(step: int, every: int) -> bool:
    """Return whether something is due that happens every so many steps, 0 = never."""
    return bool(every) and step % every == 0


def steps_left(step: int, every: int) -> int:
    """Return the steps to the next multiple of `every`; very many where it is 0."""
    return every - step % every if every else 2**30


def write_logs(
    journal: Rows, logs: Log, first: int, count: int, every: int
) -> dict[str, Any]:
    """Check a call's steps, write some of them, and return the values of the last.

    The first 20 steps of a run are written, then every so many; 0 = no more. `first` is
    the step before the call, and `logs` have a leading axis of at least `count`.

    Raises:
        DivergedError: A value is not finite.
    """
    check(logs, first, count)
    rows = [{name: row[at] for name, row in logs.values.items()} for at in range(count)]
    for step, row in enumerate(rows, first + 1):
        if step <= _FIRST_STEPS or due(step, every):
            journal.write(step, row)
    return rows[-1]


def check(logs: Log, first: int, count: int) -> None:
    """Stop at the first value of a call that is not finite.

    Raises:
        DivergedError: Names the step, and the tensor that is the cause.
    """
    bad = {tensor: ~rows[:count] for tensor, rows in logs.finite.items()}
    steps = [int(np.argmax(rows)) for rows in bad.values() if rows.any()]
    if not steps:
        return
    at = min(steps)
    tensors = [tensor for tensor, rows in bad.items() if rows[at]]
    cause, path = min(tensors, key=lambda tensor: CAUSES.index(tensor[0]))
    more = len(tensors) - 1
    raise DivergedError(
        f"not finite at step {first + at + 1}: {cause} {path}"
        + (f" (and {more} tensors that follow from it)" if more else "")
        + "; the last good checkpoint is kept, a lower learning rate may help"
    )
