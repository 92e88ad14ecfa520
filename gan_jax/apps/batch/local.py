"""The engine of a batch job that works in threads of this process.

Several blocks are under way at once, so that images always wait for free slots of the
search.
"""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.apps.batch.workers import Row, Work, open_work
from gan_jax.data.decode import read_file

UNDER_WAY = 3  # blocks at once, in one process
TICK = 0.2  # seconds between looks at the signals


class Engine(NamedTuple):
    """What does the work of a batch job: threads, or actors of Ray."""

    work: Work
    """The trained run and the columns of the rows."""
    description: Mapping[str, Any]
    """Name and resources, for the summary."""
    rows: Callable[[Iterator[Sequence[Path]]], Generator[Sequence[Row], None, None]]
    """`rows(blocks)` yields the rows of each block once it is done, in any order. It
    yields no rows from time to time, so that the caller can obey signals."""


@contextlib.contextmanager
def local(config: ConfigDict, out: Path) -> Iterator[Engine]:
    """Start an engine of threads of this process.

    Args:
        config: Config of the job.
        out: Folder of the results.

    Raises:
        InputError: as `open_work`.
    """
    work = open_work(config, out)
    try:
        yield Engine(work, {"name": "local"}, lambda blocks: _in_threads(work, blocks))
    finally:
        work.close()


def _in_threads(
    work: Work, blocks: Iterator[Sequence[Path]]
) -> Generator[Sequence[Row], None, None]:
    with ThreadPoolExecutor(UNDER_WAY, "block") as pool:
        try:
            waiting: set[Future[list[Row]]] = set()
            while True:
                for block in itertools.islice(blocks, UNDER_WAY - len(waiting)):
                    waiting.add(pool.submit(work.apply, block, read_file))
                if not waiting:
                    return
                done, waiting = wait(waiting, TICK, FIRST_COMPLETED)
                yield [row for future in done for row in future.result()]
        finally:
            work.close()  # or the pool would wait for what is under way
