"""Making something of many inputs in pieces of one size, by all processes."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.networks.compilation import compiled
from gan_jax.networks.stages import image_of
from gan_jax.tasks.task import Players, Samples, Task
from gan_jax.training.distributed import all_max, gathered, local_copy
from gan_jax.training.method import Method
from gan_jax.training.state import Trained, Variables

_CHUNK = 100  # images generated at once


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " size"]]:
    """Return the indices 0 to count - 1 in pieces of `size`.

    The last one is filled by beginning again: cut what is made of them to `count`.
    """
    for start in range(0, count, size):
        yield np.arange(start, start + size) % count


def in_chunks(
    make: Callable[[Int[np.ndarray, " size"]], PyTree[Array]], count: int, size: int
) -> PyTree[np.ndarray]:
    """Make something of 0 to count - 1 in pieces of `size`; each process its share.

    Args:
        make: of the indices of a piece, arrays with a leading axis of as many; it uses
            the devices of this process alone.
        count: of them.
        size: of a piece.

    Returns:
        What was made of all, for all processes.
    """
    pieces = [*chunks(count, size)]
    # Processes take turns, and all make as many: what is too much is cut.
    turns = -(-len(pieces) // jax.process_count())
    places = np.arange(turns) * jax.process_count() + jax.process_index()
    own = [pieces[place % len(pieces)] for place in places]
    failure: Exception | None = None
    try:
        made = [jax.tree.map(np.asarray, make(at)) for at in own]
    except Exception as error:  # the others must not wait for what never comes
        failure = error
    if all_max(failure is not None):
        raise failure or RuntimeError("another process has failed at this")
    every = gathered(jax.tree.map(lambda *parts: np.stack(parts), *made))
    return jax.tree.map(
        lambda leaf: leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[3:])[:count], every
    )


def taken(
    tree: PyTree[Array | np.ndarray], at: Int[np.ndarray, " places"] | int
) -> PyTree[Array | np.ndarray]:
    """Take places, or one place, along the leading axis of every array of a tree."""
    return jax.tree.map(lambda leaf: leaf[at], tree)


def make_players(method: Method, task: Task) -> Callable[[Trained], Players]:
    """Return what turns a run's networks into players, compiled once for all of them.

    What they generate is rendered as the task's data are.
    """

    def generate_chunk(
        variables: Variables, key: PRNGKeyArray, condition: PyTree[Array]
    ) -> Float[Array, "batch height width channels"]:
        latent = method.latent(key, _CHUNK)
        generated: Any = method.generator.apply(variables, latent, condition)
        return task.render(image_of(generated), condition)

    run = compiled(generate_chunk)
    judge = compiled(method.critic.apply)

    def of_networks(networks: Trained) -> Players:
        generator, critic = local_copy((networks.generator, networks.critic))

        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array], count: int
        ) -> Samples:
            def piece(at: Int[np.ndarray, " size"]) -> Array:
                fresh = jax.random.fold_in(key, at[0])
                return run(generator, fresh, taken(conditions, at))

            images: Samples = in_chunks(piece, count, _CHUNK)
            return images

        def score(
            images: Samples, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count ..."]:
            scores: Samples = in_chunks(
                lambda at: judge(critic, images[at], taken(conditions, at)),
                len(images),
                _CHUNK,
            )
            return scores

        return Players(generate, score)

    return of_networks
