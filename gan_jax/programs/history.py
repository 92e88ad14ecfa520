"""The snapshots that a training run has kept of both its networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import InputError
from gan_jax.programs.prior import Prior, blank_state
from gan_jax.programs.record import HISTORY, snapshot
from gan_jax.report.terminal import say
from gan_jax.training import history
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.history import History
from gan_jax.training.state import Variables


class Snapshots(NamedTuple):
    """Both networks through a run."""

    steps: list[int]
    """When each was taken."""
    generators: Variables
    """With a leading axis of snapshots."""
    critics: Variables
    """With a leading axis of snapshots."""
    end: int
    """The step at which the run ended."""

    def weighted(self, alpha: float, beta: float) -> tuple[History, Variables]:
        """Give the generators with the weights of their times, and the mean critic.

        Raises:
            InputError: no snapshot is late enough.
        """
        try:
            weights = history.weights(self.steps, self.end, alpha, beta)
        except ValueError as error:
            raise InputError(f"detector.alpha: {error}") from None
        # Those that are never drawn need no place on the device.
        some = np.flatnonzero(weights)
        both = (self.generators, self.critics)
        chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf[some]), both)
        found = jnp.asarray(weights[some], jnp.float32)
        return History(chosen[0], found), history.mean(chosen[1], found)

    @property
    def size(self) -> int:
        """How many bytes all of them take."""
        return sum(
            leaf.nbytes for leaf in jax.tree.leaves((self.generators, self.critics))
        )


def open_snapshots(prior: Prior) -> Snapshots:
    """Read what a run has kept.

    Raises:
        InputError: it has kept nothing, or not all of it can be read.
    """
    folder = prior.workdir / HISTORY
    every, end = int(prior.config.history.every), int(prior.config.steps)
    wanted = list(range(every, end + 1, every)) if every else []
    if not folder.is_dir() or not wanted:
        raise InputError(
            f"history_run {prior.workdir} has kept no history: train it with "
            "--config.history.every, at most its --config.steps"
        )
    like = jax.eval_shape(
        lambda: snapshot(blank_state(prior.config, prior.recipe, prior.channels))
    )
    with Checkpoints(folder, keep=None) as kept:
        missing = sorted(set(wanted) - set(kept.steps))
        if missing:
            raise InputError(
                _lost(prior, f"lacks steps {', '.join(map(str, missing))}")
            )
        try:
            found = [jax.device_get(kept.restore(like, say, [at])) for at in wanted]
        except InputError as error:
            raise InputError(_lost(prior, f"cannot be read ({error})")) from None
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *found)
    return Snapshots(wanted, both["generator"], both["critic"], end)


def _lost(prior: Prior, how: str) -> str:
    return f"the history of {prior.workdir} {how}: remove that folder, and run it again"
