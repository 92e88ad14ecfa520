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

from gan_jax.config.errors import EXPECTED, InputError, explain


def is_multiprocess() -> bool:
    """Whether there is more than this process."""
    return jax.process_count() > 1


def is_main() -> bool:
    """Whether this process writes the files and tells the user."""
    return jax.process_index() == 0


def local_copy(tree: PyTree[Array]) -> PyTree[Array]:
    """Return arrays that are the same on all devices as arrays of this process's first.

    What is computed of them waits for no other process.
    """
    if not is_multiprocess():
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def gathered(tree: PyTree[np.ndarray]) -> PyTree[np.ndarray]:
    """Return all processes what each of them has, with a leading axis of processes."""
    from jax.experimental import multihost_utils

    if not is_multiprocess():
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)
    found: PyTree[np.ndarray] = multihost_utils.process_allgather(tree)
    return found


def all_max(number: int) -> int:
    """Return the largest number that a process has."""
    return int(gathered(np.int32(number)).max()) if is_multiprocess() else number


def broadcast(make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Have the first process make something, and give it to all.

    Args:
        make: a mapping of arrays, words and numbers; it may take long.

    Raises:
        InputError: what `make` raised.
    """
    from jax.experimental import multihost_utils

    if not is_multiprocess():
        return make()
    made = failure = b""
    if is_main():
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
def all_succeeded() -> Iterator[None]:
    """Go on only if all processes do: what stops one of them stops all.

    Nothing within may wait for another process.

    Raises:
        InputError: it is another process that was stopped.
    """
    try:
        yield
    except EXPECTED:
        all_max(1)
        raise
    if all_max(0):
        raise InputError("another process of this run was stopped: it has said why")


def check_same(digest: str, what: str) -> None:
    """Refuse processes that do not have the same.

    Args:
        digest: of it, in hexadecimal digits.
        what: it is, for the message.

    Raises:
        InputError: they do not.
    """
    if not is_multiprocess():
        return
    every = gathered(np.frombuffer(bytes.fromhex(digest), np.uint8))
    if (every != every[0]).any():
        raise InputError(
            f"the processes of this run have not the same {what}: give all machines "
            "the same files"
        )
