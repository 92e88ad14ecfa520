"""Many images in pieces of one size, so that one compiled program serves them all."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from gan_jax.training.processes import gathered, largest


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " size"]]:
    """Give the indices 0 to count - 1 in pieces of `size`.

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
    if largest(failure is not None):
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
