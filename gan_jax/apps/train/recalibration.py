"""Statistics of batch normalisation for trained networks.

The running statistics of training average over many states of a network. Searches need
statistics of the final parameters, and fixed ones: with those of a batch, the result
for one image would depend on the others.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from gan_jax.networks.compilation import compiled
from gan_jax.networks.layers.normalisation import MOMENTUM
from gan_jax.networks.stages import image_of
from gan_jax.training.method import Batch, Method
from gan_jax.training.state import Trained, Variables

_STATISTICS = ("mean", "var")  # spectral normalisation has others


def recalibrate(
    method: Method, networks: Trained, batches: Iterable[Batch], key: PRNGKeyArray
) -> Trained:
    """Return networks with statistics that are means over batches.

    The critic's batches are half real, half generated with the generator's new
    statistics. Networks without batch normalisation stay as they are.

    Args:
        method: The method of the run.
        networks: The networks after training.
        batches: The batches.
        key: Key of latents and of dropout.
    """
    batches = list(batches)

    def latent(turn: int, batch: Batch) -> PyTree[Array]:
        count = len(jax.tree.leaves(batch.real)[0])
        return method.latent(jax.random.fold_in(key, turn), count)

    def mixed(
        generator: Variables, latent: PyTree[Array], batch: Batch
    ) -> tuple[Array, Any]:
        fake: Any = method.generator.apply(generator, latent, batch.condition)
        return _side_by_side(
            (batch.real, batch.real_condition),
            (image_of(fake), batch.condition),
        )

    generator = _mean_statistics(
        method.generator,
        networks.generator,
        [(latent(turn, each), each.condition) for turn, each in enumerate(batches)],
        key,
    )
    both = compiled(mixed)
    critic = _mean_statistics(
        method.critic,
        networks.critic,
        [
            both(generator, latent(turn, each), each)
            for turn, each in enumerate(batches)
        ],
        key,
    )
    return networks._replace(generator=generator, critic=critic)


def _mean_statistics(
    module: Any,
    variables: Variables,
    batches: Iterable[tuple[Any, ...]],
    key: PRNGKeyArray,
) -> Variables:
    statistics = variables.get("batch_stats", {})
    if not any(map(_is_statistic, _names(statistics))):
        return variables
    # From 0 an update leads to (1 - momentum) of the batch's statistics.
    zero = jax.tree.map(jnp.zeros_like, statistics)

    def of_batch(variables: Variables, *inputs: Any) -> PyTree[Array]:
        from_zero = {**variables, "batch_stats": _chosen(zero, statistics)}
        _, changed = module.apply(
            from_zero,
            *inputs,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        return jax.tree.map(lambda leaf: leaf / (1 - MOMENTUM), changed["batch_stats"])

    run = compiled(of_batch)
    found = [run(variables, *inputs) for inputs in batches]
    means = jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), axis=0), *found)
    return {**variables, "batch_stats": _chosen(means, statistics)}


def _chosen(new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    """Return means and variances of one tree, and everything else of another."""
    return jax.tree_util.tree_map_with_path(
        lambda path, one, other: one if _is_statistic(path[-1].key) else other, new, old
    )


def _names(tree: PyTree[Array]) -> list[str]:
    paths: Any = jax.tree_util.tree_leaves_with_path(tree)
    return [path[-1].key for path, _ in paths]


def _is_statistic(name: str) -> bool:
    return name in _STATISTICS


def _side_by_side(one: Any, other: Any) -> Any:
    """Return two batches of images and conditions as one."""
    return jax.tree.map(lambda *halves: jnp.concatenate(halves), one, other)
