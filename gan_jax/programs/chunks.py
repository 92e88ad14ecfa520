"""Many images in pieces of one size, so that one compiled program serves them all."""

from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree


def chunks(count: int, size: int) -> Iterator[Int[np.ndarray, " size"]]:
    """Give the indices 0 to count - 1 in pieces of `size`.

    The last one is filled by beginning again: cut what is made of them to `count`.
    """
    for start in range(0, count, size):
        yield np.arange(start, start + size) % count


def taken(
    tree: PyTree[Array | np.ndarray], at: Int[np.ndarray, " places"] | int
) -> PyTree[Array | np.ndarray]:
    """Take places, or one place, along the leading axis of every array of a tree."""
    return jax.tree.map(lambda leaf: leaf[at], tree)
