"""Holes: masks that leave whole regions missing, as in studies of inpainting.

Every mask is 1 where a pixel is known, and a function of its shape and, where it is
drawn, of a key.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

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


def squares(count: int = 4, missing: float = 0.25) -> Hole:
    """Leave out squares at random places, of equal size, that may overlap.

    Args:
        count: how many.
        missing: the share left out, where none overlap.

    Raises:
        ValueError: there is none, or the share is not between 0 and 1.
    """
    _check_share(missing)
    if count < 1:
        raise ValueError(f"{count} squares")

    def hole(key: PRNGKeyArray, height: int, width: int) -> Mask:
        side = max(1, round((height * width * missing / count) ** 0.5))
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
    "center": lambda: centre,
    "random": lambda missing="0.8": random(float(missing)),
    "left": lambda: half("left"),
    "right": lambda: half("right"),
    "top": lambda: half("top"),
    "bottom": lambda: half("bottom"),
    "pattern": lambda missing="0.25": pattern(float(missing)),
    "squares": lambda count="4": squares(int(count)),
}
"""By name; called with what follows the name and a colon, if anything does, e.g.
`random:0.8`."""


def _known(known: Array) -> Mask:
    return known.astype(jnp.float32)[..., None]


def _places(height: int, width: int) -> tuple[Array, Array]:
    """Give the pixels' centres, from 0 to 1 along each side."""
    rows = (jnp.arange(height).reshape(-1, 1) + 0.5) / height
    return rows, (jnp.arange(width).reshape(1, -1) + 0.5) / width


def _upper_part(field: Array, share: float) -> Array:
    """Choose the pixels with the largest values, an exact share of all."""
    count = round(share * field.size)
    ranks = jnp.argsort(jnp.argsort(field.reshape(-1)))
    return (ranks >= field.size - count).reshape(field.shape)


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share} pixels cannot be missing")
