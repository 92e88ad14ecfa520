"""Latent search: minimise a loss over z for many images, each with its own optimiser.

A loss is written for one image; `vmap` makes it a batch of a fixed number of slots. A
search that has converged leaves its slot to one that waits, so that a long queue of
uneven difficulty costs the mean number of iterations and not the largest.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, PyTree

from gan_jax.search.slots import replaced

Latent = Float[Array, "latent"]
Loss = Callable[[Latent, PyTree[Array]], tuple[Float[Array, ""], Float[Array, ""]]]
"""`loss(latent, problem) -> (loss, residual)` of one image; the residual is kept beside
the loss and not minimised. Large arrays, such as networks, belong into a
`jax.tree_util.Partial`: a compiled program takes them as arguments, where those that a
plain function closes over would be folded into it."""


class Search(NamedTuple):
    """How latents are searched."""

    loss: Loss
    optimizer: optax.GradientTransformation
    project: Callable[[Latent], Latent] = lambda latent: latent
    """Back onto the support of the prior, after every update."""
    iterations: int = 1000
    """At most; every search of an image from one start makes so many."""
    patience: int = 0
    """Iterations without progress after which a search ends; 0 = it never does."""
    progress: float = 1e-3
    """The part by which a loss must fall below the last mark to be progress."""
    tolerance: float = 0.0
    """A search ends where the residual is no larger: known values are met."""


class Found(NamedTuple):
    """What a search came to, for every image; of R restarts the best one by loss."""

    latent: Float[np.ndarray, "images latent"]
    """The best of all that were visited, not the last."""
    loss: Float[np.ndarray, " images"]
    """Infinite where no loss was finite."""
    residual: Float[np.ndarray, " images"]
    """At `latent`."""
    best_step: Int[np.ndarray, " images"]
    """When it was visited."""
    restart: Int[np.ndarray, " images"]
    """The restart that found it."""
    history: Float[np.ndarray, "images iterations"]
    """Losses of the restart chosen; NaN after its end."""
    restarts: "Restarts"
    """All of them."""


class Restarts(NamedTuple):
    """What every restart came to."""

    latent: Float[np.ndarray, "images restarts latent"]
    loss: Float[np.ndarray, "images restarts"]
    residual: Float[np.ndarray, "images restarts"]
    steps: Int[np.ndarray, "images restarts"]
    """Iterations made."""


class Slot(NamedTuple):
    """One search under way."""

    latent: Latent
    optimizer: PyTree[Array]
    step: Int[Array, ""]
    best_latent: Latent
    best_loss: Float[Array, ""]
    best_residual: Float[Array, ""]
    best_step: Int[Array, ""]
    mark: Float[Array, ""]
    """The loss at the last progress."""
    mark_step: Int[Array, ""]
    history: Float[Array, "iterations"]


def begin(search: Search, start: Latent) -> Slot:
    """Start a search, with an optimiser of its own."""
    latent = search.project(start)
    infinite, zero = jnp.float32(jnp.inf), jnp.int32(0)
    return Slot(
        latent=latent,
        optimizer=search.optimizer.init(latent),
        step=zero,
        best_latent=latent,
        best_loss=infinite,
        best_residual=infinite,
        best_step=zero,
        mark=infinite,
        mark_step=zero,
        history=jnp.full(search.iterations, jnp.nan, jnp.float32),
    )


def ended(search: Search, slot: Slot) -> Bool[Array, "*slots"]:
    """Return whether a search is at its end: iterations, patience or tolerance."""
    over = slot.step >= search.iterations
    if search.tolerance:
        over |= slot.best_residual <= search.tolerance
    if search.patience:
        over |= slot.step - slot.mark_step >= search.patience
    return over


def iterate(search: Search, loss_of: Loss, slot: Slot, problem: PyTree[Array]) -> Slot:
    """Measure the latent, keep it if it is the best yet, and move it once."""
    (loss, residual), gradient = jax.value_and_grad(loss_of, has_aux=True)(
        slot.latent, problem
    )
    better = loss < slot.best_loss  # never where it is NaN
    further = loss < slot.mark - search.progress * jnp.abs(slot.mark)
    # Nothing is a part of infinity: the first finite loss is progress.
    further |= jnp.isinf(slot.mark) & jnp.isfinite(loss)
    # Some optimisers, such as L-BFGS, measure the loss elsewhere on their own.
    updates, optimizer = optax.with_extra_args_support(search.optimizer).update(
        gradient,
        slot.optimizer,
        slot.latent,
        value=loss,
        grad=gradient,
        value_fn=lambda latent: loss_of(latent, problem)[0],
    )
    moved: Any = optax.apply_updates(slot.latent, updates)
    after = Slot(
        latent=search.project(moved),
        optimizer=optimizer,
        step=slot.step + 1,
        best_latent=jnp.where(better, slot.latent, slot.best_latent),
        best_loss=jnp.where(better, loss, slot.best_loss),
        best_residual=jnp.where(better, residual, slot.best_residual),
        best_step=jnp.where(better, slot.step, slot.best_step),
        mark=jnp.where(further, loss, slot.mark),
        mark_step=jnp.where(further, slot.step, slot.mark_step),
        history=slot.history.at[slot.step].set(loss, mode="drop"),
    )
    over = ended(search, slot)
    return jax.tree.map(lambda old, new: jnp.where(over, old, new), slot, after)


def make_turn(search: Search, length: int) -> Callable[..., tuple[Slot, Array]]:
    """Make a turn: new searches enter their slots, then all make `length` iterations.

    Returns:
        `turn(loss, slots, starts, problems, jobs, fresh) -> (slots, over)`, pure and
        compilable. `loss` is a pytree; `starts` are those of all jobs, `problems` of
        all images, restart by restart; `jobs` tells which job each slot is at, `fresh`
        whether it begins.
    """

    def turn(
        loss: Loss,
        slots: Slot,
        starts: Float[Array, "jobs latent"],
        problems: PyTree[Array],
        jobs: Int[Array, " slots"],
        fresh: Bool[Array, " slots"],
    ) -> tuple[Slot, Bool[Array, " slots"]]:
        images = len(jax.tree.leaves(problems)[0])
        own = jax.tree.map(lambda leaf: leaf[jobs % images], problems)
        begun = jax.vmap(lambda start: begin(search, start))(starts[jobs])

        slots = jax.tree.map(functools.partial(replaced, fresh), slots, begun)
        step = jax.vmap(lambda slot, problem: iterate(search, loss, slot, problem))
        slots = jax.lax.fori_loop(0, length, lambda _, slots: step(slots, own), slots)
        return slots, ended(search, slots)

    return turn


class Turns(NamedTuple):
    """A search, compiled for many calls."""

    search: Search
    length: int
    """Iterations of a turn, between looks at what has ended."""
    turn: Callable[..., tuple[Slot, Array]]
    """As `make_turn` has it, of the search's loss."""


def compile_turns(
    search: Search, length: int = 50, compiled: Callable[..., Any] = jax.jit
) -> Turns:
    """Return a search that is compiled once for many calls.

    Args:
        search: what is minimised, and how.
        length: iterations of a turn.
        compiled: compiles a function, as `jax.jit` does.
    """
    turn = compiled(make_turn(search, length))
    return Turns(search, length, functools.partial(turn, as_tree(search.loss)))


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

    With the same number of slots an image's result is the same, bit for bit, whichever
    images are searched beside it and in whatever order.

    Args:
        search: what is minimised, and how.
        starts: one latent for each restart and image.
        problems: what is known of each image: arrays with a leading axis of images.
        slots: how many searches run at once.
        length: iterations between looks at what has ended; searches end at multiples
            of it, so it should divide `iterations`.
        compiled: compiles a function, as `jax.jit` does.
        advanced: called at every look with the number of searches that have ended.

    Raises:
        ValueError: no images, no restarts, or less than one slot or iteration.
    """
    turns = compile_turns(search, length, compiled)
    return run(turns, starts, problems, slots, advanced)


def prepare(
    search: Search, length: int = 50, compiled: Callable[..., Any] = jax.jit
) -> Callable[..., Found]:
    """Return a search that is compiled once for many calls; otherwise as `minimise`.

    Returns:
        `run(starts, problems, slots, advanced)`.
    """
    return functools.partial(run, compile_turns(search, length, compiled))


def run(
    turns: Turns,
    starts: Float[Array, "restarts images latent"],
    problems: PyTree[Array],
    slots: int = 64,
    advanced: Callable[[int], None] = lambda count: None,
) -> Found:
    """Search a latent for every image from every start; otherwise as `minimise`."""
    search = turns.search
    restarts, images, size = starts.shape
    if min(restarts, images, slots, turns.length, search.iterations) < 1:
        raise ValueError(
            f"{images} images, {restarts} restarts, {slots} slots, {turns.length} of "
            f"{search.iterations} iterations: a search needs one of each"
        )
    flat = jnp.asarray(starts).reshape(restarts * images, size)
    state = empty_slots(search, flat, slots)
    ends = Ends(len(flat), size, search.iterations)
    waiting = iter(range(len(flat)))
    jobs = np.zeros(slots, np.int32)
    busy = np.zeros(slots, bool)
    while True:
        fresh = np.zeros(slots, bool)
        for slot, job in zip(np.flatnonzero(~busy), waiting, strict=False):
            jobs[slot], fresh[slot] = job, True
        busy |= fresh
        if not busy.any():
            return ends.gather(restarts)
        state, over = turns.turn(state, flat, problems, jobs, fresh)
        leaving = np.flatnonzero(busy & np.asarray(over))
        if len(leaving):
            ends.take(jobs[leaving], leaving, state)
            busy[leaving] = False
        advanced(len(leaving))


def empty_slots(
    search: Search, starts: Float[Array, "jobs latent"], slots: int
) -> Slot:
    """Return places for searches; what is in them does not count."""
    return jax.vmap(functools.partial(begin, search))(starts[jnp.zeros(slots, int)])


def as_tree(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a pytree, of the arrays it is a `Partial` of, if it is one."""
    return function if isinstance(function, Partial) else Partial(function)


class Ends:
    """What searches came to, as they end."""

    def __init__(self, jobs: int, size: int, iterations: int):
        """Make room.

        Args:
            jobs: searches, all restarts of all images.
            size: of a latent.
            iterations: at most.
        """
        self._latent = np.zeros((jobs, size), np.float32)
        self._loss, self._residual = np.zeros((2, jobs), np.float32)
        self._best_step, self._steps = np.zeros((2, jobs), np.int32)
        self._history = np.zeros((jobs, iterations), np.float32)

    def take(self, jobs: np.ndarray, slots: np.ndarray, state: Slot) -> None:
        """Copy searches out of their slots.

        Args:
            jobs: which searches.
            slots: where they are.
            state: of all slots.
        """
        for kept, leaf in (
            (self._latent, state.best_latent),
            (self._loss, state.best_loss),
            (self._residual, state.best_residual),
            (self._best_step, state.best_step),
            (self._steps, state.step),
            (self._history, state.history),
        ):
            # Copied whole: a gather would be compiled anew for every number of slots.
            kept[jobs] = np.asarray(leaf)[slots]

    def gather(self, restarts: int) -> Found:
        """Choose each image's best restart, once all have ended.

        Args:
            restarts: of each image; the jobs are those of the first restart of all
                images, then those of the second, and so on.
        """

        def by_image(leaf: np.ndarray) -> np.ndarray:
            return leaf.reshape(restarts, -1, *leaf.shape[1:]).swapaxes(0, 1)

        loss = by_image(self._loss)
        chosen = loss.argmin(axis=1)

        def best(leaf: np.ndarray) -> np.ndarray:
            return by_image(leaf)[np.arange(len(chosen)), chosen]

        return Found(
            latent=best(self._latent),
            loss=best(self._loss),
            residual=best(self._residual),
            best_step=best(self._best_step),
            restart=chosen,
            history=best(self._history),
            restarts=Restarts(
                *map(by_image, (self._latent, self._loss, self._residual, self._steps))
            ),
        )
