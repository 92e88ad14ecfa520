"""Engines of batch jobs: threads of this process, or actors of Ray."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.apps.batch.table import Row
from gan_jax.apps.batch.workers import Work
from gan_jax.data.user_images import InputFile

UNDER_WAY = 3  # blocks at once, in one process
TICK = 0.2  # seconds between checks for signals


class Engine(NamedTuple):
    """A started engine, which does the work of a batch job."""

    work: Work
    """The trained run and the columns of the rows."""
    description: Mapping[str, Any]
    """Name and resources, for the summary."""
    rows: Callable[
        [Iterator[Sequence[InputFile]]], Generator[Sequence[Row], None, None]
    ]
    """`rows(blocks)` yields the rows of each block once it is done, in any order. It
    yields an empty list about every `TICK` seconds, so that the caller can obey
    signals."""
