"""Holes: masks in which whole regions are missing, as in studies of inpainting.

Every mask is 1 where a pixel is known and 0 in the hole. A hole is a function of a key
and of the image's height and width. A hole of a size in pixels raises `ValueError` if
it does not fit into the image or leaves no known pixel.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

Mask = Float[Array, "height width 1"]
Hole: TypeAlias = Callable[[PRNGKeyArray, int, int], Mask]
"""`hole(key, height, width)` returns a mask."""
Side = Literal["left", "right", "top", "bottom"]


def none(key: PRNGKeyArray, height: int, width: int) -> Mask:
    """Return a mask without a hole, for tasks with another degradation."""
    return jnp.ones((height, width, 1))


def centre(key: PRNGKeyArray, height: int, width: int) -> Mask:
    """Return a mask without the central quarter: from 0.25 to 0.75 of both sides."""
    rows, columns = _places(height, width)
    inside = (abs(rows - 0.5) < 0.25) & (abs(columns - 0.5) < 0.25)
    return _known(~inside)


def central_square(side: int) -> Hole:
    """Return a hole: a square in the centre of the image.

    If it cannot be centred exactly, it lies half a pixel towards the top or the left.

    Raises:
        ValueError: If the side in pixels is not positive.
    """
    _check_positive(side)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        _check_fits(side, side, height, width)
        rows = _within(height, (height - side) // 2, side).reshape(-1, 1)
        columns = _within(width, (width - side) // 2, side).reshape(1, -1)
        return _known(~(rows & columns))

    return hole


def random(missing: float = 0.8) -> Hole:
    """Return a hole: pixels at random places, the share `missing` of all.

    Raises:
        ValueError: If the share is not in [0, 1].
    """
    _check_share(missing)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        draws = jax.random.uniform(key, (height, width))
        return _known(_largest(draws, 1 - missing))

    return hole


def half(side: Side) -> Hole:
    """Return a hole: the left, right, top or bottom half."""

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        rows, columns = _places(height, width)
        place = columns if side in ("left", "right") else rows
        known = place >= 0.5 if side in ("left", "top") else place < 0.5
        return _known(jnp.broadcast_to(known, (height, width)))

    return hole


def border(side: Side, pixels: int) -> Hole:
    """Return a hole: so many columns or rows at one side of the image.

    Raises:
        ValueError: If the number is not positive.
    """
    _check_positive(pixels)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        across = side in ("left", "right")
        _check_fits(
            height if across else pixels, pixels if across else width, height, width
        )
        size = width if across else height
        first = 0 if side in ("left", "top") else size - pixels
        missing = _within(size, first, pixels)
        places = missing.reshape((1, -1) if across else (-1, 1))
        return _known(~jnp.broadcast_to(places, (height, width)))

    return hole


def pattern(missing: float = 0.25, grain: float = 0.1) -> Hole:
    """Return a hole: patches of random shape.

    The patches are the lowest values of a smooth random field, similar to the random
    pattern of Pathak et al. 2016 (arXiv 1604.07379). They miss the share `missing` of
    the pixels; `grain` is their size as a fraction of the image's size.

    Raises:
        ValueError: If the share is not in [0, 1].
    """
    _check_share(missing)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        field = jax.random.normal(key, (height, width))
        # Smooth the field by a Gaussian as wide as the grain, in the frequency domain.
        rows = height * jnp.fft.fftfreq(height).reshape(-1, 1)
        columns = width * jnp.fft.fftfreq(width).reshape(1, -1)
        squares = rows**2 + columns**2
        damped = jnp.fft.fft2(field) * jnp.exp(-squares * (jnp.pi * grain) ** 2)
        return _known(_largest(jnp.fft.ifft2(damped).real, 1 - missing))

    return hole


def squares(count: int = 4, missing: float = 0.25, pixels: int | None = None) -> Hole:
    """Return a hole: squares of one size at random places, which may overlap.

    Args:
        count: Number of squares.
        missing: Share of the pixels that are missing if no squares overlap.
        pixels: Side of a square in pixels, which replaces `missing`.

    Raises:
        ValueError: If count or side is not positive, or the share is not in [0, 1].
    """
    _check_share(missing)
    _check_positive(count)
    if pixels is not None:
        _check_positive(pixels)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        if count > height * width:
            raise ValueError(
                f"{count} squares do not fit into images of {height * width} pixels"
            )
        by_share = max(1, round((height * width * missing / count) ** 0.5))
        side = by_share if pixels is None else pixels
        if pixels is not None:
            _check_fits(side, side, height, width)
        keys = jax.random.split(key)
        tops = jax.random.randint(keys[0], (count, 1), 0, max(1, height - side + 1))
        lefts = jax.random.randint(keys[1], (count, 1), 0, max(1, width - side + 1))
        # Each square adds 1 from its first row and column on, and takes it away again
        # behind its last: the sums count the squares over a pixel.
        steps = jnp.zeros((height + 1, width + 1), jnp.int32)
        bottoms, rights = tops + side, lefts + side
        for row, column, sign in (
            (tops, lefts, 1),
            (tops, rights, -1),
            (bottoms, lefts, -1),
            (bottoms, rights, 1),
        ):
            steps = steps.at[row, column].add(sign, mode="clip")
        squares_over = steps.cumsum(axis=0).cumsum(axis=1)[:height, :width]
        return _known(squares_over == 0)

    return hole


HOLES: Mapping[str, Callable[..., Hole]] = {
    "none": lambda: none,
    "center": lambda side=None: (
        centre if side is None else central_square(_whole(side))
    ),
    "random": lambda missing="0.8": random(float(missing)),
    "left": lambda pixels=None: _at("left", pixels),
    "right": lambda pixels=None: _at("right", pixels),
    "top": lambda pixels=None: _at("top", pixels),
    "bottom": lambda pixels=None: _at("bottom", pixels),
    "pattern": lambda missing="0.25": pattern(float(missing)),
    "squares": lambda numbers="4": _squares(numbers),
}
"""Holes by name; the text after the name and a colon is the argument.

`random:0.8` and `pattern:0.25` state the missing share, `center:16` the side of a
square in pixels, `left:12` a number of columns, `top:12` of rows, `squares:4` of
squares, and `squares:4:16` their side as well.
"""


def _at(side: Side, pixels: str | None) -> Hole:
    return half(side) if pixels is None else border(side, _whole(pixels))


def _squares(numbers: str) -> Hole:
    count, colon, pixels = numbers.partition(":")
    return squares(_whole(count), pixels=_whole(pixels) if colon else None)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None


def _known(known: Array) -> Mask:
    return known.astype(jnp.float32)[..., None]


def _places(height: int, width: int) -> tuple[Array, Array]:
    """Return the coordinates of pixel centres, from 0 to 1 along each side."""
    rows = (jnp.arange(height).reshape(-1, 1) + 0.5) / height
    return rows, (jnp.arange(width).reshape(1, -1) + 0.5) / width


def _within(size: int, first: int, count: int) -> Bool[Array, " size"]:
    """Return the mask of `count` places from `first` on, among `size`."""
    places = jnp.arange(size)
    return (places >= first) & (places < first + count)


def _largest(field: Array, share: float) -> Array:
    """Return the mask of the largest values, an exact share of the pixels."""
    count = round(share * field.size)
    ranks = jnp.argsort(jnp.argsort(field.reshape(-1)))
    return (ranks >= field.size - count).reshape(field.shape)


def _check_positive(number: int) -> None:
    if number < 1:
        raise ValueError(f"{number} is not above 0")


def _check_fits(rows: int, columns: int, height: int, width: int) -> None:
    """Raise `ValueError` if a hole is larger than an image, or covers it."""
    whole = (rows, columns) == (height, width)
    if whole or rows > height or columns > width:
        raise ValueError(
            f"a hole of {rows}x{columns} pixels leaves no known pixel of images of "
            f"{height}x{width}: make it smaller"
        )


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"a missing share of {share} must be between 0 and 1")
