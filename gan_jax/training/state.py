"""What training carries from step to step: arrays only, so the checkpoint is it."""

import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Variables = dict[str, Any]
"""Collections of a flax module: `params` and its statistics, e.g. `batch_stats`."""


class Player(NamedTuple):
    """A network in training."""

    parameters: PyTree[Array]
    statistics: Variables
    """Every collection of the module but its parameters."""
    optimizer: PyTree[Array]

    @property
    def variables(self) -> Variables:
        """What the module's `apply` takes."""
        return {"params": self.parameters, **self.statistics}


class TrainState(NamedTuple):
    """The whole state of a run; everything else is a function of it and the config."""

    step: Int[Array, ""]
    """Steps done: each a round of critic updates, then of generator updates."""
    critic_step: Int[Array, ""]
    """Critic updates done; the next one takes this batch of the feed."""
    key: PRNGKeyArray
    """Constant: the randomness of a step is `fold_in(key, step)`."""
    generator: Player
    critic: Player
    average: Variables
    """Moving average of the generator's parameters and statistics."""
    weights: dict[str, dict[str, Float[Array, ""]]]
    """Weights of the loss terms by player and name; arrays, so that a population may
    train one program under many weights."""


class Trained(NamedTuple):
    """What a run is used as: networks with their statistics, and when."""

    step: Int[Array, ""]
    generator: Variables
    """The moving average."""
    critic: Variables
    critic_optimizer: PyTree[Array] = None
    """The state of the critic's optimiser, for whoever trains it further."""


def trained(state: TrainState) -> Trained:
    """Take from a state what a prior needs."""
    critic = state.critic
    return Trained(state.step, state.average, critic.variables, critic.optimizer)


def moving_average(
    average: PyTree[Array], current: PyTree[Array], step: Int[Array, ""], decay: float
) -> PyTree[Array]:
    """Move an average towards the current values.

    The decay in force is min(decay, (1 + t) / (10 + t)) after t updates, so that the
    random initial values are soon forgotten.
    """
    count = step.astype(jnp.float32)
    rate = 1.0 - jnp.minimum(decay, (1.0 + count) / (10.0 + count))
    return jax.tree.map(lambda old, new: old + rate * (new - old), average, current)


def digest(tree: PyTree[Array | np.ndarray]) -> str:
    """Hash the names, shapes and values of all arrays of a tree (SHA-256)."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
