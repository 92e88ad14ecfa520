"""Runs that train as one program: usually one alone, or one for each seed."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PyTree

from gan_jax.apps.train.record import Record
from gan_jax.config.errors import DivergedError
from gan_jax.networks.compilation import compiled
from gan_jax.training.mesh import replicated
from gan_jax.training.population import (
    Population,
    gather,
    make_population,
    member,
    side_by_side,
)
from gan_jax.training.state import TrainState
from gan_jax.training.step import make_step, make_stretch
from gan_jax.training.updates import Log


class TrainedTogether:
    """What the training loop does for each of its runs.

    The state of a crew of one is the run's own `TrainState`; of several, a
    `Population`.
    """

    def __init__(self, records: Sequence[Record], states: Sequence[TrainState]):
        """Gather runs of one config, but for the seed, at one step."""
        self._records = records
        self._alone = len(records) == 1
        self.state: TrainState | Population = (
            states[0] if self._alone else gather(states)
        )
        self._given: list[PyTree] = []
        self._stacked: PyTree = None

    @property
    def lost(self) -> bool:
        """Whether every run has diverged."""
        return all(record.failure for record in self._records)

    def arrays(self, first: int, count: int, room: int) -> PyTree:
        """Read what some critic steps of all runs need, as a feed's `stretch` does."""
        given = [record.this.feed.load(first, count, room) for record in self._records]
        if self._alone:
            return given[0]
        # A resident feed gives the same arrays every time: they are stacked once.
        if [*map(id, given)] != [*map(id, self._given)]:
            self._given, self._stacked = given, side_by_side(given)
        return self._stacked

    def compile(self, state: TrainState | Population, arrays: PyTree) -> Any:
        """Compile `advance(state, arrays, count)`: `fused_steps` or fewer in a call."""
        this = self._records[0].this
        everywhere = NamedSharding(this.mesh, PartitionSpec())
        batched = NamedSharding(this.mesh, PartitionSpec("batch"))

        def shard(tree: PyTree) -> PyTree:
            return jax.tree.map(
                lambda leaf: jax.lax.with_sharding_constraint(leaf, batched), tree
            )

        fused = this.config.fused_steps
        step = make_step(this.method, this.feed.batch, shard)
        stretch: Any = make_stretch(step, fused)
        if not self._alone:
            stretch = make_population(stretch, "vmap")
        frozen = replicated(this.mesh, this.frozen)
        advance = (
            compiled(stretch, donate_argnums=0, out_shardings=everywhere)
            .lower(state, arrays, np.int32(fused), frozen)
            .compile()
        )
        return lambda state, arrays, count: advance(state, arrays, count, frozen)

    def members(self, state: Any) -> list[TrainState]:
        """Take the runs' states apart."""
        if self._alone:
            return [state]
        return [member(state, at) for at in range(len(self._records))]

    def log(self, logs: Log, first: int, count: int) -> dict[str, Any]:
        """Write a stretch of steps into the journals; leave runs that diverge behind.

        Returns:
            The last step's values, to be shown.
        """
        sound = [
            (at, record)
            for at, record in enumerate(self._records)
            if not record.failure
        ]
        own = logs
        for at, record in sound:
            if not self._alone:
                own = jax.tree.map(functools.partial(_row, at=at), logs)
            try:
                record.log(own, first, count)
            except DivergedError as error:
                record.failure = error
        return {name: rows[count - 1] for name, rows in own.values.items()}

    def look(self, step: int, state: Any) -> None:
        """Keep, measure and draw the runs' states where that is due."""
        if self._records[0].looks(step):
            for record, own in self._sound(state):
                record.look(step, own)

    def save(self, step: int, state: Any, wait: bool) -> None:
        """Save the runs' states."""
        for record, own in self._sound(state):
            record.save(step, own, wait)

    def _sound(self, state: Any) -> list[tuple[Record, TrainState]]:
        pairs = zip(self._records, self.members(state), strict=True)
        return [(record, own) for record, own in pairs if not record.failure]


def _row(rows: np.ndarray, at: int) -> np.ndarray:
    row: np.ndarray = rows[at]
    return row
