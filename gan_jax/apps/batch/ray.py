"""The engine of a batch job that works in actors of Ray, on one machine or a cluster.

Ray Data reads the files and passes their contents to the actors, several blocks at once
to each. If an actor or a machine dies, another repeats its blocks. Actors write the
images, so the machines of a cluster must share the folders.
"""

import contextlib
import functools
import logging
import os
import queue
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import pyarrow as pa
from absl import logging as absl_logging
from ml_collections import ConfigDict

from gan_jax.apps.batch.engine import TICK, UNDER_WAY, Engine
from gan_jax.apps.batch.file_contents import read_contents
from gan_jax.apps.batch.table import Row, as_table, schema
from gan_jax.apps.batch.workers import open_work
from gan_jax.config.errors import EXPECTED, InputError
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.user_images import InputFile
from gan_jax.runs.startup import keep_compiled, keep_memory

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "ERROR",
}
_PASSED_ON = ("JAX_", "XLA_", "GAN_JAX_", "TFDS_")  # of the driver's environment


class Actor:
    """An actor with the compiled work; it takes blocks from several threads at once."""

    def __init__(self, folder: str, config: ConfigDict, out: str):
        """Open the work.

        Paths are relative to `folder`, the working directory of the driver.
        """
        os.chdir(folder)
        absl_logging.set_verbosity(absl_logging.FATAL)
        keep_compiled()
        keep_memory()
        self._work = open_work(config, Path(out))
        self._schema = schema(self._work.columns)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the rows of a block of files, given their names and contents."""
        block = batch.to_pylist()
        contents = {Path(os.fsdecode(row["input"])): row for row in block}

        def read(file: Path) -> bytes:
            if (reason := contents[file]["reason"]) is not None:
                raise BrokenImageError(reason)
            content: bytes = contents[file]["content"]
            return content

        files = [
            InputFile(path, os.fsdecode(row["name"])) for path, row in contents.items()
        ]
        rows = self._work.apply(files, read)
        return as_table(rows, self._schema)


@contextlib.contextmanager
def on_ray(
    config: ConfigDict, out: Path, workers: int = 0, address: str = ""
) -> Iterator[Engine]:
    """Start an engine of actors of Ray.

    Args:
        config: Config of the job.
        out: Folder of the results.
        workers: Number of actors; 0 = one for each GPU, or for each machine if there
            are no GPUs.
        address: Address of a running cluster, "auto" to find it; empty = this machine.

    Raises:
        InputError: If Ray is not installed, there is no such cluster, or it is too
            small; otherwise as `open_work`.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data
    except ImportError as error:
        raise InputError(
            f"--engine=ray needs Ray ({error}): pip install 'gan-jax[ray]'"
        ) from None
    with _connected(address):  # before JAX has threads, as Ray forks
        workers, resources = _shares(workers)
        # The devices are the actors': nothing is computed here.
        jax.config.update("jax_platforms", "cpu")
        work = open_work(config, out)  # so that the driver reports its errors
        work.close()
        environment = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(_PASSED_ON)
        }
        # As many threads of XLA as the actor has CPUs. How products are summed depends
        # on their number, one alone being the odd one: two at least.
        threads = str(max(2, resources["num_cpus"]))
        environment["NPROC"] = os.environ.get("NPROC", threads)
        # Ray Data restarts dead actors and repeats their blocks, without limit.
        actors: dict[str, Any] = {
            "compute": ray.data.ActorPoolStrategy(
                size=workers,
                max_tasks_in_flight_per_actor=UNDER_WAY + 1,
                max_concurrent_calls_per_actor=UNDER_WAY,
                enable_true_multi_threading=True,
            ),
            **resources,
            "runtime_env": {"env_vars": environment},
        }

        def rows(
            blocks: Iterator[Sequence[InputFile]],
        ) -> Generator[Sequence[Row], None, None]:
            # As bytes: names in a file system need not be text.
            tables = [
                pa.table(
                    {
                        "input": [os.fsencode(file.path) for file in block],
                        "name": [os.fsencode(file.name) for file in block],
                    }
                )
                for block in blocks
            ]
            if not tables:
                return
            whole: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}
            job = (
                ray.data.from_arrow(tables)
                .map_batches(
                    functools.partial(read_contents, folder=str(Path.cwd())),
                    num_cpus=0,  # it waits for disks; all CPUs are the actors'
                    compute=ray.data.TaskPoolStrategy(size=workers),
                    **whole,
                )
                .map_batches(
                    Actor,
                    fn_constructor_args=(str(Path.cwd()), config, str(out)),
                    **actors,
                    **whole,
                )
            )
            done = job.iter_batches(prefetch_batches=0, **whole)
            for table in _polled(iter(done)):
                yield [] if table is None else table.to_pylist()

        yield Engine(work, {"name": "ray", "workers": workers, **resources}, rows)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[None]:
    import ray
    import ray.data

    before = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
    except (ConnectionError, ValueError) as error:
        raise InputError(
            f"--address={address}: no cluster is there "
            f"({' '.join(str(error).split())}): start one with `ray start --head`"
        ) from None
    signal.signal(signal.SIGTERM, before)  # Ray has put its own there
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield
    finally:
        ray.shutdown()


def _shares(workers: int) -> tuple[int, dict[str, int]]:
    """Return the number of actors and the resources of each."""
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (
        [int(machine.get(kind, 0)) for machine in machines] for kind in ("CPU", "GPU")
    )
    workers = workers or sum(gpus) or len(machines)
    for kind, count in (("CPU", sum(cpus)), ("GPU", sum(gpus) or workers)):
        if workers > count:
            raise InputError(
                f"--workers={workers}, and the cluster has {count} {kind}s: give fewer"
            )
    # An actor lies on one machine.
    share_of_cpus = max(
        share
        for share in range(1, max(cpus) + 1)
        if sum(count // share for count in cpus) >= workers
    )
    return workers, {"num_cpus": share_of_cpus, "num_gpus": int(sum(gpus) > 0)}


def _polled(source: Iterator[pa.Table]) -> Generator[pa.Table | None, None, None]:
    """Iterate in a thread, and yield None while nothing arrives.

    Raises:
        Exception: An error of the source. An error that a user can mend is raised as
            it was in the actor.
    """
    ended = object()
    arrivals: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def take() -> None:
        try:
            for table in source:
                arrivals.put(table)
            arrivals.put(ended)
        except Exception as error:
            arrivals.put(error)

    threading.Thread(target=take, name="ray", daemon=True).start()
    while True:
        try:
            arrival = arrivals.get(timeout=TICK)
        except queue.Empty:
            yield None
            continue
        if arrival is ended:
            return
        if isinstance(arrival, Exception):
            raise _mendable(arrival) from None
        yield arrival


def _mendable(error: BaseException) -> BaseException:
    """Return the cause of an error that a user can mend, or the error itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, EXPECTED):
        cause = getattr(cause, "cause", None) or cause.__cause__
    return error if cause is None else cause
