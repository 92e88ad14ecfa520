"""Holes: masks that leave whole regions missing, as in studies of inpainting.

Every mask is 1 where a pixel is known, and a function of its shape and, where it is
drawn, of a key. A hole with a size in pixels raises a `ValueError` where it does not
fit into that shape, or leaves nothing known of it.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

Mask = Float[Array, "height width 1"]
Hole: TypeAlias = Callable[[PRNGKeyArray, int, int], Mask]
"""`hole(key, height, width)`."""
Side = Literal["left", "right", "top", "bottom"]


def none(key: PRNGKeyArray, height: int, width: int) -> Mask:
    """Leave nothing out: what is to be undone is another degradation."""
    return jnp.ones((height, width, 1))


def centre(key: PRNGKeyArray, height: int, width: int) -> Mask:
    """Leave out the central quarter: from 0.25 to 0.75 of both sides."""
    rows, columns = _places(height, width)
    inside = (abs(rows - 0.5) < 0.25) & (abs(columns - 0.5) < 0.25)
    return _known(~inside)


def central(side: int) -> Hole:
    """Return a hole that leaves out a central square.

    Where it cannot lie in the middle, because one of both sizes is odd, it lies half a
    pixel above it, or to the left.

    Args:
        side: of the square, in pixels.

    Raises:
        ValueError: the side is not above 0.
    """
    _check_positive(side)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        _check_fits(side, side, height, width)
        rows = _within(height, (height - side) // 2, side).reshape(-1, 1)
        columns = _within(width, (width - side) // 2, side).reshape(1, -1)
        return _known(~(rows & columns))

    return hole


def random(missing: float = 0.8) -> Hole:
    """Leave out a share of the pixels, drawn without replacement.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    _check_share(missing)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        lots = jax.random.uniform(key, (height, width))
        return _known(_upper_part(lots, 1 - missing))

    return hole


def half(side: Side) -> Hole:
    """Leave out the left, right, top or bottom half."""

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        rows, columns = _places(height, width)
        place = columns if side in ("left", "right") else rows
        known = place >= 0.5 if side in ("left", "top") else place < 0.5
        return _known(jnp.broadcast_to(known, (height, width)))

    return hole


def border(side: Side, pixels: int) -> Hole:
    """Return a hole that leaves out so many columns, or rows, at a side.

    Raises:
        ValueError: the number is not above 0.
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
    """Leave out patches of random shape: what lies lowest in a smooth random field.

    In the manner of the random pattern of Pathak et al. 2016 (arXiv 1604.07379).

    Args:
        missing: the share left out.
        grain: size of the patches, as a part of the image's.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    _check_share(missing)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        field = jax.random.normal(key, (height, width))
        # A Gaussian as wide as the grain, applied to the field's spectrum.
        rows = height * jnp.fft.fftfreq(height).reshape(-1, 1)
        columns = width * jnp.fft.fftfreq(width).reshape(1, -1)
        squares = rows**2 + columns**2
        damped = jnp.fft.fft2(field) * jnp.exp(-squares * (jnp.pi * grain) ** 2)
        return _known(_upper_part(jnp.fft.ifft2(damped).real, 1 - missing))

    return hole


def squares(count: int = 4, missing: float = 0.25, pixels: int | None = None) -> Hole:
    """Leave out squares at random places, of equal size, that may overlap.

    Args:
        count: how many.
        missing: the share left out, where none overlap.
        pixels: of a square's side, whatever share that is.

    Raises:
        ValueError: there is none, the share is not between 0 and 1, or the side is not
            above 0.
    """
    _check_share(missing)
    _check_positive(count)
    if pixels is not None:
        _check_positive(pixels)

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        if count > height * width:
            raise ValueError(
                f"{count} squares in the {height * width} pixels of images"
            )
        by_share = max(1, round((height * width * missing / count) ** 0.5))
        side = by_share if pixels is None else pixels
        if pixels is not None:
            _check_fits(side, side, height, width)
        keys = jax.random.split(key)
        tops = jax.random.randint(keys[0], (count, 1), 0, max(1, height - side + 1))
        lefts = jax.random.randint(keys[1], (count, 1), 0, max(1, width - side + 1))
        rows = jnp.arange(height).reshape(1, -1)
        columns = jnp.arange(width).reshape(1, -1)
        down = (rows >= tops) & (rows < tops + side)
        across = (columns >= lefts) & (columns < lefts + side)
        inside = (down[:, :, None] & across[:, None, :]).any(axis=0)
        return _known(~inside)

    return hole


HOLES: Mapping[str, Callable[..., Hole]] = {
    "none": lambda: none,
    "center": lambda side=None: centre if side is None else central(_whole(side)),
    "random": lambda missing="0.8": random(float(missing)),
    "left": lambda pixels=None: _at("left", pixels),
    "right": lambda pixels=None: _at("right", pixels),
    "top": lambda pixels=None: _at("top", pixels),
    "bottom": lambda pixels=None: _at("bottom", pixels),
    "pattern": lambda missing="0.25": pattern(float(missing)),
    "squares": lambda numbers="4": _squares(numbers),
}
"""By name; called with what follows the name and a colon, if anything does.

`random:0.8` and `pattern:0.25` are shares, `center:16` the side of a square in pixels,
`left:12` columns, `top:12` rows, `squares:4` a number of squares, and `squares:4:16`
their side too.
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
        raise ValueError(f"'{text}' is no whole number") from None


def _known(known: Array) -> Mask:
    return known.astype(jnp.float32)[..., None]


def _places(height: int, width: int) -> tuple[Array, Array]:
    """Return the pixels' centres, from 0 to 1 along each side."""
    rows = (jnp.arange(height).reshape(-1, 1) + 0.5) / height
    return rows, (jnp.arange(width).reshape(1, -1) + 0.5) / width


def _within(size: int, first: int, count: int) -> Bool[Array, " size"]:
    """Return which of `size` places are among `count` from the `first` on."""
    places = jnp.arange(size)
    return (places >= first) & (places < first + count)


def _upper_part(field: Array, share: float) -> Array:
    """Choose the pixels with the largest values, an exact share of all."""
    count = round(share * field.size)
    ranks = jnp.argsort(jnp.argsort(field.reshape(-1)))
    return (ranks >= field.size - count).reshape(field.shape)


def _check_positive(number: int) -> None:
    if number < 1:
        raise ValueError(f"{number} is not above 0")


def _check_fits(rows: int, columns: int, height: int, width: int) -> None:
    """Refuse a hole that is larger than an image, or covers it."""
    whole = (rows, columns) == (height, width)
    if whole or rows > height or columns > width:
        raise ValueError(
            f"a hole of {rows}x{columns} pixels leaves nothing of {height}x{width}: "
            "make it smaller"
        )


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share} pixels cannot be missing")
