"""Join the processes that train one run together."""

import contextlib
import os
import traceback
from collections.abc import Iterator
from typing import Any

import jax
from ml_collections import ConfigDict

from gan_jax.config.errors import (
    EXPECTED,
    DivergedError,
    InputError,
    Interrupted,
    explain,
    print_error,
)
from gan_jax.report.terminal import silence
from gan_jax.training.distributed import all_max, is_main, is_multiprocess

_SECONDS = 30  # without a heartbeat, after which a process counts as lost
_JOINING = 300  # seconds until all processes must have joined

_PROGRAMS = ("train", "colorize")  # that several processes can run
_LOST = (
    "another process of this run has ended, or its machine cannot be reached: the same "
    "command, on all machines, continues at the last checkpoint"
)


@contextlib.contextmanager
def joined(
    coordinator: str, processes: int, process: int, distributed: bool
) -> Iterator[None]:
    """Join the processes of a run; to be entered before JAX looks for devices.

    A process that fails alone exits at once, so that the others learn of it and end.

    Args:
        coordinator: `host:port` of the first process, the same for all.
        processes: Number of processes.
        process: Number of this process, from 0.
        distributed: Whether JAX finds the three by itself (SLURM, Open MPI, TPU pods).

    Raises:
        InputError: The numbers are wrong, no cluster is known, or not all processes
            have joined.
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
        all_max(0)  # the main process may still be writing files
    except (InputError, DivergedError, Interrupted):
        raise  # all processes end this way
    except Exception as error:
        if isinstance(error, EXPECTED):
            line, code = explain(error)
        elif _is_loss(error):
            line, code = f"{_LOST} ({_line(error)})", 1
        else:
            traceback.print_exc()
            line, code = f"process {jax.process_index()} has failed", 1
        print_error(line)
        os._exit(code)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _is_loss(error: Exception) -> bool:
    """Return whether an operation on the devices failed waiting for another process."""
    words = str(error)
    return any(word in words for word in ("Gloo", "NCCL", "coordination service"))


def _join(coordinator: str, processes: int, process: int) -> None:
    options: dict[str, Any] = {}
    if coordinator:
        if not 0 <= process < processes:
            raise InputError(
                f"--process={process} of --processes={processes}: give each process "
                "its own number, from 0"
            )
        host, _, port = coordinator.rpartition(":")
        if not (host and port.isdecimal()):
            raise InputError(f"--coordinator={coordinator} names no port: host:port")
        options = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
            "cluster_detection_method": "deactivate",
        }
    # The loop handles signals: it saves the run first.
    jax.config.update("jax_enable_preemption_service", False)
    # On CPUs two programs at once may wait for each other's messages for ever.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    try:
        jax.distributed.initialize(
            **options,
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
        reason = f"the processes did not all join ({_line(error)})"
        raise InputError(reason) from None
    if not is_main():
        silence()


def check_processes(config: ConfigDict) -> None:
    """Refuse several processes in programs that do not train one run.

    Raises:
        InputError: There are several processes, and the program does other work.
    """
    applied = bool(config.get("images", ""))
    if is_multiprocess() and (applied or config.program not in _PROGRAMS):
        what = "a folder of images" if applied else f"program '{config.program}'"
        raise InputError(
            f"{what} is the work of one process, and there are {jax.process_count()}: "
            "start one; python -m launch.batch shares images out"
        )
