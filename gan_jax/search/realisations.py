"""Realisations: images under one condition, the same for a key however they are cut.

Image i starts from the latent that is drawn from the key with i folded in. All calls of
the generator have one number of images, and image i always has the same place in its
call. So no number depends on how many images are made at once, nor on where a stopped
program continues.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan_jax.search.latent import as_tree

Generate = Callable[[PyTree[Array], PyTree[Array]], Float[Array, "chunk ..."]]
"""`generate(latents, conditions)`: images of latents under as many conditions; None
stands for no condition. Put large arrays, such as networks, in a
`jax.tree_util.Partial`: closed-over arrays would become constants of the program."""
Draw = Callable[[PRNGKeyArray], PyTree[Array]]
"""`draw(key)`: one latent, without a leading axis."""


class Realiser(NamedTuple):
    """A generator and its latents, compiled once for any number of conditions."""

    chunk: int
    """Images in a call."""
    latents: Callable[[PRNGKeyArray, int], PyTree[Array]]
    """`latents(key, start)`: those of the images from `start` on, a chunk."""
    images: Callable[[PyTree[Array], PyTree[Array]], Float[Array, "chunk ..."]]
    """`images(latents, condition)`: images under one condition, which has no leading
    axis."""


def compile_realiser(
    generate: Generate,
    draw: Draw,
    chunk: int = 16,
    compiled: Callable[..., Any] = jax.jit,
) -> Realiser:
    """Return a generator that is compiled once for many calls of `realisations`.

    Args:
        generate: The generator.
        draw: Draws a latent.
        chunk: Images in a call; another one may change the last bits of an image.
        compiled: The compiler of a function, as `jax.jit` is one.

    Raises:
        ValueError: If a chunk has no image.
    """
    if chunk < 1:
        raise ValueError(f"a chunk of {chunk} images: it needs one at least")

    def latents(key: PRNGKeyArray, start: Array) -> PyTree[Array]:
        places = start + jnp.arange(chunk)
        return jax.vmap(lambda place: draw(jax.random.fold_in(key, place)))(places)

    def images(function: Generate, latents: Any, condition: Any) -> Array:
        repeated = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (chunk, *leaf.shape)), condition
        )
        return function(latents, repeated)

    run, drawn, tree = compiled(images), compiled(latents), as_tree(generate)
    return Realiser(
        chunk,
        lambda key, start: drawn(key, jnp.uint32(start)),
        lambda latents, condition: run(tree, latents, condition),
    )


def places(start: int, count: int, chunk: int) -> Iterator[tuple[int, slice]]:
    """Yield the number of the first image of each call, and which of its images count.

    Args:
        start: Number of the first image that counts.
        count: Number of the image after the last one.
        chunk: Images in a call.
    """
    for place in range(start // chunk * chunk, count if start < count else 0, chunk):
        yield place, slice(max(0, start - place), count - place)


def realisations(
    realiser: Realiser,
    condition: PyTree[Array | np.ndarray],
    key: PRNGKeyArray,
    count: int,
    start: int = 0,
) -> Iterator[Float[np.ndarray, "some ..."]]:
    """Yield images under one condition, a chunk at a time, in their order.

    Args:
        realiser: The generator.
        condition: The condition, without a leading axis; None = no condition.
        key: Key of all latents.
        count: Number of the image after the last one.
        start: Number of the first image, where others were made before.
    """
    for place, at in places(start, count, realiser.chunk):
        images = realiser.images(realiser.latents(key, place), condition)
        yield np.asarray(images)[at]


def generate(
    generator: Generate,
    known: PyTree[Array | np.ndarray],
    draw: Draw,
    count: int,
    key: PRNGKeyArray,
    chunk: int = 16,
    compiled: Callable[..., Any] = jax.jit,
) -> Iterator[Float[np.ndarray, "some ..."]]:
    """Yield realisations under known values, a chunk at a time.

    Args:
        generator: `generator(latents, conditions)`.
        known: The condition of all images, without a leading axis; None = no condition.
        draw: `draw(key)`, one latent.
        count: Number of images.
        key: Key of all latents.
        chunk: Images in a call.
        compiled: The compiler of a function.

    Raises:
        ValueError: As `compile_realiser`.
    """
    realiser = compile_realiser(generator, draw, chunk, compiled)
    return realisations(realiser, known, key, count)
