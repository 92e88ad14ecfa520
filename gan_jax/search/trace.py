"""The latents of searches after some of their iterations."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from gan_jax.search.latent import Turns, empty_slots

Watched = Int[np.ndarray, " watched"]


class Trace(NamedTuple):
    """The latents of some searches on their way, each from one start."""

    steps: Int[np.ndarray, " marks"]
    """Iterations made: 0 first; last those of the longest search."""
    latent: Float[np.ndarray, "watched marks latent"]
    """The latents after so many iterations; after a search's end, its last latent."""
    ends: Watched
    """Iterations that each search made."""


def marks(iterations: int, length: int) -> list[int]:
    """Return the iterations after which latents are kept, without the last one.

    They are 0, 10, 30, 100, 300, 1000 and so on, rounded up to ends of turns.

    Args:
        iterations: Largest number of iterations of the search.
        length: Iterations of a turn.
    """
    wanted = (
        digit * 10**power
        for power in range(1, len(str(iterations)))
        for digit in (1, 3)
    )
    rounded = (-(-number // length) * length for number in wanted)
    return [0, *dict.fromkeys(number for number in rounded if number < iterations)]


def trace(
    turns: Turns,
    starts: Float[Array, "restarts images latent"],
    problems: PyTree[Array],
    images: Watched,
    restarts: Watched,
    slots: int = 64,
    turned: Callable[[int], None] = lambda step: None,
) -> Trace:
    """Repeat some searches of `latent.run`, and return their latents on the way.

    They take the same course, bit for bit: the program is that of `run`, on arguments
    of the same shapes, and a search does not see its neighbours.

    Args:
        turns: The compiled search.
        starts: The starts given to `run`.
        problems: The problems given to `run`.
        images: Indices of the images whose searches are repeated.
        restarts: For each of these images, the restart that is repeated.
        slots: The slots given to `run`.
        turned: Called after every turn with the number of iterations made.

    Raises:
        ValueError: no images.
    """
    if not len(images):
        raise ValueError("no images: there is no search to watch")
    flat = jnp.asarray(starts).reshape(-1, starts.shape[-1])
    jobs = (restarts * starts.shape[1] + images).astype(np.int32)
    groups = [jobs[at : at + slots] for at in range(0, len(jobs), slots)]
    looks = marks(turns.search.iterations, turns.length)
    latents, ends = zip(
        *(
            _watched(turns, flat, problems, some, looks, slots, turned)
            for some in groups
        ),
        strict=True,
    )
    latent, end = np.concatenate(latents), np.concatenate(ends)
    seen = np.array([look for look in looks if look < end.max()])
    latent = np.concatenate([latent[:, : len(seen)], latent[:, -1:]], axis=1)
    return Trace(np.append(seen, end.max()), latent, end)


def _watched(
    turns: Turns,
    starts: Float[Array, "all latent"],
    problems: PyTree[Array],
    jobs: Watched,
    looks: list[int],
    slots: int,
    turned: Callable[[int], None],
) -> tuple[Float[np.ndarray, "watched looks latent"], Watched]:
    """Return the latents of at most `slots` searches at every mark, and at the end."""
    count = len(jobs)
    padded = np.zeros(slots, np.int32)
    padded[:count] = jobs
    fresh = np.arange(slots) < count
    state = empty_slots(turns.search, starts, slots)
    kept = {0: np.asarray(jax.vmap(turns.search.project)(starts[jobs]))}
    step, over = 0, np.zeros(slots, bool)
    while not over[:count].all():
        state, ended = turns.turn(state, starts, problems, padded, fresh)
        fresh, over = np.zeros(slots, bool), np.asarray(ended)
        step += turns.length
        if step in looks:
            kept[step] = np.asarray(state.latent)[:count]
        turned(step)
    last = np.asarray(state.latent)[:count]
    found = [kept.get(look, last) for look in looks]
    return np.stack([*found, last], axis=1), np.asarray(state.step)[:count]
