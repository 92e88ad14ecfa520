"""Completions of one image that differ from each other."""

import numpy as np
from jaxtyping import Float, Int


def diverse(
    completions: Float[np.ndarray, "restarts height width channels"],
    loss: Float[np.ndarray, " restarts"],
    count: int,
) -> Int[np.ndarray, " count"]:
    """Choose the best, then each time the one that is farthest.

    Farthest from the nearest of those chosen, in mean squared difference.

    Raises:
        ValueError: there are fewer than `count`.
    """
    if not 0 < count <= len(completions):
        raise ValueError(f"{count} of {len(completions)} completions")
    flat = completions.reshape(len(completions), -1).astype(np.float64)
    chosen = [int(loss.argmin())]
    nearest = np.full(len(flat), np.inf)
    for _ in range(count - 1):
        distances = np.square(flat - flat[chosen[-1]]).mean(axis=1)
        nearest = np.minimum(nearest, distances)
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
