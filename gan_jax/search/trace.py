"""The latents of searches after some of their iterations."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from gan_jax.search.latent import CompiledSearch, empty_slots

Watched = Int[np.ndarray, " watched"]
"""One integer for each repeated search."""


class Trace(NamedTuple):
    """The latents of some searches after some of their iterations."""

    steps: Int[np.ndarray, " recorded"]
    """Iterations made: 0 first; last those of the longest search."""
    latent: Float[np.ndarray, "watched recorded latent"]
    """The latents after so many iterations; after a search's end, its last latent."""
    ends: Watched
    """Iterations that each search made."""


def recorded_steps(iterations: int, length: int) -> list[int]:
    """Return the iterations after which latents are recorded, without the last one.

    They are 0, 10, 30, 100, 300, 1000 and so on, rounded up to multiples of `length`.
    """
    numbers = (
        digit * 10**power
        for power in range(1, len(str(iterations)))
        for digit in (1, 3)
    )
    rounded = (-(-number // length) * length for number in numbers)
    return [0, *dict.fromkeys(number for number in rounded if number < iterations)]


def trace(
    compiled_search: CompiledSearch,
    starts: Float[Array, "restarts images latent"],
    problems: PyTree[Array],
    images: Watched,
    restarts: Watched,
    slots: int = 64,
    advanced: Callable[[int], None] = lambda step: None,
) -> Trace:
    """Repeat some searches of `latent.run`, and record their latents.

    The latents are the same, bit for bit: `run` calls the same program with arguments
    of the same shapes, and a search does not depend on its neighbours.

    The arguments are those of `run`, and the image and the restart of each repeated
    search. `advanced` is called after every check with the number of iterations made.

    Raises:
        ValueError: If there are no images.
    """
    if not len(images):
        raise ValueError("no images: there is no search to watch")
    flat = jnp.asarray(starts).reshape(-1, starts.shape[-1])
    jobs = (restarts * starts.shape[1] + images).astype(np.int32)
    groups = [jobs[at : at + slots] for at in range(0, len(jobs), slots)]
    steps = recorded_steps(compiled_search.search.iterations, compiled_search.length)
    latents, ends = zip(
        *(
            _record(compiled_search, flat, problems, group, steps, slots, advanced)
            for group in groups
        ),
        strict=True,
    )
    latent, end = np.concatenate(latents), np.concatenate(ends)
    before_end = np.array([step for step in steps if step < end.max()])
    latent = np.concatenate([latent[:, : len(before_end)], latent[:, -1:]], axis=1)
    return Trace(np.append(before_end, end.max()), latent, end)


def _record(
    compiled_search: CompiledSearch,
    starts: Float[Array, "all latent"],
    problems: PyTree[Array],
    jobs: Watched,
    steps: list[int],
    slots: int,
    advanced: Callable[[int], None],
) -> tuple[Float[np.ndarray, "watched recorded latent"], Watched]:
    """Return the latents of at most `slots` searches after `steps`, and at the end."""
    count = len(jobs)
    padded = np.zeros(slots, np.int32)
    padded[:count] = jobs
    fresh = np.arange(slots) < count
    search = compiled_search.search
    state = empty_slots(search, starts, slots)
    recorded = {0: np.asarray(jax.vmap(search.project)(starts[jobs]))}
    step, over = 0, np.zeros(slots, bool)
    while not over[:count].all():
        state, ended = compiled_search.advance(state, starts, problems, padded, fresh)
        fresh, over = np.zeros(slots, bool), np.asarray(ended)
        step += compiled_search.length
        if step in steps:
            recorded[step] = np.asarray(state.latent)[:count]
        advanced(step)
    last = np.asarray(state.latent)[:count]
    latents = [recorded.get(step, last) for step in steps]
    return np.stack([*latents, last], axis=1), np.asarray(state.step)[:count]
