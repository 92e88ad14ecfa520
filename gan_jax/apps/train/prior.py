"""The prior of a run: its best networks, with new statistics of batch normalisation.

The running statistics of training average over many states of a network. Searches need
statistics of the final parameters, and fixed ones: with those of a batch, the result
for one image would depend on the others.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from gan_jax.apps.train.setup import Run
from gan_jax.networks.compilation import compiled
from gan_jax.networks.layers.normalisation import MOMENTUM
from gan_jax.networks.stages import image_of
from gan_jax.runs.prior import PRIOR_FOLDER, measure_real_score
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Batch, Method
from gan_jax.training.state import Trained, Variables

_STATISTICS = ("mean", "var")  # of batch normalisation; the spectral one has others
_BATCHES = 20  # for these statistics


def keep_prior(run: Run, chosen: Trained) -> float:
    """Write a run's best networks to `<workdir>/prior`; return their `real_score`."""
    key = jax.random.fold_in(jax.random.key(run.config.seed), 1_000_003)
    arrays = run.feed.load(0, _BATCHES, _BATCHES)

    @compiled
    def batch(arrays: PyTree, number: Array) -> Batch:
        images = run.feed.batch(arrays, number)
        return run.method.present(jax.random.fold_in(key, number), images)

    batches = (batch(arrays, jnp.int32(number)) for number in range(_BATCHES))
    networks = recalibrate(run.method, chosen, batches, key)
    with Checkpoints(run.workdir / PRIOR_FOLDER, keep=None) as checkpoints:
        checkpoints.replace(int(networks.step), networks._asdict())
    return measure_real_score(run.method, networks, lambda: run.parts)


def recalibrate(
    method: Method, networks: Trained, batches: Iterable[Batch], key: PRNGKeyArray
) -> Trained:
    """Return networks with statistics that are means over batches.

    The critic's batches are half real, half generated with the generator's new
    statistics. Networks without batch normalisation stay as they are.
    """
    batches = list(batches)
    latents = [
        method.latent(
            jax.random.fold_in(key, number), len(jax.tree.leaves(batch.real)[0])
        )
        for number, batch in enumerate(batches)
    ]

    @compiled
    def mixed(
        generator: Variables, latent: PyTree[Array], batch: Batch
    ) -> tuple[Array, Any]:
        output: Any = method.generator.apply(generator, latent, batch.condition)
        real = (batch.real, batch.real_condition)
        fake = (image_of(output), method.critic_condition(batch.condition))
        return jax.tree.map(lambda *halves: jnp.concatenate(halves), real, fake)

    pairs = [*zip(latents, batches, strict=True)]
    inputs: list[tuple[Any, ...]] = [
        (latent, batch.condition) for latent, batch in pairs
    ]
    generator = _mean_statistics(method.generator, networks.generator, inputs, key)
    inputs = [mixed(generator, *pair) for pair in pairs]
    critic = _mean_statistics(method.critic, networks.critic, inputs, key)
    return networks._replace(generator=generator, critic=critic)


def _mean_statistics(
    module: Any,
    variables: Variables,
    batches: Iterable[tuple[Any, ...]],
    key: PRNGKeyArray,
) -> Variables:
    statistics = variables.get("batch_stats", {})
    paths: Any = jax.tree_util.tree_leaves_with_path(statistics)
    if not any(path[-1].key in _STATISTICS for path, _ in paths):
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
    results = [run(variables, *inputs) for inputs in batches]
    means = jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), axis=0), *results)
    return {**variables, "batch_stats": _chosen(means, statistics)}


def _chosen(new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    """Return means and variances of one tree, and everything else of another."""
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: leaves[path[-1].key not in _STATISTICS], new, old
    )
