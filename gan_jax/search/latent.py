"""Latent search: minimise a loss over z for many images, each with its own optimiser.

A loss is written for one image; `vmap` makes it a batch of a fixed number of slots. A
search that has converged leaves its slot to one that waits, so that a long queue of
uneven difficulty costs the mean number of iterations and not the largest.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, PyTree

from gan_jax.search.queue import Queue, replaced

Latent = Float[Array, "latent"]
Loss = Callable[[Latent, PyTree[Array]], tuple[Float[Array, ""], Float[Array, ""]]]
"""`loss(latent, problem) -> (loss, residual)` of one image; the residual is kept beside
the loss and not minimised. Put large arrays, such as networks, in a
`jax.tree_util.Partial`. They become arguments; closed-over arrays would become
constants of the program."""


class Search(NamedTuple):
    """The loss that a latent search minimises, and how it does."""

    loss: Loss
    optimizer: optax.GradientTransformation
    project: Callable[[Latent], Latent] = lambda latent: latent
    """Projection onto the support of the latent distribution, after every update."""
    iterations: int = 1000
    """Largest number of iterations from one start."""
    patience: int = 0
    """Iterations without progress after which a search ends; 0 = it never does."""
    progress: float = 1e-3
    """Relative decrease of the loss that counts as progress."""
    tolerance: float = 0.0
    """A search ends once its residual is no larger; 0 = it never does."""


class Restarts(NamedTuple):
    """The results of every restart of every image."""

    latent: Float[np.ndarray, "images restarts latent"]
    loss: Float[np.ndarray, "images restarts"]
    residual: Float[np.ndarray, "images restarts"]
    steps: Int[np.ndarray, "images restarts"]
    """Iterations made."""


class Found(NamedTuple):
    """The result of each image: that of the restart with the smallest loss."""

    latent: Float[np.ndarray, "images latent"]
    """The best latent that was visited, not the last."""
    loss: Float[np.ndarray, " images"]
    """Infinite where no loss was finite."""
    residual: Float[np.ndarray, " images"]
    """At `latent`."""
    best_step: Int[np.ndarray, " images"]
    """Iteration at which `latent` was visited."""
    restart: Int[np.ndarray, " images"]
    """Index of the best restart."""
    history: Float[np.ndarray, "images iterations"]
    """Losses of that restart; NaN after its end."""
    restarts: Restarts


class State(NamedTuple):
    """The state of one search, from one start."""

    latent: Latent
    optimizer: PyTree[Array]
    step: Int[Array, ""]
    best_latent: Latent
    best_loss: Float[Array, ""]
    best_residual: Float[Array, ""]
    best_step: Int[Array, ""]
    progress_loss: Float[Array, ""]
    """The loss at the last progress."""
    progress_step: Int[Array, ""]
    history: Float[Array, "iterations"]


def begin(search: Search, start: Latent) -> State:
    """Return the state in which a search from a start begins."""
    latent = search.project(start)
    infinite, zero = jnp.float32(jnp.inf), jnp.int32(0)
    return State(
        latent=latent,
        optimizer=search.optimizer.init(latent),
        step=zero,
        best_latent=latent,
        best_loss=infinite,
        best_residual=infinite,
        best_step=zero,
        progress_loss=infinite,
        progress_step=zero,
        history=jnp.full(search.iterations, jnp.nan, jnp.float32),
    )


def has_ended(search: Search, state: State) -> Bool[Array, "*slots"]:
    """Return whether a search is at its end: iterations, patience or tolerance."""
    over = state.step >= search.iterations
    if search.tolerance:
        over |= state.best_residual <= search.tolerance
    if search.patience:
        over |= state.step - state.progress_step >= search.patience
    return over


def advance_search(
    search: Search, loss_of: Loss, state: State, problem: PyTree[Array]
) -> State:
    """Evaluate the latent, keep it if it is the best so far, and update it once.

    A search that has ended stays as it is.
    """
    (loss, residual), gradient = jax.value_and_grad(loss_of, has_aux=True)(
        state.latent, problem
    )
    better = loss < state.best_loss  # never where it is NaN
    reference = state.progress_loss
    further = loss < reference - search.progress * jnp.abs(reference)
    # The first finite loss is progress: a fraction of infinity is none.
    further |= jnp.isinf(reference) & jnp.isfinite(loss)
    # Some optimisers, such as L-BFGS, evaluate the loss elsewhere too.
    updates, optimizer = optax.with_extra_args_support(search.optimizer).update(
        gradient,
        state.optimizer,
        state.latent,
        value=loss,
        grad=gradient,
        value_fn=lambda latent: loss_of(latent, problem)[0],
    )
    moved: Any = optax.apply_updates(state.latent, updates)
    after = State(
        latent=search.project(moved),
        optimizer=optimizer,
        step=state.step + 1,
        best_latent=jnp.where(better, state.latent, state.best_latent),
        best_loss=jnp.where(better, loss, state.best_loss),
        best_residual=jnp.where(better, residual, state.best_residual),
        best_step=jnp.where(better, state.step, state.best_step),
        progress_loss=jnp.where(further, loss, reference),
        progress_step=jnp.where(further, state.step, state.progress_step),
        history=state.history.at[state.step].set(loss, mode="drop"),
    )
    over = has_ended(search, state)
    return jax.tree.map(lambda old, new: jnp.where(over, old, new), state, after)


def make_advance(search: Search, length: int) -> Callable[..., tuple[State, Array]]:
    """Return the function that advances all slots by `length` iterations.

    Returns:
        `advance(loss, states, starts, problems, jobs, fresh) -> (states, over)`, pure
        and compilable. `loss` is a pytree. The starts are `starts[restart * images +
        image]`, the problems `problems[image]`. `jobs` are the indices, in `starts`, of
        the searches in the slots; a slot begins its search where `fresh` is true.
    """

    def advance(
        loss: Loss,
        states: State,
        starts: Float[Array, "jobs latent"],
        problems: PyTree[Array],
        jobs: Int[Array, " slots"],
        fresh: Bool[Array, " slots"],
    ) -> tuple[State, Bool[Array, " slots"]]:
        images = len(jax.tree.leaves(problems)[0])
        in_slots = jax.tree.map(lambda leaf: leaf[jobs % images], problems)
        begun = jax.vmap(lambda start: begin(search, start))(starts[jobs])

        states = jax.tree.map(functools.partial(replaced, fresh), states, begun)
        step = jax.vmap(
            lambda state, problem: advance_search(search, loss, state, problem)
        )
        states = jax.lax.fori_loop(
            0, length, lambda _, states: step(states, in_slots), states
        )
        return states, has_ended(search, states)

    return advance


class CompiledSearch(NamedTuple):
    """A search that is compiled once, for many calls."""

    search: Search
    length: int
    """Iterations between checks for finished searches."""
    advance: Callable[..., tuple[State, Array]]
    """As `make_advance` returns it, with the search's loss."""


def compile_search(
    search: Search, length: int = 50, compiled: Callable[..., Any] = jax.jit
) -> CompiledSearch:
    """Return a search that is compiled once for many calls of `run`.

    Args:
        search: The search.
        length: Iterations between checks for finished searches. An ended
            search stands still in its slot until the next multiple of it.
        compiled: The compiler of a function, as `jax.jit` is one.
    """
    advance = functools.partial(
        compiled(make_advance(search, length)), as_tree(search.loss)
    )
    return CompiledSearch(search, length, advance)


def as_tree(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as a pytree: the arrays of a `Partial`, or no arrays."""
    return function if isinstance(function, Partial) else Partial(function)


def minimise(
    search: Search,
    starts: Float[Array, "restarts images latent"],
    problems: PyTree[Array],
    slots: int = 64,
    length: int = 50,
    compiled: Callable[..., Any] = jax.jit,
    advanced: Callable[[int], None] = lambda count: None,
) -> Found:
    """Search a latent for every image from every start.

    The arguments are those of `compile_search` and `run`, which compile once for many
    calls.
    """
    return run(
        compile_search(search, length, compiled), starts, problems, slots, advanced
    )


def run(
    compiled_search: CompiledSearch,
    starts: Float[Array, "restarts images latent"],
    problems: PyTree[Array],
    slots: int = 64,
    advanced: Callable[[int], None] = lambda count: None,
) -> Found:
    """Search a latent for every image from every start.

    With the same number of slots an image's result does not depend on the other images
    nor on their order, bit for bit.

    Args:
        compiled_search: The search.
        starts: One latent for each restart and image.
        problems: Second argument of the loss: arrays with a leading axis of images.
        slots: Number of searches that run at once.
        advanced: Called after every check with the number of finished searches.

    Raises:
        ValueError: If there are no images, restarts, slots or iterations.
    """
    search, length = compiled_search.search, compiled_search.length
    restarts, images, size = starts.shape
    if min(restarts, images, slots, length, search.iterations) < 1:
        raise ValueError(
            f"{images} images, {restarts} restarts, {slots} slots, {length} of "
            f"{search.iterations} iterations: a search needs one of each"
        )
    flat = jnp.asarray(starts).reshape(restarts * images, size)
    state = empty_slots(search, flat, slots)
    results = Results(len(flat), size, search.iterations)
    queue = Queue(slots, range(len(flat)))
    jobs, done = np.zeros(slots, np.int32), 0
    while True:
        fresh = np.zeros(slots, bool)
        for slot, job in queue.enter().items():
            jobs[slot], fresh[slot] = job, True
        if not queue.is_busy:
            return results.gather(restarts)
        state, over = compiled_search.advance(state, flat, problems, jobs, fresh)
        ended = queue.leave(over)
        results.take(ended.values(), ended.keys(), state)
        advanced(done := done + len(ended))


def empty_slots(
    search: Search, starts: Float[Array, "jobs latent"], slots: int
) -> State:
    """Return the states of slots in which nothing runs yet."""
    return jax.vmap(functools.partial(begin, search))(starts[jnp.zeros(slots, int)])


class Results:
    """The results of searches, collected as the searches end."""

    def __init__(self, jobs: int, size: int, iterations: int):
        """Allocate the arrays."""
        self._arrays = {
            "best_latent": np.zeros((jobs, size), np.float32),
            "best_loss": np.zeros(jobs, np.float32),
            "best_residual": np.zeros(jobs, np.float32),
            "best_step": np.zeros(jobs, np.int32),
            "step": np.zeros(jobs, np.int32),
            "history": np.zeros((jobs, iterations), np.float32),
        }

    def take(self, jobs: Collection[int], slots: Collection[int], state: State) -> None:
        """Copy the results of searches that have ended out of their slots."""
        if not jobs:
            return
        for name, array in self._arrays.items():
            # Copied whole: a gather would be compiled anew for every number of slots.
            array[list(jobs)] = np.asarray(getattr(state, name))[list(slots)]

    def gather(self, restarts: int) -> Found:
        """Choose each image's best restart, once all searches have ended.

        Job `restart * images + image` is that of a restart and an image.
        """
        by_image = {
            name: array.reshape(restarts, -1, *array.shape[1:]).swapaxes(0, 1)
            for name, array in self._arrays.items()
        }
        chosen = by_image["best_loss"].argmin(axis=1)
        images = np.arange(len(chosen))
        best = {name: array[images, chosen] for name, array in by_image.items()}
        return Found(
            latent=best["best_latent"],
            loss=best["best_loss"],
            residual=best["best_residual"],
            best_step=best["best_step"],
            restart=chosen,
            history=best["history"],
            restarts=Restarts(
                by_image["best_latent"],
                by_image["best_loss"],
                by_image["best_residual"],
                by_image["step"],
            ),
        )
