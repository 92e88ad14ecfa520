"""What one run leaves while it trains: journal, epochs, pictures, checkpoints."""

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from gan_jax.apps.train.epochs import Epochs, epoch_row
from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.results import conclude
from gan_jax.apps.train.setup import Run
from gan_jax.config.errors import DivergedError
from gan_jax.report import files
from gan_jax.report.journal import Journal, Rows
from gan_jax.report.terminal import say
from gan_jax.runs.summary import no_timing
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.distributed import broadcast, is_main
from gan_jax.training.logs import due, write_logs
from gan_jax.training.state import TrainState, Variables, trained
from gan_jax.training.updates import Log

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
        books = Journal if is_main() else Rows
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
        """Return whether `look` would do anything."""
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
            row = broadcast(lambda: epoch_row(measured.metrics))
            self._journal.write(step, row)
            self._epochs.keep(self._journal.rows, state)
        if due(step, config.sample_every) or last:
            picture = self._evaluation.draw(trained(state))
            if is_main():
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


def snapshot(state: TrainState) -> dict[str, Variables]:
    """Take what a history keeps of both networks: parameters and statistics."""
    return {"generator": state.generator.variables, "critic": state.critic.variables}
