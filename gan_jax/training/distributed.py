"""Several processes that train one run, on one machine or on many.

All processes run the same program on the same mesh. The main process writes the files
and the messages; the functions here let all of them decide alike.
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
    """Return whether several processes train this run."""
    return jax.process_count() > 1


def is_main() -> bool:
    """Return whether this is the main process, which writes files and messages."""
    return jax.process_index() == 0


def local_copy(tree: PyTree[Array]) -> PyTree[Array]:
    """Return replicated arrays as arrays of this process's first device.

    Computations on them wait for no other process.
    """
    if not is_multiprocess():
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def gathered(tree: PyTree[np.ndarray]) -> PyTree[np.ndarray]:
    """Return the arrays of every process, with a leading axis of processes."""
    from jax.experimental import multihost_utils

    if not is_multiprocess():
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)
    stacked: PyTree[np.ndarray] = multihost_utils.process_allgather(tree)
    return stacked


def all_max(number: int) -> int:
    """Return the largest of the numbers that processes pass."""
    return int(gathered(np.int32(number)).max()) if is_multiprocess() else number


def broadcast(make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Call a function in the main process and return its mapping in all.

    Raises:
        InputError: `make` raised an error that a user can mend.
    """
    from jax.experimental import multihost_utils

    if not is_multiprocess():
        return make()
    content = failure = b""
    if is_main():
        try:
            content = flax.serialization.msgpack_serialize(dict(make()))
        except EXPECTED as error:
            failure = explain(error)[0].encode()
    sizes = np.array([len(content), len(failure)], np.int32)
    content_size, failure_size = multihost_utils.broadcast_one_to_all(sizes).tolist()
    # The other processes must pass as many bytes.
    sent = (content + failure).ljust(content_size + failure_size, b" ")
    received = np.asarray(
        multihost_utils.broadcast_one_to_all(np.frombuffer(sent, np.uint8))
    ).tobytes()
    if failure_size:
        raise InputError(received.decode())
    result: dict[str, Any] = flax.serialization.msgpack_restore(received)
    return result


@contextlib.contextmanager
def all_succeeded() -> Iterator[None]:
    """Stop all processes if the body raises an error in one of them.

    The body must not wait for another process.

    Raises:
        InputError: The body failed in another process.
    """
    try:
        yield
    except EXPECTED:
        all_max(1)
        raise
    if all_max(0):
        raise InputError("another process of this run has stopped: see its message")


def check_same(digest: str, what: str) -> None:
    """Refuse processes whose files, `what`, have different hashes.

    Raises:
        InputError: The hashes differ.
    """
    if not is_multiprocess():
        return
    digests = gathered(np.frombuffer(bytes.fromhex(digest), np.uint8))
    if (digests != digests[0]).any():
        raise InputError(
            f"the processes of this run have different {what}: give all machines the "
            "same files"
        )
