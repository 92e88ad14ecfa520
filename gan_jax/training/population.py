"""Many runs as one program: their states side by side along a leading axis.

The runs share a recipe and the number of their step; seeds, data, parameters and the
weights of loss terms are each run's own.
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
"""`vmap` runs all at once, `map` one after the other: the very numbers of single runs,
and no convolution whose kernels differ within a batch, which CPUs are slow at."""

Tree = TypeVar("Tree")


class Population(NamedTuple):
    """The states of several runs."""

    step: Int[Array, ""]
    critic_step: Int[Array, ""]
    """One clock for all: a trip count of each run's own would make its loops masked."""
    runs: dict[str, PyTree[Array]]
    """The rest of a `TrainState` by field, with a leading axis of runs."""


def gather(states: Sequence[TrainState]) -> Population:
    """Put the states of several runs side by side.

    Raises:
        ValueError: they are at different steps.
    """
    clocks = {(int(state.step), int(state.critic_step)) for state in states}
    if len(clocks) != 1:
        raise ValueError(f"the runs of a population are at one step, not at {clocks}")
    first = states[0]
    return Population(
        first.step, first.critic_step, side_by_side([_own(each) for each in states])
    )


def member(population: Population, index: int) -> TrainState:
    """Take one run out of a population."""
    step, critic_step, runs = population
    own = jax.tree.map(lambda leaf: leaf[index], runs)
    return TrainState(step=step, critic_step=critic_step, **own)


def members(state: TrainState | Population) -> list[TrainState]:
    """Return the runs of a population; of a run alone, itself."""
    if isinstance(state, TrainState):
        return [state]
    count = len(jax.tree.leaves(state.runs)[0])
    return [member(state, index) for index in range(count)]


def stretches(feeds: Sequence[Feed]) -> Callable[[int, int, int], PyTree]:
    """Return the `load` of a run's feed, or that of several runs side by side."""
    if len(feeds) == 1:
        return feeds[0].load
    last: list[PyTree] = []
    stacked: PyTree = None

    def load(first: int, count: int, room: int) -> PyTree:
        nonlocal last, stacked
        arrays = [feed.load(first, count, room) for feed in feeds]
        # A resident feed gives the same arrays every time: they are stacked once.
        if [*map(id, arrays)] != [*map(id, last)]:
            last, stacked = arrays, side_by_side(arrays)
        return stacked

    return load


def side_by_side(trees: Sequence[Tree]) -> Tree:
    """Stack the arrays of trees of one structure along a new leading axis."""
    stacked: Tree = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    return stacked


def make_population(
    stretch: Callable[..., tuple[TrainState, Log]], form: Form
) -> Callable[..., tuple[Population, Log]]:
    """Make a stretch of a population from that of a run.

    Args:
        stretch: of one run, as `step.make_stretch` gives it.
        form: how the runs are gone through.

    Returns:
        `stretch(population, arrays, count, frozen)`, whose arrays are those of the
        runs' feeds side by side, as the logs are that it returns.
    """

    def together(
        population: Population,
        arrays: PyTree,
        count: Int[Array, ""],
        frozen: PyTree = None,
    ) -> tuple[Population, Log]:
        step, critic_step, runs = population

        def one(run: tuple[dict[str, PyTree], PyTree]) -> Any:
            own, its_arrays = run
            state = TrainState(step=step, critic_step=critic_step, **own)
            after, log = stretch(state, its_arrays, count, frozen)
            return (_own(after), log), (after.step, after.critic_step)

        if form == "vmap":
            results, (step, critic_step) = jax.vmap(one, out_axes=(0, None))(
                (runs, arrays)
            )
        else:
            results, clocks = jax.lax.map(one, (runs, arrays))
            step, critic_step = jax.tree.map(lambda leaf: leaf[0], clocks)
        after, logs = results
        return Population(step, critic_step, after), logs

    return together


def _own(state: TrainState) -> dict[str, Any]:
    """Return what of a state is a run's own: all but the clock."""
    own = state._asdict()
    del own["step"], own["critic_step"]
    return own
