"""The snapshots that a training run has kept of both its networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gan_jax.apps.detect import history
from gan_jax.apps.detect.detector import CHUNK
from gan_jax.apps.detect.history import History, sample
from gan_jax.apps.train.outputs import HISTORY, snapshot
from gan_jax.config.errors import InputError
from gan_jax.networks.compilation import compiled
from gan_jax.report.terminal import say
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior, blank_state
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Method
from gan_jax.training.schedules import steps_until
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
    epoch: int
    """The step at which the critic had seen as many images as train it."""

    def generated(self, alpha: float, beta: float) -> History:
        """Return the generators with the probabilities of their times.

        The density of t is c exp(-beta t) on [alpha, 1], of the run.

        Raises:
            InputError: no snapshot is late enough.
        """
        try:
            weights = history.weights(self.steps, self.end, alpha, beta)
        except ValueError as error:
            raise InputError(f"detector.alpha: {error}") from None
        # Those that are never drawn need no place on the device.
        some = np.flatnonzero(weights)
        chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf[some]), self.generators)
        return History(chosen, jnp.asarray(weights[some], jnp.float32))

    def critic_weights(self, beta: float) -> Float[np.ndarray, "snapshots"]:
        """Return the weight of each critic in their mean: c exp(-beta t), summing to 1.

        Over all times from the first epoch on, whatever the generators' alpha, as the
        talk's integral of the mean begins at 1. A snapshot of before the critic had
        seen as many images as train it has weight 0. In a run that kept none later,
        all count.
        """
        since = self.epoch if self.steps[-1] >= self.epoch else 0
        return history.weights(self.steps, self.end, since / self.end, beta)

    def mean_critic(self, beta: float) -> Variables:
        """Return the critic whose arrays are the weighted means of the saved critics'.

        Chatillon & Ballester 2019: where D_TV starts.
        """
        weights = jnp.asarray(self.critic_weights(beta), jnp.float32)
        return history.mean(self.critics, weights)

    @property
    def size(self) -> int:
        """How many bytes all of them take."""
        return sum(
            leaf.nbytes for leaf in jax.tree.leaves((self.generators, self.critics))
        )


def open_snapshots(prior: Prior, count: int) -> Snapshots:
    """Read what a run has kept.

    Args:
        prior: the run.
        count: the images that it was trained on.

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
        lambda: snapshot(blank_state(prior.config, prior.method, prior.channels))
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
    batches = -(-count // prior.config.batch_size)
    epoch = steps_until(batches, prior.method.critic_steps, end)
    return Snapshots(wanted, both["generator"], both["critic"], end, epoch)


def of_history(
    method: Method, history: History, count: int, seed: int
) -> Float[np.ndarray, "count height width channels"]:
    """Return images of a history, in [-1, 1], that nothing learns from."""
    draw = compiled(
        lambda history, key: sample(
            method.generator,
            history,
            method.latent(jax.random.fold_in(key, 0), CHUNK),
            jax.random.fold_in(key, 1),
            CHUNK // 5,
        )
    )
    key = jax.random.fold_in(jax.random.key(seed), 1_000_033)
    images: np.ndarray = in_chunks(
        lambda at: draw(history, jax.random.fold_in(key, at[0])), count, CHUNK
    )
    return images


def _lost(prior: Prior, how: str) -> str:
    return f"the history of {prior.workdir} {how}: remove that folder, and run it again"
