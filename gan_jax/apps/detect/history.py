"""The history of a training run: its saved networks, as a distribution of images.

Chatillon & Ballester 2019 (arXiv 1912.11843): draw a time t from the density
c exp(-beta t) on [alpha, end], a latent from its distribution, and take G_t(z). Early
generators make images far from the data, late ones images close to it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.apps.train.outputs import HISTORY, snapshot
from gan_jax.config.errors import InputError
from gan_jax.networks.compilation import compiled
from gan_jax.report.terminal import say
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior, blank_state
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Images, Method
from gan_jax.training.population import Form
from gan_jax.training.schedules import steps_until
from gan_jax.training.state import Variables

_CHUNK = 250  # images generated at once; the numbers drawn depend on it


class History(NamedTuple):
    """The generators of a run with the probability of each, as arrays."""

    generators: Variables
    """Parameters and statistics, with a leading axis of snapshots."""
    weights: Float[Array, "snapshots"]
    """Probability of each snapshot."""


def snapshot_weights(
    steps: Sequence[int], end: int, alpha: float, beta: float
) -> Float[np.ndarray, "snapshots"]:
    """Return the weight of each snapshot: c exp(-beta t) for t >= alpha, summing to 1.

    They are the probabilities of generators, and the shares of critics in their mean.

    Args:
        steps: Step of each snapshot.
        end: Last step of the run.
        alpha: Time, as a share of the run, before which the weights are 0.
        beta: Rate of the density: at the end of the run it is exp(-beta) times its
            value at the beginning. 0 weighs all alike.

    Raises:
        ValueError: If no snapshot was taken at `alpha` or later.
    """
    times = np.asarray(steps, np.float64) / end
    if not (times >= alpha).any():
        raise ValueError(f"none of {len(steps)} snapshots is at {alpha} or later")
    # Counted from the first snapshot with weight: a large beta must not round all to 0.
    since = times - times[times >= alpha].min()
    density = np.where(times >= alpha, np.exp(-beta * since.clip(0)), 0.0)
    weights: np.ndarray = density / density.sum()
    return weights


def weighted_mean(
    snapshots: PyTree[Float[Array | np.ndarray, "snapshots ..."]],
    weights: Float[Array, "snapshots"],
) -> PyTree[Array]:
    """Return the weighted mean of networks' arrays over their snapshots."""
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), snapshots)


def draw_snapshots(
    key: PRNGKeyArray, weights: Float[Array, "snapshots"], count: int
) -> Int[Array, "count"]:
    """Return the indices of `count` snapshots, drawn by their probabilities."""
    return jax.random.choice(key, len(weights), (count,), p=weights)


def sample_history(
    generator: nn.Module,
    history: History,
    latents: Float[Array, "count latent"],
    key: PRNGKeyArray,
    groups: int,
    form: Form = "map",
) -> Images:
    """Return images of the history, with several times t in a batch.

    Args:
        generator: Module of all snapshots.
        history: Generators of the run.
        latents: Latent of each image.
        key: Key of the draw of times.
        groups: Number of times drawn; the images of a group share a generator. It
            must divide the number of images.
        form: `vmap` runs the generators side by side, `map` one after the other, which
            is faster on CPUs.

    Raises:
        ValueError: If the groups do not divide the images.
    """
    count = len(latents)
    if count % groups:
        raise ValueError(f"{count} images make no {groups} groups of one size")
    drawn = draw_snapshots(key, history.weights, groups)

    def generate(group: tuple[Array, Array]) -> Images:
        time, latents = group
        variables = jax.tree.map(lambda leaf: leaf[time], history.generators)
        images: Any = generator.apply(variables, latents)
        return images

    over: Callable[..., Images] = (
        jax.vmap(generate)
        if form == "vmap"
        else (lambda groups: jax.lax.map(generate, groups))
    )
    images = over((drawn, latents.reshape(groups, count // groups, -1)))
    return images.reshape(count, *images.shape[2:])


def history_images(
    method: Method, history: History, count: int, seed: int
) -> Float[np.ndarray, "count height width channels"]:
    """Return images of a history in [-1, 1], drawn apart from those of training."""
    draw = compiled(
        lambda history, key: sample_history(
            method.generator,
            history,
            method.latent(jax.random.fold_in(key, 0), _CHUNK),
            jax.random.fold_in(key, 1),
            _CHUNK // 5,
        )
    )
    key = jax.random.fold_in(jax.random.key(seed), 1_000_033)
    images: np.ndarray = in_chunks(
        lambda at: draw(history, jax.random.fold_in(key, at[0])), count, _CHUNK
    )
    return images


class Snapshots(NamedTuple):
    """Both networks of a run at several steps."""

    steps: list[int]
    """Step of each snapshot."""
    generators: Variables
    """Variables with a leading axis of snapshots."""
    critics: Variables
    """Variables with a leading axis of snapshots."""
    end: int
    """Last step of the run."""
    epoch: int
    """Step at which the critic had seen as many images as the training set holds."""

    def history(self, alpha: float, beta: float) -> History:
        """Return the generators with their probabilities, as `snapshot_weights`.

        Raises:
            InputError: If no snapshot is late enough.
        """
        try:
            weights = snapshot_weights(self.steps, self.end, alpha, beta)
        except ValueError as error:
            raise InputError(f"--config.detector.alpha: {error}") from None
        # Snapshots that are never drawn need no place on the device.
        drawn = np.flatnonzero(weights)
        generators = jax.tree.map(
            lambda leaf: jnp.asarray(leaf[drawn]), self.generators
        )
        return History(generators, jnp.asarray(weights[drawn], jnp.float32))

    def critic_weights(self, beta: float) -> Float[np.ndarray, "snapshots"]:
        """Return the weight of each critic in their mean, as `snapshot_weights`.

        All times from the first epoch on count, whatever the generators' alpha: the
        integral of the mean in the authors' talk begins at 1. Snapshots of the first
        epoch weigh 0, unless the run kept none later.
        """
        since = self.epoch if self.steps[-1] >= self.epoch else 0
        return snapshot_weights(self.steps, self.end, since / self.end, beta)

    def mean_critic(self, beta: float) -> Variables:
        """Return the weighted mean of the saved critics' arrays.

        It is the initial D_TV of Chatillon & Ballester 2019.
        """
        weights = jnp.asarray(self.critic_weights(beta), jnp.float32)
        return weighted_mean(self.critics, weights)

    @property
    def size(self) -> int:
        """Return the size of all networks in bytes."""
        leaves = jax.tree.leaves((self.generators, self.critics))
        return sum(leaf.nbytes for leaf in leaves)


def open_snapshots(prior: Prior, count: int) -> Snapshots:
    """Read the snapshots of a run that was trained on `count` images.

    Raises:
        InputError: If it has kept none, or one cannot be read.
    """
    folder = prior.workdir / HISTORY
    interval, end = int(prior.config.history.every), int(prior.config.steps)
    wanted = list(range(interval, end + 1, interval)) if interval else []
    if not folder.is_dir() or not wanted:
        raise InputError(
            f"--config.history_run {prior.workdir} has kept no history: train it with "
            "--config.history.every, at most its --config.steps"
        )
    like = jax.eval_shape(
        lambda: snapshot(
            blank_state(prior.config, prior.task, prior.method, prior.channels)
        )
    )
    unusable = (
        f"the history of {prior.workdir} {{}}: remove that folder, and run it again"
    )
    with Checkpoints(folder, keep=None, read_only=True) as checkpoints:
        missing = sorted(set(wanted) - set(checkpoints.steps))
        if missing:
            steps = ", ".join(map(str, missing))
            raise InputError(unusable.format(f"lacks steps {steps}"))
        try:
            snapshots = [
                jax.device_get(checkpoints.restore(like, say, [at])) for at in wanted
            ]
        except InputError as error:
            raise InputError(unusable.format(f"cannot be read ({error})")) from None
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *snapshots)
    batches = -(-count // prior.config.batch_size)
    epoch = steps_until(batches, prior.method.critic_steps, end)
    return Snapshots(wanted, both["generator"], both["critic"], end, epoch)
