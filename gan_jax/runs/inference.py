"""Generate and score many images, in chunks of one size, shared by all processes."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.networks.compilation import compiled
from gan_jax.networks.stages import image_of
from gan_jax.tasks.task import Model, Samples
from gan_jax.training.distributed import all_max, gathered, local_copy
from gan_jax.training.method import Condition, Images, Method
from gan_jax.training.state import Trained, Variables

_CHUNK = 100  # images generated or scored at once


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " size"]]:
    """Return the indices 0 to `count` - 1 in chunks of `size`.

    The last chunk is filled up with the first indices again: results are to be cut to
    `count`.
    """
    for start in range(0, count, size):
        yield np.arange(start, start + size) % count


def in_chunks(
    make: Callable[[Int[np.ndarray, " size"]], PyTree[Array]], count: int, size: int
) -> PyTree[np.ndarray]:
    """Compute a function of the indices 0 to `count` - 1 in chunks.

    Several processes share the chunks out, and all of them return all results.

    Args:
        make: Function of a chunk's indices that returns arrays with a leading axis of
            `size`. It may use the devices of this process alone.
        count: Number of indices.
        size: Indices in a chunk.

    Returns:
        The arrays of all indices, with a leading axis of `count`.
    """
    pieces = [*chunks(count, size)]
    # Processes take turns and compute equally many chunks; the surplus is cut.
    turns = -(-len(pieces) // jax.process_count())
    places = np.arange(turns) * jax.process_count() + jax.process_index()
    own = [pieces[place % len(pieces)] for place in places]
    failure: Exception | None = None
    try:
        made = [jax.tree.map(np.asarray, make(at)) for at in own]
    except Exception as error:  # the others are told, so that they do not wait
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
    """Return the entries at some indices, or at one, of the leading axis of arrays."""
    return jax.tree.map(lambda leaf: leaf[at], tree)


Render = Callable[[Images, Condition], Images]
"""Converts generator output to images like those of the data."""


def images_of(
    method: Method, render: Render = lambda images, condition: images
) -> Callable[[Variables, PyTree[Array], Condition], Images]:
    """Return `generate(variables, latents, conditions)`, pure and compilable.

    Args:
        method: The method of the run, whose generator it is.
        render: Of the run's task.
    """

    def generate(
        variables: Variables, latents: PyTree[Array], conditions: Condition = None
    ) -> Images:
        generated: Any = method.generator.apply(variables, latents, conditions)
        return render(image_of(generated), conditions)

    return generate


def make_model(
    method: Method, render: Render = lambda images, condition: images
) -> Callable[[Trained], Model]:
    """Return `open_model(networks)`: a run's networks as functions of many inputs.

    Each function is compiled once, for all networks of the run.

    Args:
        method: The method of the run.
        render: Of the run's task.
    """
    images = images_of(method, render)
    run = compiled(images)
    run_critic = compiled(method.critic.apply)

    @compiled
    def run_sampled(
        variables: Variables, key: PRNGKeyArray, conditions: Condition
    ) -> Images:
        return images(variables, method.latent(key, _CHUNK), conditions)

    def open_model(networks: Trained) -> Model:
        generator, critic = local_copy((networks.generator, networks.critic))

        def sample(key: PRNGKeyArray, conditions: Condition, count: int) -> Samples:
            def piece(at: Int[np.ndarray, " size"]) -> Array:
                fresh = jax.random.fold_in(key, at[0])
                return run_sampled(generator, fresh, taken(conditions, at))

            return in_chunks(piece, count, _CHUNK)

        def generate(
            latents: PyTree[Array | np.ndarray],
            conditions: Condition = None,
            chunk: int = _CHUNK,
        ) -> Samples:
            count = len(jax.tree.leaves((latents, conditions))[0])
            return in_chunks(
                lambda at: run(generator, *taken((latents, conditions), at)),
                count,
                chunk,
            )

        def score(
            images: Samples | Images, conditions: Condition = None
        ) -> Float[np.ndarray, "count ..."]:
            return in_chunks(
                lambda at: run_critic(critic, *taken((images, conditions), at)),
                len(images),
                _CHUNK,
            )

        return Model(sample, generate, score)

    return open_model
