"""The processes that train one run together, on one machine or on many.

All of them run the same program on the same mesh. What they must not do each for
themselves is decided here: who writes and speaks, and when all of them stop.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.serialization
import jax
import numpy as np
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from gan_jax.errors import EXPECTED, DivergedError, InputError, Interrupted, explain
from gan_jax.report.terminal import silence

_SECONDS = 30  # without a sign of life from a process, after which it is lost
_JOINING = 300  # until all processes must have come

_TOGETHER = ("train", "colorize")

LOST = (
    "another process of this run has ended, or its machine cannot be reached: the same "
    "command, on all machines, continues at the last checkpoint"
)


@contextlib.contextmanager
def joined(
    coordinator: str, processes: int, process: int, distributed: bool
) -> Iterator[None]:
    """Be one of the processes of a run; entered before JAX has looked for devices.

    A process that ends by an error of its own goes at once, so that the others learn
    of it: they would wait for it until they are told.

    Args:
        coordinator: `host:port` of the first process, for all the same.
        processes: how many there are.
        process: which of them this one is, from 0.
        distributed: JAX finds these three by itself (SLURM, Open MPI, TPU pods).

    Raises:
        InputError: the numbers are wrong, no cluster is known, or not all came.
    """
    if not (coordinator or distributed):
        if processes > 1:
            raise InputError(
                f"--processes={processes} without --coordinator=HOST:PORT of the first"
            )
        yield
        return
    _join(coordinator, processes, process)
    try:
        yield
        largest(0)  # the first process has still written files
    except (InputError, DivergedError, Interrupted):
        raise  # all processes end so
    except Exception as error:
        expected = isinstance(error, EXPECTED)
        if not expected and not _is_loss(error):
            traceback.print_exc()
        line, code = explain(error) if expected else (f"{LOST} ({_line(error)})", 1)
        print(f"gan_jax: {line}", file=sys.stderr, flush=True)
        os._exit(code)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _is_loss(error: Exception) -> bool:
    """Whether it was another process that an operation on the devices waited for."""
    words = str(error)
    return any(word in words for word in ("Gloo", "NCCL", "coordination service"))


def _join(coordinator: str, processes: int, process: int) -> None:
    how: dict[str, Any] = {}
    if coordinator:
        if not 0 <= process < processes:
            raise InputError(
                f"--process={process} of --processes={processes}: give each process "
                "its own number, from 0"
            )
        if not coordinator.rpartition(":")[2].isdigit():
            raise InputError(f"--coordinator={coordinator} names no port: host:port")
        how = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
            "cluster_detection_method": "deactivate",
        }
    # A signal is ours to handle: the run is saved first.
    jax.config.update("jax_enable_preemption_service", False)
    # On CPUs two programs at once may wait for each other's messages, and for ever.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    try:
        jax.distributed.initialize(
            **how,
            initialization_timeout=_JOINING,
            heartbeat_timeout_seconds=_SECONDS,
            shutdown_timeout_seconds=_SECONDS,
        )
    except ValueError as error:
        raise InputError(
            f"no cluster is found ({error}): give --coordinator=HOST:PORT "
            "--processes=N --process=I instead of --distributed"
        ) from None
    except RuntimeError as error:
        reason = f"the processes have not come together ({_line(error)})"
        raise InputError(reason) from None
    if not leads():
        silence()


def several() -> bool:
    """Whether there is more than this process."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this process writes the files and tells the user."""
    return jax.process_index() == 0


def check_program(config: ConfigDict) -> None:
    """Refuse several processes where they would not work as one.

    Raises:
        InputError: the program does not train one run.
    """
    applied = bool(config.get("images", ""))
    if several() and (applied or config.program not in _TOGETHER):
        what = "a folder of images" if applied else f"program '{config.program}'"
        raise InputError(
            f"{what} is the work of one process, and there are {jax.process_count()}: "
            "start one; python -m launch.latent_search shares out images"
        )


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
