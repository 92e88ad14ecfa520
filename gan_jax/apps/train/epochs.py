"""Keeping the epochs of which one will turn out to be the best."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_jax.config.errors import InputError
from gan_jax.evaluation.selection import Row, candidates, ranking
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import Trained, TrainState, trained

PREFIX = "validation/"
"""Begins the names of an epoch's measures in the journal."""


def epoch_row(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Turn an epoch's measures into values for the journal; unknown ones are out."""
    return {
        PREFIX + name: float(value)
        for name, value in metrics.items()
        if isinstance(value, bool | int | float)
    }


class Epochs:
    """The evaluated epochs of a run, those on the disk that may still be the best.

    Which one is the best is known only at the end, because the criterion scales each
    measure by its extremes; but one that another dominates never will be, and is
    dropped. A context manager.
    """

    def __init__(self, workdir: Path, criterion: Sequence[str]):
        """Open the epochs of a run under `<workdir>/epochs`."""
        self._kept = Checkpoints(workdir / "epochs", keep=None)
        self._names = [PREFIX + name for name in criterion]

    def __enter__(self) -> "Epochs":
        """Enter the context."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self._kept.__exit__(*exception)

    def keep(self, rows: Sequence[Mapping[str, Any]], state: TrainState) -> None:
        """Keep a state that has just been evaluated, where it may be the best.

        It is whole on the disk when this returns: a later checkpoint of the run stands
        for its having been kept.

        Args:
            rows: of the journal, to the state's step.
            state: of which the averaged generator and the critic are kept.
        """
        step = int(state.step)
        steps = self._steps(rows, candidates)
        if step in steps:
            # What may lie there was kept before the run was interrupted.
            self._kept.delete(step)
            self._kept.save(step, trained(state)._asdict())
            self._kept.wait()
        for other in self._kept.steps:
            if other not in steps:
                self._kept.delete(other)

    def best(
        self,
        rows: Sequence[Mapping[str, Any]],
        state: TrainState,
        warn: Callable[[str], None],
    ) -> Trained | None:
        """Find the best epoch and its networks, None if none was kept.

        Args:
            rows: of the journal.
            state: of the same run, for its structure.
            warn: gets a line for every epoch that cannot be read; the next is taken.
        """
        order = [
            step for step in self._steps(rows, ranking) if step in self._kept.steps
        ]
        try:
            restored = self._kept.restore(trained(state)._asdict(), warn, order)
        except InputError as error:
            warn(f"{error}; the last epoch stands for the best")
            return None
        if restored is None:
            return None
        return Trained(**restored)

    def criterion(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Name the measures that choose: one never computed has no say."""
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
