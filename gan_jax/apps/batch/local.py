"""The engine of a batch job that works in threads of this process.

Several blocks are under way at once, so that images always wait for free slots of the
search.
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from ml_collections import ConfigDict

from gan_jax.apps.batch.engine import TICK, UNDER_WAY, Engine
from gan_jax.apps.batch.table import Row
from gan_jax.apps.batch.workers import Work, open_work
from gan_jax.data.decode import read_file
from gan_jax.data.user_images import InputFile


@contextlib.contextmanager
def local(config: ConfigDict, out: Path) -> Iterator[Engine]:
    """Start an engine of threads of this process.

    Raises:
        InputError: As `open_work`.
    """
    work = open_work(config, out)
    try:
        yield Engine(work, {"name": "local"}, lambda blocks: _in_threads(work, blocks))
    finally:
        work.close()


def _in_threads(
    work: Work, blocks: Iterator[Sequence[InputFile]]
) -> Generator[Sequence[Row], None, None]:
    with ThreadPoolExecutor(UNDER_WAY, "block") as pool:
        try:
            running: set[Future[list[Row]]] = set()
            while True:
                for block in itertools.islice(blocks, UNDER_WAY - len(running)):
                    running.add(pool.submit(work.apply, block, read_file))
                if not running:
                    return
                done, running = wait(running, TICK, FIRST_COMPLETED)
                yield [row for future in done for row in future.result()]
        finally:
            work.close()  # cancels the searches; the pool's exit would wait for them
