"""Generate and score many images, in chunks of one size, shared by all processes."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from gan_jax.config.limits import Size
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
    """Return a function of the indices 0 to `count` - 1, computed `size` at a time.

    Several processes share the chunks out, and all of them return all results.

    Args:
        make: Function of a chunk's indices that returns arrays with a leading axis of
            `size`. It may use the devices of this process alone.
        count: Number of indices.
        size: Indices in a chunk.
    """
    pieces = [*chunks(count, size)]
    # Each process computes equally many chunks, every n-th one; the surplus is cut.
    rounds = -(-len(pieces) // jax.process_count())
    places = np.arange(rounds) * jax.process_count() + jax.process_index()
    failure: Exception | None = None
    try:
        results = [
            jax.tree.map(np.asarray, make(pieces[place % len(pieces)]))
            for place in places
        ]
    except Exception as error:  # the others are told, so that they do not wait
        failure = error
    if all_max(failure is not None):
        raise failure or RuntimeError("another process has failed at this")
    stacked = gathered(jax.tree.map(lambda *parts: np.stack(parts), *results))
    return jax.tree.map(
        lambda leaf: leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[3:])[:count], stacked
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
    """Return `generate(variables, latents, conditions)`, pure and compilable."""

    def generate(
        variables: Variables, latents: PyTree[Array], conditions: Condition = None
    ) -> Images:
        generated: Any = method.generator.apply(variables, latents, conditions)
        return render(image_of(generated), conditions)

    return generate


def draw_latents(
    method: Method, keys: Key[Array, " realisations"], size: Size
) -> PyTree[Array]:
    """Return one latent for each of some random keys, for `field`.

    A latent depends on its key alone, however many are drawn at once.

    Args:
        method: Method of the run.
        keys: An array of random keys.
        size: Height and width of the field, in pixels.

    Returns:
        Latents with a leading axis of keys; None where the run draws none.

    Raises:
        InputError: The run makes images of one size alone, and it is another one.
    """
    whole = _whole(method, size)
    return jax.vmap(
        lambda key: taken(method.latent(key, 1, whole), 0)  # None has no leaves
    )(keys)


def field(
    method: Method,
    variables: Variables,
    latents: PyTree[Array],
    conditions: Condition,
    size: Size,
    render: Render = lambda images, condition: images,
) -> Images:
    """Return fields of any size, pure and compilable with a static method and size.

    Conditions are padded by zeros, which in `masks.Known` are unknown pixels, on the
    right and at the bottom, up to multiples of `method.cell`, and the fields are cut.
    A pixel farther than `unet.receptive_field` from the padding does not depend on it.
    Memory and time are proportional to the pixels.

    Args:
        method: Method of the run.
        variables: Its generator's variables.
        latents: As `draw_latents` returns them, one for each field.
        conditions: Arrays of the field's height and width, one for each field, or one
            for all of them; None where the run has none.
        size: Height and width of the fields, in pixels.
        render: `Task.render` of the run.

    Raises:
        InputError: As `draw_latents`.
    """
    height, width = size
    rows, columns = _whole(method, size)
    count = max(len(leaf) for leaf in jax.tree.leaves((latents, conditions)))

    def fitted(maps: Array) -> Array:
        margins = ((0, 0), (0, rows - height), (0, columns - width), (0, 0))
        return jnp.pad(jnp.broadcast_to(maps, (count, *maps.shape[1:])), margins)

    generate = images_of(method, render)
    whole = generate(variables, latents, jax.tree.map(fitted, conditions))
    return whole[:, :height, :width]


def _whole(method: Method, size: Size) -> Size:
    """Return a size in pixels, rounded up to one that the method's generator makes."""
    cell = method.cell or 1
    return Size(*(-(-side // cell) * cell for side in size))


def make_model(
    method: Method, render: Render = lambda images, condition: images
) -> Callable[[Trained], Model]:
    """Return `open_model(networks)`: a run's networks as functions of many inputs.

    Each function is compiled once, for all networks of the run.
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
