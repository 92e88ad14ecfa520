"""Masks of known pixels: 1 = known, 0 = missing."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.mask_files import read_mask


class Known(NamedTuple):
    """Known pixels of images: their values and their mask."""

    values: Float[Array, "batch height width channels"]
    """Values in [-1, 1] at known pixels, 0 at missing ones."""
    mask: Float[Array, "batch height width 1"]
    """1 where a pixel is known, 0 where it is missing."""


def known(
    images: Float[Array, "batch height width channels"],
    mask: Float[Array, "batch height width 1"],
) -> Known:
    """Return the known pixels of images: y = M * x."""
    return Known(images * mask, mask)


def pixel_count(
    size: int | Size, count: int = 0, fraction: float = 0.0, most: int = 0
) -> int:
    """Return the number of known pixels for a count or a fraction of all pixels.

    Args:
        size: Size of the image; a number is that of a square.
        count: Number of known pixels; 0 if a fraction is given.
        most: Largest number, where numbers are drawn: count and fraction may then both
            be 0, so that the least number is 0; 0 = all masks have one number.
        fraction: Share of known pixels in (0, 1]; 0 if a count is given. The number is
            rounded down: 0.005 of 28x28 are 3 pixels, as in Ruffino et al. 2019,
            section 4 (arXiv 1911.00689).

    Raises:
        InputError: If not exactly one of count and fraction is positive, or the number
            is not between 1 and that of all pixels.
    """
    if most > 0 and count == fraction == 0:
        return 0
    # A negative number or NaN is an error, not 0.
    if not (count >= 0 and fraction >= 0) or (count > 0) == (fraction > 0):
        raise InputError(
            f"--config.mask.count is {count} and --config.mask.fraction {fraction}: "
            "set one of them above 0 and the other to 0"
        )
    share = min(fraction, 2.0)  # fractions above 1 are refused below, infinity as well
    whole = size_of(size)
    total = count if count > 0 else math.floor(share * whole.pixels + 1e-9)
    if not 1 <= total <= whole.pixels:
        raise InputError(
            f"a mask of {total} known pixels does not fit an image of {whole}: "
            f"choose 1 to {whole.pixels} with --config.mask.count, or "
            "--config.mask.fraction in (0, 1]"
        )
    return total


def _uniform(
    key: PRNGKeyArray, batch: int, least: int, most: int
) -> Int[Array, " batch"]:
    """Return whole numbers from `least` to `most`, each as often as any other."""
    return jax.random.randint(key, (batch,), least, most + 1)


def _logarithmic(
    key: PRNGKeyArray, batch: int, least: int, most: int
) -> Int[Array, " batch"]:
    """Return whole numbers n from `least` to `most`, log-uniform.

    They are floor(exp(u)) - 1 with u uniform from log(least + 1) to log(most + 2), so
    that n has the probability log((n + 2) / (n + 1)) / log((most + 2) / (least + 1)):
    from 0 to 100, it is 0.15 for 0 and 0.15 for all above 49 together.
    """
    bounds = math.log(least + 1), math.log(most + 2)
    drawn = jax.random.uniform(key, (batch,), minval=bounds[0], maxval=bounds[1])
    numbers = jnp.floor(jnp.exp(drawn)).astype(jnp.int32) - 1
    return numbers.clip(least, most)  # the exponential is rounded


DrawNumbers = Callable[[PRNGKeyArray, int, int, int], Int[Array, " batch"]]
"""`draw(key, batch, least, most)`: numbers of known pixels."""

NUMBERS: Mapping[str, DrawNumbers] = {"uniform": _uniform, "log": _logarithmic}
"""Distributions of the number of known pixels by name."""


def random_pixels(
    key: PRNGKeyArray,
    batch: int,
    size: int | Size,
    count: int,
    most: int = 0,
    draw: DrawNumbers = _uniform,
) -> Float[Array, "batch height width 1"]:
    """Return masks of known pixels at random places, independent for every image.

    Args:
        key: Random key.
        batch: Number of masks.
        size: Size of the masks; a number is that of squares.
        count: Number of known pixels per image; the minimum if `most` is positive.
        most: Maximum number of known pixels, which is then random; 0 keeps `count`.
        draw: Distribution of that number, one of `NUMBERS`.
    """
    whole = size_of(size)
    draws = jax.random.uniform(key, (batch, whole.pixels))
    _, chosen = jax.lax.top_k(draws, most or count)
    rows = jnp.arange(batch).reshape(-1, 1)
    numbers = jnp.full((batch, 1), count)
    if most:
        count_key = jax.random.fold_in(key, 1)
        numbers = draw(count_key, batch, count, most).reshape(batch, 1)
    values = (jnp.arange(chosen.shape[1]).reshape(1, -1) < numbers).astype(jnp.float32)
    mask = jnp.zeros((batch, whole.pixels)).at[rows, chosen].set(values)
    return mask.reshape(batch, *whole, 1)


def fixed_pixels(
    pattern: Float[Array, "height width"], batch: int
) -> Float[Array, "batch height width 1"]:
    """Return the same mask for every image of a batch."""
    return jnp.broadcast_to(
        pattern.reshape(1, *pattern.shape, 1), (batch, *pattern.shape, 1)
    )


def pattern(path: str, size: int | Size) -> Float[Array, "height width"]:
    """Return a fixed mask, read from an image file in which white means known.

    Args:
        path: Path of the image file (`mask.pattern` of a config).
        size: Size that the mask must have; a number is that of a square.

    Raises:
        InputError: If the file cannot be read, has another size, or is black.
    """
    try:
        known = read_mask(Path(path))
    except BrokenImageError as error:
        raise InputError(f"--config.mask.pattern {path}: {error}") from None
    whole, found = size_of(size), Size(*known.shape)
    if found != whole:
        raise InputError(
            f"--config.mask.pattern {path} is {found} pixels (height x width), but the "
            f"images are {whole}: give a mask of their size"
        )
    if not known.any():
        raise InputError(
            f"--config.mask.pattern {path} is black: mark known pixels white"
        )
    return jnp.asarray(known, jnp.float32)
