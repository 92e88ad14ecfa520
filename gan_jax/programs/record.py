"""What one run leaves while it trains: journal, epochs, pictures, checkpoints."""

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from gan_jax.errors import DivergedError
from gan_jax.programs.assembly import Run
from gan_jax.programs.evaluation import Evaluation
from gan_jax.programs.results import conclude, no_timing
from gan_jax.programs.selection import Epochs, epoch_row
from gan_jax.report import files
from gan_jax.report.journal import Journal, Rows
from gan_jax.report.terminal import say
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.processes import leads, of_first
from gan_jax.training.state import TrainState, Variables, trained
from gan_jax.training.updates import CAUSES, Log

_FIRST_STEPS = 20  # each of them is logged

HISTORY = "history"
"""The folder of snapshots, in the workdir of a run."""


class Record:
    """The books of one run; a context manager.

    They are kept in the order `log`, `look`, `save` after each stretch of steps, so
    that a checkpoint stands for everything before it having been written.
    """

    def __init__(self, this: Run):
        """Open the run's measures; the books are opened by entering."""
        self.this = this
        self.failure: DivergedError | None = None
        """Why the run cannot go on."""
        self._evaluation = Evaluation(this)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Record":
        """Open the books."""
        with self._stack as stack:
            workdir, config = self.this.workdir, self.this.config
            enter = stack.enter_context
            self._checkpoints = enter(Checkpoints(workdir / "checkpoints"))
            self._epochs = enter(Epochs(workdir, self.this.task.criterion))
            self._history = (
                enter(Checkpoints(workdir / HISTORY, keep=None))
                if config.history.every
                else None
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the books, once everything is on the disk."""
        self._stack.__exit__(kind, error, trace)

    def begin(self, state: TrainState) -> TrainState:
        """Go on from the last checkpoint, or from `state`; open the journal there."""
        steps = self.this.config.steps
        restored = self._checkpoints.restore(state, warn=say)
        state = state if restored is None else restored
        step = int(state.step)
        if step >= steps:
            say(f"{self.this.workdir} is trained to step {step}: evaluating it again")
        elif step:
            say(f"{self.this.workdir} continues at step {step} of {steps}")
        books = Journal if leads() else Rows
        self._journal = self._stack.enter_context(
            books(self.this.workdir, step if step else None)
        )
        return state

    def log(self, logs: Log, first: int, count: int) -> None:
        """Write a stretch of steps into the journal.

        Raises:
            DivergedError: a value of it is not finite.
        """
        write_logs(self._journal, logs, first, count, self.this.config.log_every)

    def looks(self, step: int) -> bool:
        """Tell whether `look` would do anything."""
        config = self.this.config
        every = (config.history.every, config.evaluation.every, config.sample_every)
        return step == config.steps or any(due(step, each) for each in every)

    def look(self, step: int, state: TrainState) -> None:
        """Keep, measure and draw a state where the config says so."""
        config = self.this.config
        last = step == config.steps
        if self._history is not None and due(step, config.history.every):
            self._history.save(step, snapshot(state))
        every = config.evaluation.every
        if due(step, every) or (last and every):
            measured = self._evaluation.measure(
                trained(state), "validation", config.evaluation.count
            )
            # Of one process alone: by these all decide which epochs are kept.
            row = of_first(lambda: epoch_row(measured.metrics))
            self._journal.write(step, row)
            self._epochs.keep(self._journal.rows, state)
        if due(step, config.sample_every) or last:
            picture = self._evaluation.draw(trained(state))
            if leads():
                plate = self.this.workdir / "samples" / f"{step:08d}.png"
                files.write_image(plate, picture)
            self._journal.image(step, "samples", picture)

    def save(self, step: int, state: TrainState, wait: bool = False) -> None:
        """Save a state, in the background unless `wait`."""
        self._journal.flush()
        if self._history is not None:
            self._history.wait()  # a run that goes on from here does not take it again
        self._checkpoints.save(step, state)
        if wait:
            self._checkpoints.wait()

    def conclude(
        self, state: TrainState, timing: Mapping[str, float] | None, began: float
    ) -> dict[str, Any]:
        """Measure the final networks and write the summary and the report."""
        return conclude(
            self.this,
            state,
            self._evaluation,
            self._epochs,
            self._journal,
            timing or no_timing(),
            began,
        )


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


def snapshot(state: TrainState) -> dict[str, Variables]:
    """Take what a history keeps of both networks: parameters and statistics."""
    return {"generator": state.generator.variables, "critic": state.critic.variables}


def due(step: int, every: int) -> bool:
    """Tell whether something that happens every so many steps, 0 = never, is due."""
    return bool(every) and step % every == 0
