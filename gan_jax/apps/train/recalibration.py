"""Statistics of batch normalisation for networks whose training is over.

What training leaves mixes many states of a network, and a critic's mixes real and
generated images as they came last. Searches need fixed statistics that fit the final
parameters: with a batch's own, the result for one image would depend on the others.
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

_STATISTICS = ("mean", "var")  # spectral norm keeps its own beside them


def recalibrate(
    method: Method, networks: Trained, examples: Iterable[Batch], key: PRNGKeyArray
) -> Trained:
    """Take both networks' statistics anew, as means over fixed batches.

    The critic sees batches that are half real, half generated with the generator's new
    statistics. Networks without batch normalisation stay as they are.

    Args:
        method: of the run.
        networks: after its training.
        examples: the batches.
        key: of the latents, and of dropout.
    """
    batches = list(examples)

    def latent(turn: int, batch: Batch) -> PyTree[Array]:
        count = len(jax.tree.leaves(batch.real)[0])
        return method.latent(jax.random.fold_in(key, turn), count)

    def judged(
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
    both = compiled(judged)
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
    # From 0 an update is (1 - momentum) of what the batch has.
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
    """Take means and variances from one tree and all else from the other."""
    return jax.tree_util.tree_map_with_path(
        lambda path, one, other: one if _is_statistic(path[-1].key) else other, new, old
    )


def _names(tree: PyTree[Array]) -> list[str]:
    paths: Any = jax.tree_util.tree_leaves_with_path(tree)
    return [path[-1].key for path, _ in paths]


def _is_statistic(name: str) -> bool:
    return name in _STATISTICS


def _side_by_side(one: Any, other: Any) -> Any:
    """Join two batches of images and conditions into one."""
    return jax.tree.map(lambda *halves: jnp.concatenate(halves), one, other)
