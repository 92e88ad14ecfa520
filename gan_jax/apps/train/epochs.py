"""Evaluated epochs, of which the best is found at the end."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_jax.config.errors import InputError
from gan_jax.evaluation.selection import Row, candidates, ranking
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import Trained, TrainState, trained

PREFIX = "validation/"
"""Prefix of an epoch's measures in the journal."""


def epoch_row(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return an epoch's measures as values for the journal, those that are numbers."""
    return {
        PREFIX + name: float(value)
        for name, value in metrics.items()
        if isinstance(value, bool | int | float)
    }


class Epochs:
    """The evaluated epochs of a run that may still be the best; a context manager.

    The best is known only at the end, because the criterion scales each measure by its
    extremes. Epochs that another one dominates are deleted.
    """

    def __init__(self, workdir: Path, criterion: Sequence[str]):
        """Open the epochs under `<workdir>/epochs`, ranked by the measures named."""
        self._checkpoints = Checkpoints(workdir / "epochs", keep=None)
        self._names = [PREFIX + name for name in criterion]

    def __enter__(self) -> "Epochs":
        """Enter the context."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self._checkpoints.__exit__(*exception)

    def keep(self, rows: Sequence[Mapping[str, Any]], state: TrainState) -> None:
        """Keep the networks of an evaluated state, if it may be the best.

        They are on the disk when this returns, so a checkpoint is never newer than
        the epochs it needs. `rows` are those of the journal, up to the state's step.
        """
        step = int(state.step)
        steps = self._steps(rows, candidates)
        if step in steps:
            # An interrupted run may have kept it before.
            self._checkpoints.delete(step)
            self._checkpoints.save(step, trained(state)._asdict())
            self._checkpoints.wait()
        for dominated in sorted({*self._checkpoints.steps} - {*steps}):
            self._checkpoints.delete(dominated)

    def best(
        self,
        rows: Sequence[Mapping[str, Any]],
        state: TrainState,
        warn: Callable[[str], None],
    ) -> Trained | None:
        """Return the networks of the best epoch, None if none was kept.

        For every epoch that cannot be read `warn` is called with a line, and the next
        best takes its place. `state` is any state of the run, for its structure.
        """
        kept = self._checkpoints.steps
        order = [step for step in self._steps(rows, ranking) if step in kept]
        try:
            restored = self._checkpoints.restore(trained(state)._asdict(), warn, order)
        except InputError as error:
            warn(f"{error}; the last epoch is used in place of the best")
            return None
        if restored is None:
            return None
        return Trained(**restored)

    def criterion(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the measures of the criterion that were ever computed."""
        return [
            name.removeprefix(PREFIX)
            for name in self._names
            if any(name in row for row in rows)
        ]

    def _steps(
        self,
        rows: Sequence[Mapping[str, Any]],
        choose: Callable[[Sequence[Row], Sequence[str]], list[int]],
    ) -> list[int]:
        names = [PREFIX + name for name in self.criterion(rows)]
        return [rows[index]["step"] for index in choose(rows, names)]
