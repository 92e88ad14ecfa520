"""A latent search that is kept full: images enter while others are under way.

`latent.minimise` is given all its images at once, and its last searches have most slots
to themselves. Here images come when they come, from any thread: a slot that falls free
is taken by what waits, and the result of each image is there as soon as its own
searches have ended.
"""

import collections
import dataclasses
import functools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from gan_jax.search.latent import Ends, Found, Search, Slot, begin, compile_turns


@dataclasses.dataclass
class _Image:
    """An image that waits, or whose searches are under way."""

    starts: Float[np.ndarray, "restarts latent"]
    problem: PyTree[np.ndarray]
    ends: Ends
    left: int
    """Restarts that have not ended."""
    future: "Future[Found]"


class Continuous:
    """Searches latents of images that are handed in one by one, as a context manager.

    With the same number of slots the result of an image is that of `latent.prepare`,
    bit for bit, whatever is searched beside it.
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
            search: what is minimised, and how.
            slots: how many searches run at once.
            length: iterations between looks at what has ended.
            compiled: compiles a function, as `jax.jit` does.

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
        self._waiting: collections.deque[tuple[_Image, int]] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._shape: Any = None  # of what every image brings
        self._jobs: list[tuple[_Image, int] | None] = [None] * slots
        self._starts = np.zeros((slots, 0), np.float32)
        self._problems: PyTree[np.ndarray] = None
        self._state: Slot | None = None
        self._thread = threading.Thread(
            target=self._run, name="latent search", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> "Continuous":
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
            starts: a latent for each of its restarts.
            problem: what is known of it: arrays of the same shapes for every image.

        Returns:
            What will be found for it: a `Found` of one image. It raises what the loss
            raised, and `CancelledError` if the search was closed before.

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
        ends = Ends(restarts, size, self._search.iterations)
        image = _Image(mine, known, ends, restarts, Future())
        with self._changed:
            if self._closed:
                raise RuntimeError("the search is closed")
            if self._shape is None:
                self._shape = shape
            if shape != self._shape:
                raise ValueError(f"an image of {shape} among those of {self._shape}")
            self._waiting += [(image, restart) for restart in range(restarts)]
            self._changed.notify()
        return image.future

    def minimise(
        self,
        starts: Float[Array | np.ndarray, "restarts images latent"],
        problems: PyTree[Array | np.ndarray],
    ) -> Found:
        """Search some images beside whatever else is under way, and wait for them.

        Args:
            starts: one latent for each restart and image.
            problems: what is known of each image, along a leading axis.

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
        """Let what waits into free slots; with nothing to do, wait; None = closed."""
        fresh = np.zeros(self._slots, bool)
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._waiting or any(self._jobs)
            )
            if self._closed:
                return None
            for slot in range(self._slots):
                if self._jobs[slot] is None and (job := self._next()) is not None:
                    self._place(slot, *job)
                    fresh[slot] = True
        return fresh

    def _next(self) -> tuple[_Image, int] | None:
        while self._waiting:
            image, restart = self._waiting.popleft()
            # The first restart starts an image; a cancelled or failed one is over.
            running = bool(restart) or image.future.set_running_or_notify_cancel()
            if running and not image.future.done():
                return image, restart
        return None

    def _place(self, slot: int, image: _Image, restart: int) -> None:
        if self._problems is None:
            self._starts = np.zeros((self._slots, image.starts.shape[1]), np.float32)
            self._problems = jax.tree.map(
                lambda leaf: np.zeros((self._slots, *leaf.shape), leaf.dtype),
                image.problem,
            )
        self._jobs[slot] = image, restart
        self._starts[slot] = image.starts[restart]
        for room, leaf in zip(
            jax.tree.leaves(self._problems), jax.tree.leaves(image.problem), strict=True
        ):
            room[slot] = leaf

    def _advance(self, fresh: Bool[np.ndarray, " slots"]) -> None:
        """Make a turn, and hand out what has ended."""
        if self._state is None:
            start = functools.partial(begin, self._search)
            self._state = jax.vmap(start)(jax.numpy.asarray(self._starts))
        own = np.arange(self._slots, dtype=np.int32)
        self._state, over = self._turn(
            self._state, self._starts, self._problems, own, fresh
        )
        for slot in np.flatnonzero(np.asarray(over)).tolist():
            if (job := self._jobs[slot]) is None:
                continue
            image, restart = job
            self._jobs[slot] = None
            image.ends.take(np.array([restart]), np.array([slot]), self._state)
            image.left -= 1
            if not image.left:
                image.future.set_result(image.ends.gather(len(image.starts)))

    def _give_up(self, error: BaseException) -> None:
        """End what is under way by an error; if closed, what waits too."""
        self._state = None
        images = [job[0] for job in self._jobs if job]
        self._jobs = [None] * self._slots
        with self._changed:
            if self._closed:
                images += [image for image, _ in self._waiting]
                self._waiting.clear()
        for image in images:
            if not image.future.done():
                image.future.set_exception(error)
