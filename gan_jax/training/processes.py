"""The processes that train one run together, on one machine or on many.

All of them run the same program on the same mesh. What they must not do each for
themselves is decided here: who writes and speaks, and when all of them stop.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.serialization
import jax
import numpy as np
from jaxtyping import Array, PyTree

from gan_jax.errors import EXPECTED, InputError, explain


def several() -> bool:
    """Whether there is more than this process."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this process writes the files and tells the user."""
    return jax.process_index() == 0


def own(tree: PyTree[Array]) -> PyTree[Array]:
    """Give arrays that are the same on all devices as arrays of this process's first.

    What is computed of them waits for no other process.
    """
    if not several():
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def gathered(tree: PyTree[np.ndarray]) -> PyTree[np.ndarray]:
    """Give all processes what each of them has, with a leading axis of processes."""
    from jax.experimental import multihost_utils

    if not several():
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)
    found: PyTree[np.ndarray] = multihost_utils.process_allgather(tree)
    return found


def largest(number: int) -> int:
    """Give the largest number that a process has."""
    return int(gathered(np.int32(number)).max()) if several() else number


def of_first(make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Have the first process make something, and give it to all.

    Args:
        make: a mapping of arrays, words and numbers; it may take long.

    Raises:
        InputError: what `make` raised.
    """
    from jax.experimental import multihost_utils

    if not several():
        return make()
    made = failure = b""
    if leads():
        try:
            made = flax.serialization.msgpack_serialize(dict(make()))
        except EXPECTED as error:
            failure = explain(error)[0].encode()
    sizes = np.array([len(made), len(failure)], np.int32)
    whole, words = multihost_utils.broadcast_one_to_all(sizes).tolist()
    # The others have nothing yet, and must have as much.
    text = (made + failure).ljust(whole + words, b" ")
    every = multihost_utils.broadcast_one_to_all(np.frombuffer(text, np.uint8))
    given = np.asarray(every).tobytes()
    if words:
        raise InputError(given.decode())
    found: dict[str, Any] = flax.serialization.msgpack_restore(given)
    return found


@contextlib.contextmanager
def agreed() -> Iterator[None]:
    """Go on only if all processes do: what stops one of them stops all.

    Nothing within may wait for another process.

    Raises:
        InputError: it is another process that was stopped.
    """
    try:
        yield
    except EXPECTED:
        largest(1)
        raise
    if largest(0):
        raise InputError("another process of this run was stopped: it has said why")


def check_same(digest: str, what: str) -> None:
    """Refuse processes that do not have the same.

    Args:
        digest: of it, in hexadecimal digits.
        what: it is, for the message.

    Raises:
        InputError: they do not.
    """
    if not several():
        return
    every = gathered(np.frombuffer(bytes.fromhex(digest), np.uint8))
    if (every != every[0]).any():
        raise InputError(
            f"the processes of this run have not the same {what}: give all machines "
            "the same files"
        )
