"""Masks of known pixels: 1 = known, 0 = missing, never inferred from values."""

import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.config.errors import InputError
from gan_jax.data.decode import BrokenImageError, decode


class Known(NamedTuple):
    """What is known of an image: a sparse map of values and where they lie."""

    values: Float[Array, "batch height width channels"]
    """In [-1, 1] where known, 0 elsewhere."""
    mask: Float[Array, "batch height width 1"]


def known(
    images: Float[Array, "batch height width channels"],
    mask: Float[Array, "batch height width 1"],
) -> Known:
    """Keep the pixels of the images that a mask names: y = M * x."""
    return Known(images * mask, mask)


def pixel_count(size: int, count: int = 0, fraction: float = 0.0) -> int:
    """Turn a count or a fraction of size x size pixels into an exact count.

    A fraction is rounded down: 0.005 of 28x28 are 3 pixels, as in Ruffino et al.
    2019 (arXiv 1911.00689), section 4.

    Raises:
        InputError: unless exactly one is given, and yields 1 to size^2 pixels.
    """
    # What is below 0, or NaN, is a mistake and not taken for 0.
    if not (count >= 0 and fraction >= 0) or (count > 0) == (fraction > 0):
        raise InputError(
            f"mask.count ({count}) or mask.fraction ({fraction}) must be above 0, and "
            "the other 0"
        )
    share = min(fraction, 2.0)  # all above 1 is refused below, infinity too
    total = count if count > 0 else math.floor(share * size * size + 1e-9)
    if not 1 <= total <= size * size:
        raise InputError(
            f"a mask of {total} known pixels does not fit an image of {size}x{size}: "
            f"choose 1 to {size * size} with mask.count, or mask.fraction in (0, 1]"
        )
    return total


def random_pixels(
    key: PRNGKeyArray, batch: int, size: int, count: int, most: int = 0
) -> Float[Array, "batch size size 1"]:
    """Draw pixels uniformly without replacement, others for every image.

    Args:
        key: of the lots.
        batch: how many masks.
        size: their height and width.
        count: pixels of each; the fewest, where there is
        most: the most of them, all numbers between being as likely; 0 = `count`.
    """
    lots = jax.random.uniform(key, (batch, size * size))
    _, chosen = jax.lax.top_k(lots, most or count)
    rows = jnp.arange(batch).reshape(-1, 1)
    numbers = jnp.full((batch, 1), count)
    if most:
        own = jax.random.fold_in(key, 1)
        numbers = jax.random.randint(own, (batch, 1), count, most + 1)
    kept = (jnp.arange(chosen.shape[1]).reshape(1, -1) < numbers).astype(jnp.float32)
    mask = jnp.zeros((batch, size * size)).at[rows, chosen].set(kept)
    return mask.reshape(batch, size, size, 1)


def fixed_pixels(
    pattern: Float[Array, "size size"], batch: int
) -> Float[Array, "batch size size 1"]:
    """Repeat one pattern of known pixels (1 = known) for every image."""
    return jnp.broadcast_to(
        pattern.reshape(1, *pattern.shape, 1), (batch, *pattern.shape, 1)
    )


def pattern(path: str, size: int) -> Float[Array, "size size"]:
    """Read a fixed mask from an image file: white = known.

    Raises:
        InputError: it cannot be read, has another size, or is black.
    """
    try:
        image = decode(Path(path))
    except BrokenImageError as error:
        raise InputError(f"mask.pattern {path}: {error}") from None
    if image.shape[:2] != (size, size):
        raise InputError(
            f"mask.pattern {path} is {image.shape[1]}x{image.shape[0]}, the images are "
            f"{size}x{size}: give a mask of their size"
        )
    known = (np.asarray(image).mean(axis=-1) > 127).astype(np.float32)
    if not known.any():
        raise InputError(f"mask.pattern {path} is black: mark known pixels in white")
    return jnp.asarray(known)
