"""A latent search of images that arrive one by one.

`latent.run` takes all its images at once, and its last searches leave most slots empty.
Here images are handed in at any time, from any thread. A free slot is taken by the next
search that waits. The result of an image is there as soon as its searches have ended.
"""

import dataclasses
import threading
from concurrent.futures import CancelledError, Future
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from gan_jax.search.latent import CompiledSearch, Found, Results, State, empty_slots
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
    for bit.
    """

    def __init__(self, compiled_search: CompiledSearch, slots: int = 64):
        """Start the thread that searches; nothing is compiled before the first image.

        Raises:
            ValueError: If there are no slots or iterations.
        """
        _, length, self._advance_slots = compiled_search
        self._search, self._slots = compiled_search.search, slots
        if min(slots, length, self._search.iterations) < 1:
            raise ValueError(
                f"{slots} slots, {length} of {self._search.iterations} iterations: a "
                "search needs one of each"
            )
        self._queue: Queue[tuple[_Image, int]] = Queue(slots)
        self._changed = threading.Condition()
        self._closed = False
        self._shape: Any = None  # shapes that all images share
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
            problem: Second argument of the loss: arrays of the same shapes for all.

        Returns:
            The future result: a `Found` of one image. It raises an error of the loss,
            and `CancelledError` if the search was closed before.

        Raises:
            ValueError: If there are no restarts, or shapes differ from those of the
                first image.
            RuntimeError: If the search is closed.
        """
        starts = np.asarray(starts, np.float32)
        restarts, size = starts.shape
        known = jax.tree.map(np.asarray, problem)
        shape = size, jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), known)
        if not restarts:
            raise ValueError("an image without restarts: a search needs a start")
        results = Results(restarts, size, self._search.iterations)
        image = _Image(starts, known, results, restarts, Future())
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
        """Hand in several images and wait for their results; from any thread.

        Args:
            starts: One latent for each restart and image.
            problems: Second argument of the loss: arrays with a leading axis of images.

        Raises:
            ValueError: If there are no images; otherwise as `submit` and its future.
        """
        latents, known = jax.tree.map(np.asarray, (starts, problems))
        if not latents.shape[1]:
            raise ValueError("no images: a search needs one")

        def problem(at: int) -> PyTree[np.ndarray]:
            return jax.tree.map(lambda leaf: np.asarray(leaf[at]), known)

        futures = [
            self.submit(latents[:, at], problem(at)) for at in range(latents.shape[1])
        ]
        results = [future.result() for future in futures]
        joined: Found = jax.tree.map(lambda *parts: np.concatenate(parts), *results)
        return joined

    def close(self) -> None:
        """End after the iterations under way; unfinished searches are cancelled."""
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
        """Fill free slots, and return which; wait for work first; None = closed."""
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
        """Copy a search's start and problem into the arrays of all slots."""
        if self._problems is None:
            self._starts = np.zeros((self._slots, image.starts.shape[1]), np.float32)
            self._problems = jax.tree.map(
                lambda leaf: np.zeros((self._slots, *leaf.shape), leaf.dtype),
                image.problem,
            )
        self._starts[slot] = image.starts[restart]
        for in_slots, leaf in zip(
            jax.tree.leaves(self._problems), jax.tree.leaves(image.problem), strict=True
        ):
            in_slots[slot] = leaf

    def _advance(self, fresh: Bool[np.ndarray, " slots"]) -> None:
        """Advance all slots, and hand out the results of finished searches."""
        if not self._queue.is_busy:  # all that waited was cancelled
            return
        if self._state is None:
            starts = jax.numpy.asarray(self._starts)
            self._state = empty_slots(self._search, starts, self._slots)
        # Slot `i` has start `i` and problem `i`: the job of a slot is its own number.
        jobs = np.arange(self._slots, dtype=np.int32)
        self._state, over = self._advance_slots(
            self._state, self._starts, self._problems, jobs, fresh
        )
        for slot, (image, restart) in self._queue.leave(over).items():
            image.results.take([restart], [slot], self._state)
            image.left -= 1
            if not image.left:
                image.future.set_result(image.results.gather(len(image.starts)))

    def _give_up(self, error: BaseException) -> None:
        """Fail the images under way with an error; if closed, those that wait too."""
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
    """Return whether a search is still to be made: its image is not over."""
    image, restart = job
    # The first restart starts an image; a cancelled or failed one is over.
    running = bool(restart) or image.future.set_running_or_notify_cancel()
    return running and not image.future.done()
