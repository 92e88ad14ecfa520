"""Populations: several runs trained as one program, along a leading axis.

The runs share a method and the step. In training only seeds differ, and with them data
and parameters. In `launch.benchmark.populations` and in tests weights of loss terms may
differ too.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from gan_jax.data.feed import Feed
from gan_jax.training.state import TrainState
from gan_jax.training.updates import Log

Form = Literal["vmap", "map"]
"""`vmap` trains all runs at once. `map` trains one after the other, with exactly the
results of single runs, and avoids batched kernels, which CPUs run slowly."""

Tree = TypeVar("Tree")


class Population(NamedTuple):
    """The states of several runs."""

    step: Int[Array, ""]
    critic_step: Int[Array, ""]
    """The same for all runs: loops whose lengths differ would be masked."""
    runs: dict[str, PyTree[Array]]
    """The other fields of a `TrainState`, with a leading axis of runs."""


def gather(states: Sequence[TrainState]) -> Population:
    """Return the population of several runs.

    Raises:
        ValueError: The runs are at different steps.
    """
    clocks = {(int(state.step), int(state.critic_step)) for state in states}
    if len(clocks) != 1:
        raise ValueError(f"the runs of a population are at one step, not at {clocks}")
    first = states[0]
    return Population(
        first.step, first.critic_step, side_by_side([*map(_run_fields, states)])
    )


def members(state: TrainState | Population) -> list[TrainState]:
    """Return the runs of a population, or a single run by itself."""
    if isinstance(state, TrainState):
        return [state]
    step, critic_step, runs = state
    count = len(jax.tree.leaves(runs)[0])
    fields = [jax.tree.map(lambda leaf, at=at: leaf[at], runs) for at in range(count)]
    return [TrainState(step=step, critic_step=critic_step, **run) for run in fields]


def load_together(feeds: Sequence[Feed]) -> Callable[[int, int, int], PyTree]:
    """Return `load` of a feed, or of several feeds with a leading axis of runs."""
    if len(feeds) == 1:
        return feeds[0].load
    last: list[PyTree] = []
    stacked: PyTree = None

    def load(first: int, count: int, capacity: int) -> PyTree:
        nonlocal last, stacked
        arrays = [feed.load(first, count, capacity) for feed in feeds]
        # A resident feed gives the same arrays every time: they are stacked once.
        if [*map(id, arrays)] != [*map(id, last)]:
            last, stacked = arrays, side_by_side(arrays)
        return stacked

    return load


def side_by_side(trees: Sequence[Tree]) -> Tree:
    """Stack trees of one structure along a new leading axis."""
    stacked: Tree = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    return stacked


def make_population(
    stretch: Callable[..., tuple[TrainState, Log]], form: Form
) -> Callable[..., tuple[Population, Log]]:
    """Return the stretch of a population, from that of one run (`step.make_stretch`).

    Its population, arrays and logs have a leading axis of runs.
    """

    def advance(
        population: Population,
        arrays: PyTree,
        count: Int[Array, ""],
        frozen: PyTree = None,
    ) -> tuple[Population, Log]:
        step, critic_step, runs = population

        def run_stretch(run: tuple[dict[str, PyTree], PyTree]) -> Any:
            fields, run_arrays = run
            state = TrainState(step=step, critic_step=critic_step, **fields)
            after, log = stretch(state, run_arrays, count, frozen)
            return (_run_fields(after), log), (after.step, after.critic_step)

        if form == "vmap":
            results, (step, critic_step) = jax.vmap(run_stretch, out_axes=(0, None))(
                (runs, arrays)
            )
        else:
            results, clocks = jax.lax.map(run_stretch, (runs, arrays))
            step, critic_step = jax.tree.map(lambda leaf: leaf[0], clocks)
        after, logs = results
        return Population(step, critic_step, after), logs

    return advance


def _run_fields(state: TrainState) -> dict[str, Any]:
    """Return the fields of a state that differ from run to run."""
    fields = state._asdict()
    del fields["step"], fields["critic_step"]
    return fields
