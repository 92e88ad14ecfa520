"""The files of a run in training: journal, epochs, samples, checkpoints."""

import contextlib
from typing import Any

from gan_jax.apps.train.epochs import Epochs, epoch_row
from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.setup import Run
from gan_jax.config.errors import DivergedError
from gan_jax.report.journal import Journal, Rows
from gan_jax.report.ownership import write_image
from gan_jax.report.terminal import say
from gan_jax.runs.loop import due, save_checkpoint, write_logs
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.distributed import broadcast, is_main
from gan_jax.training.state import TrainState, Variables, stored, trained
from gan_jax.training.updates import Log

HISTORY = "history"
"""The folder of snapshots, in the workdir of a run."""


class Outputs:
    """The files of one run while it trains.

    `restore` comes first: it opens the journal. Then `log`, `record` and `save` follow
    each call of several steps in this order, so that everything before a checkpoint is
    on the disk when it is saved.
    """

    def __init__(self, run: Run, stack: contextlib.ExitStack):
        """Open the files, which `stack` closes, and the evaluation of a run.

        The evaluation may train a feature network, which takes minutes.
        """
        workdir, enter = run.workdir, stack.enter_context
        self.run = run
        self.failure: DivergedError | None = None
        """Why the run cannot continue."""
        self.evaluation = Evaluation(run)
        self.epochs = enter(Epochs(workdir, run.task.evaluation.criterion))
        self._checkpoints = enter(Checkpoints(workdir / "checkpoints"))
        self._history = (
            enter(Checkpoints(workdir / HISTORY, keep=None))
            if run.config.history.every
            else None
        )
        self._stack = stack

    def restore(self, initial: TrainState) -> TrainState:
        """Return the last checkpoint's state, or `initial`; open the journal there."""
        steps = self.run.config.steps
        restored = self._checkpoints.restore(stored(initial), warn=say)
        state = initial if restored is None else TrainState(**restored)
        step = int(state.step)
        if step >= steps:
            say(f"{self.run.workdir} is trained to step {step}: evaluating it again")
        elif step:
            say(f"{self.run.workdir} continues at step {step} of {steps}")
        kind = Journal if is_main() else Rows
        self.journal = self._stack.enter_context(
            kind(self.run.workdir, step if step else None)
        )
        return state

    def log(self, logs: Log, first: int, count: int) -> dict[str, Any]:
        """Write steps into the journal; where one is not finite, set `failure`.

        Returns:
            The values of the last step, none where there is a failure.
        """
        try:
            period = self.run.config.log_every
            return write_logs(self.journal, logs, first, count, period)
        except DivergedError as error:
            self.failure = error
            return {}

    def is_due(self, step: int) -> bool:
        """Return whether `record` has anything to do."""
        config = self.run.config
        periods = (config.history.every, config.evaluation.every, config.sample_every)
        return step == config.steps or any(due(step, period) for period in periods)

    def record(self, step: int, state: TrainState) -> None:
        """Keep a snapshot, measure and draw a state, each where the config says so."""
        config = self.run.config
        last = step == config.steps
        if self._history is not None and due(step, config.history.every):
            self._history.save(step, snapshot(state))
        period = config.evaluation.every
        if due(step, period) or (last and period):
            measured = self.evaluation.measure(
                trained(state), "validation", config.evaluation.count
            )
            # The main process's values decide in all processes which epochs are kept.
            row = broadcast(lambda: epoch_row(measured.metrics))
            self.journal.write(step, row)
            self.epochs.keep(self.journal.rows, state)
        if due(step, config.sample_every) or last:
            picture = self.evaluation.draw(trained(state))
            if is_main():
                plate = self.run.workdir / "samples" / f"{step:08d}.png"
                write_image(self.run.workdir, plate, picture)
            self.journal.image(step, "samples", picture)

    def save(self, step: int, state: TrainState, wait: bool = False) -> None:
        """Save a checkpoint, in the background unless `wait`."""
        if self._history is not None:
            self._history.wait()  # a run continued from here does not take it again
        save_checkpoint(self.journal, self._checkpoints, step, stored(state), wait)


def snapshot(state: TrainState) -> dict[str, Variables]:
    """Return what a history keeps of both networks: parameters and statistics."""
    return {"generator": state.generator.variables, "critic": state.critic.variables}
