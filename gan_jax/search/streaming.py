"""A latent search of images that arrive one by one.

`latent.minimise` is given all its images at once, and its last searches have most slots
to themselves. Here images are handed in at any time, from any thread: a slot that falls
free is taken by what waits, and the result of each image is there as soon as its own
searches have ended.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from gan_jax.search.latent import (
    Found,
    Results,
    Search,
    State,
    begin,
    compile_turns,
)
from gan_jax.search.queue import Queue


@dataclasses.dataclass
class _Image:
    """An image that waits, or whose searches are under way."""

    starts: Float[np.ndarray, "restarts latent"]
    problem: PyTree[np.ndarray]
    results: Results
    left: int
    """Number of restarts that have not ended."""
    future: "Future[Found]"


class StreamingSearch:
    """A search that takes images one by one, as a context manager.

    With the same number of slots the result of an image is that of `latent.run`, bit
    for bit, whatever is searched beside it.
    """

    def __init__(
        self,
        search: Search,
        slots: int = 64,
        length: int = 50,
        compiled: Callable[..., Any] = jax.jit,
    ):
        """Start the thread that searches; nothing is compiled before the first image.

        Args:
            search: How latents are searched.
            slots: Number of searches that run at once.
            length: Iterations between looks at what has ended.
            compiled: The compiler of a function, as `jax.jit` is one.

        Raises:
            ValueError: less than one slot or iteration.
        """
        if min(slots, length, search.iterations) < 1:
            raise ValueError(
                f"{slots} slots, {length} of {search.iterations} iterations: a search "
                "needs one of each"
            )
        self._search, self._slots = search, slots
        self._turn = compile_turns(search, length, compiled).turn
        self._queue: Queue[tuple[_Image, int]] = Queue(slots)
        self._changed = threading.Condition()
        self._closed = False
        self._shape: Any = None  # of what every image brings
        self._starts = np.zeros((slots, 0), np.float32)
        self._problems: PyTree[np.ndarray] = None
        self._state: State | None = None
        self._thread = threading.Thread(
            target=self._run, name="latent search", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> "StreamingSearch":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def submit(
        self,
        starts: Float[Array | np.ndarray, "restarts latent"],
        problem: PyTree[Array | np.ndarray],
    ) -> "Future[Found]":
        """Hand in an image; from any thread.

        Args:
            starts: One latent for each restart.
            problem: What is known of the image: arrays of the same shapes for all.

        Returns:
            The future result: a `Found` of one image. It raises what the loss raised,
            and `CancelledError` if the search was closed before.

        Raises:
            ValueError: no restarts, or other shapes than those of the first image.
            RuntimeError: the search is closed.
        """
        mine = np.asarray(starts, np.float32)
        restarts, size = mine.shape
        known = jax.tree.map(np.asarray, problem)
        shape = size, jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), known)
        if not restarts:
            raise ValueError("an image without restarts: a search needs a start")
        results = Results(restarts, size, self._search.iterations)
        image = _Image(mine, known, results, restarts, Future())
        with self._changed:
            if self._closed:
                raise RuntimeError("the search is closed")
            if self._shape is None:
                self._shape = shape
            if shape != self._shape:
                raise ValueError(f"an image of {shape} among those of {self._shape}")
            self._queue.waiting += [(image, restart) for restart in range(restarts)]
            self._changed.notify()
        return image.future

    def minimise(
        self,
        starts: Float[Array | np.ndarray, "restarts images latent"],
        problems: PyTree[Array | np.ndarray],
    ) -> Found:
        """Search some images beside whatever else is under way, and wait for them.

        Args:
            starts: One latent for each restart and image.
            problems: What is known of each image, along a leading axis.

        Raises:
            ValueError: no images; otherwise as `submit` and what it returns.
        """
        latents, known = jax.tree.map(np.asarray, (starts, problems))
        if not latents.shape[1]:
            raise ValueError("no images: a search needs one")

        def problem(at: int) -> PyTree[np.ndarray]:
            return jax.tree.map(lambda leaf: np.asarray(leaf[at]), known)

        futures = [
            self.submit(latents[:, at], problem(at)) for at in range(latents.shape[1])
        ]
        found = [future.result() for future in futures]
        joined: Found = jax.tree.map(lambda *some: np.concatenate(some), *found)
        return joined

    def close(self) -> None:
        """End after the turn under way; what has not ended is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed:
            try:
                if (fresh := self._fill()) is not None:
                    self._advance(fresh)
            except Exception as error:  # of the loss, the compiler, the device
                self._give_up(error)
        self._give_up(CancelledError())

    def _fill(self) -> Bool[np.ndarray, " slots"] | None:
        """Fill free slots with what waits; wait where nothing does; None = closed."""
        fresh = np.zeros(self._slots, bool)
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._queue.waiting or self._queue.is_busy
            )
            if self._closed:
                return None
            for slot, job in self._queue.enter(_is_wanted).items():
                self._place(slot, *job)
                fresh[slot] = True
        return fresh

    def _place(self, slot: int, image: _Image, restart: int) -> None:
        """Copy a search's start and problem to where the compiled turn reads them."""
        if self._problems is None:
            self._starts = np.zeros((self._slots, image.starts.shape[1]), np.float32)
            self._problems = jax.tree.map(
                lambda leaf: np.zeros((self._slots, *leaf.shape), leaf.dtype),
                image.problem,
            )
        self._starts[slot] = image.starts[restart]
        for room, leaf in zip(
            jax.tree.leaves(self._problems), jax.tree.leaves(image.problem), strict=True
        ):
            room[slot] = leaf

    def _advance(self, fresh: Bool[np.ndarray, " slots"]) -> None:
        """Make a turn, and hand out what has ended."""
        if not self._queue.is_busy:  # all that waited was cancelled
            return
        if self._state is None:
            start = functools.partial(begin, self._search)
            self._state = jax.vmap(start)(jax.numpy.asarray(self._starts))
        own = np.arange(self._slots, dtype=np.int32)
        self._state, over = self._turn(
            self._state, self._starts, self._problems, own, fresh
        )
        for slot, (image, restart) in self._queue.leave(over).items():
            image.results.take([restart], [slot], self._state)
            image.left -= 1
            if not image.left:
                image.future.set_result(image.results.gather(len(image.starts)))

    def _give_up(self, error: BaseException) -> None:
        """End what is under way by an error; if closed, what waits too."""
        self._state = None
        over = np.ones(self._slots, bool)
        jobs = list(self._queue.leave(over).values())
        with self._changed:
            if self._closed:
                jobs += self._queue.waiting
                self._queue.waiting.clear()
        for image, _ in jobs:
            if not image.future.done():
                image.future.set_exception(error)


def _is_wanted(job: tuple[_Image, int]) -> bool:
    """Return whether a search is still to be made: its image was not given up."""
    image, restart = job
    # The first restart starts an image; a cancelled or failed one is over.
    running = bool(restart) or image.future.set_running_or_notify_cancel()
    return running and not image.future.done()
