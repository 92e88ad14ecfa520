"""The state that training carries from step to step: arrays only."""

import hashlib
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.losses.overfitting import Overfitting

Variables = dict[str, Any]
"""Collections of a flax module: `params` and its statistics, e.g. `batch_stats`."""


class Player(NamedTuple):
    """A network in training."""

    parameters: PyTree[Array]
    statistics: Variables
    """Every collection of the module except its parameters."""
    optimizer: PyTree[Array]

    @property
    def variables(self) -> Variables:
        """The variables that the module's `apply` takes."""
        return {"params": self.parameters, **self.statistics}


class Adaptive(NamedTuple):
    """A probability of augmentation that follows the critic's overfitting."""

    probability: Float[Array, ""]
    overfitting: Overfitting
    """The sum over the critic's updates since the probability was last adjusted."""


class TrainState(NamedTuple):
    """The state of a run, which a checkpoint holds."""

    step: Int[Array, ""]
    """Steps done. A step is critic updates, then generator updates."""
    critic_step: Int[Array, ""]
    """Critic updates done; also the number of the feed's next batch."""
    key: PRNGKeyArray
    """Constant; every update folds in its kind and its own number."""
    generator: Player
    critic: Player
    average: Variables
    """Moving average of the generator's parameters and statistics."""
    weights: dict[str, dict[str, Float[Array, ""]]]
    """Weights of the loss terms, by player and name; arrays, so that one program trains
    a population under many weights (`launch.benchmark.populations` and tests)."""
    augmentation: Adaptive | None = None
    """None where the probability of augmentation is fixed, or there is none."""


def stored(state: TrainState) -> dict[str, PyTree[Array]]:
    """Return the fields of a state as a checkpoint holds them.

    Fields without arrays are left out: Orbax would not read a state that was saved
    before such a field existed. `TrainState(**fields)` is the state again.
    """
    return {name: value for name, value in state._asdict().items() if value is not None}


class Trained(NamedTuple):
    """The networks of a run at a step, with their statistics."""

    step: Int[Array, ""]
    generator: Variables
    """The moving average."""
    critic: Variables
    critic_optimizer: PyTree[Array] = None
    """The state of the critic's optimiser, to continue training it."""


def trained(state: TrainState) -> Trained:
    """Return the networks of a state, for use."""
    critic = state.critic
    return Trained(state.step, state.average, critic.variables, critic.optimizer)


def moving_average(
    average: PyTree[Array], current: PyTree[Array], step: Int[Array, ""], decay: float
) -> PyTree[Array]:
    """Return an exponential moving average after one more update.

    `step` is the number of updates before this one, t. The decay is
    min(`decay`, (1 + t) / (10 + t)), so that random initial values are soon forgotten.
    """
    count = step.astype(jnp.float32)
    rate = 1.0 - jnp.minimum(decay, (1.0 + count) / (10.0 + count))
    return jax.tree.map(lambda old, new: old + rate * (new - old), average, current)


def bytes_of(tree: PyTree) -> int:
    """Return the bytes of arrays, of which the shapes are known."""
    return sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )


def digest(tree: PyTree[Array | np.ndarray]) -> str:
    """Return the SHA-256 of the names, shapes and values of all arrays of a tree."""
    sha256 = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        sha256.update(f"{jax.tree_util.keystr(path)}{array.shape}".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()
