"""Who does the work of a batch job: here the threads of this process.

Several blocks are under way at once, so that a search that is kept full
always has images waiting.
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
    """Who does the work."""

    work: Work
    """What the rows will have, and of which run."""
    description: Mapping[str, Any]
    """For the summary."""
    rows: Callable[[Iterator[Sequence[Path]]], Generator[Sequence[Row], None, None]]
    """`rows(blocks)`: the rows of each block once it is done, in any order; often none,
    so that the caller can look at what else there is."""


@contextlib.contextmanager
def local(config: ConfigDict, out: Path) -> Iterator[Engine]:
    """Work in threads of this process.

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
