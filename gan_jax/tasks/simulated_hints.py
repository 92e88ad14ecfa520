"""Simulated hints: some of the true colours of images, as a user would give them.

Zhang et al. 2017 (arXiv 1705.02999), section 3.2: the number of points is geometric,
their places are normal around the middle, and each reveals the mean colour of a small
patch. For a few images all colours are revealed, so that a generator learns to copy
what it is given.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gan_jax.config.limits import Size
from gan_jax.data.masks import Known, known

_MOST = 10  # drawn hints of an image, at most, in multiples of their mean number
_SPREAD = 0.25  # standard deviation of a place, as a share of the side
_PIXELS_PER_STEP = 32  # of a side, for which the largest patch grows by one
# What is like a pixel: scaled lightness and ab, and a share of the longer side.
_SAME_LIGHTNESS, _SAME_AB, _REACH = 0.4, 0.15, (0.1, 0.6)
_CHROMA = 0.7  # of new colours, scaled, at most


def largest_patch(size: Size) -> int:
    """Return the side of the largest patch of a simulated hint, in pixels.

    It is 9 at 256x256, as published, and 2 at 32x32.
    """
    return 1 + min(size) // _PIXELS_PER_STEP


def simulated(
    key: PRNGKeyArray,
    ab: Float[Array, "batch height width 2"],
    mean: float,
    patch: int,
    none: float,
    everything: float,
) -> Known:
    """Return hints for training, drawn for each image by itself.

    Args:
        key: Random key.
        ab: Scaled colours of images.
        mean: Mean number of hints. The number is geometric, from 0 on, and at most ten
            times the mean.
        patch: Side of the largest patch, in pixels. Sides are uniform from 1 on.
        none: Share of images without a hint, beside those for which none is drawn.
        everything: Share of images of which all colours are given.
    """
    keys = jax.random.split(key, 4)
    most = math.ceil(_MOST * mean)
    drawn = jax.random.geometric(keys[0], 1 / (1 + mean), (len(ab),)) - 1
    is_hinted = jax.random.bernoulli(keys[3], 1 - none, (len(ab),))
    some = _revealed(keys[1], ab, is_hinted * drawn.clip(0, most), most, patch)
    shape = (len(ab), 1, 1, 1)
    whole = jax.random.bernoulli(keys[2], everything, shape)
    every = known(ab, jnp.ones_like(some.mask))
    return jax.tree.map(functools.partial(jnp.where, whole), every, some)


@functools.partial(jax.jit, static_argnames="number")
def at_random(
    key: PRNGKeyArray, ab: Float[Array, "batch height width 2"], number: int
) -> Known:
    """Return so many hints of one pixel for each image; fewer where places coincide."""
    numbers = jnp.full(len(ab), number)
    return _revealed(key, ab, numbers, max(number, 1), 1)


def _revealed(
    key: PRNGKeyArray,
    ab: Float[Array, "batch height width 2"],
    numbers: Int[Array, " batch"],
    most: int,
    patch: int,
) -> Known:
    """Return the mean colours of patches; where patches overlap, the mean of theirs.

    Args:
        key: Random key.
        ab: Scaled colours of images.
        numbers: Number of patches of each image.
        most: The largest number.
        patch: Side of the largest patch.
    """
    batch, height, width, _ = ab.shape
    keys = jax.random.split(key, 3)
    sides = jax.random.randint(keys[0], (batch, most), 1, patch + 1)

    def covered(key: PRNGKeyArray, length: int) -> Bool[Array, "batch most length"]:
        """Return the rows, or columns, of each patch."""
        drawn = _SPREAD * length * jax.random.normal(key, sides.shape)
        first = jnp.rint((length - sides) / 2 + drawn).clip(0, length - sides)
        at, first = jnp.arange(length).reshape(1, 1, -1), first[..., None]
        return (at >= first) & (at < first + sides[..., None])

    is_given = (jnp.arange(most).reshape(1, -1) < numbers[:, None])[..., None]
    rows = (covered(keys[1], height) & is_given).astype(jnp.float32)
    columns = covered(keys[2], width).astype(jnp.float32)
    # Accelerators multiply matrices in lower precision by default.
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    bands = product("bph,bhwc->bpwc", rows, ab)
    means = product("bpw,bpwc->bpc", columns, bands) / jnp.square(sides)[..., None]
    stripes = columns[..., None] * means[:, :, None]
    values = product("bph,bpwc->bhwc", rows, stripes)
    counts = product("bph,bpw->bhw", rows, columns)[..., None]
    mask = (counts > 0).astype(jnp.float32)
    return Known(values / jnp.maximum(counts, 1), mask)


def recoloured(
    key: PRNGKeyArray,
    lightness: Float[Array, "batch height width 1"],
    ab: Float[Array, "batch height width 2"],
    mask: Float[Array, "batch height width 1"],
    share: float,
) -> Float[Array, "batch height width 2"]:
    """Return the colours of images, in some of which one thing has another colour.

    It is as if a user made a red hat blue: a pixel of a hint gets a random colour, and
    what is like it around it moves along. Otherwise the colour of one thing would
    nearly always tell that of all others, and a generator would give one hint to the
    whole image.

    Args:
        key: Random key.
        lightness: Scaled lightness of images.
        ab: Their scaled colours.
        mask: 1 where they have a hint. Images without one stay as they are.
        share: Share of the images that are changed.
    """
    keys, batch = jax.random.split(key, 5), len(ab)
    noise = jax.random.uniform(keys[0], mask.shape, minval=0.5)
    at = (mask * noise).reshape(batch, -1).argmax(axis=1)

    def of_pixel(maps: Array) -> Array:
        """Return the values of the chosen pixels, which are at `at`."""
        pixels = maps.reshape(batch, -1, maps.shape[-1])
        return jnp.take_along_axis(pixels, at[:, None, None], axis=1)[:, None]

    sides = jnp.array(mask.shape[1:3])
    places = jnp.stack(jnp.indices(mask.shape[1:3]), axis=-1) / sides.max()
    places = jnp.broadcast_to(places, (batch, *places.shape))
    shape = (batch, 1, 1, 1)
    reach = jax.random.uniform(keys[1], shape, minval=_REACH[0], maxval=_REACH[1])
    measured = ((lightness, _SAME_LIGHTNESS), (ab, _SAME_AB), (places, reach))
    is_like = jnp.ones(mask.shape, bool)
    for maps, largest in measured:
        squares = jnp.square(maps - of_pixel(maps)).sum(axis=-1, keepdims=True)
        is_like &= squares <= largest**2
    angle = jax.random.uniform(keys[2], shape, maxval=2 * jnp.pi)
    chroma = jax.random.uniform(keys[3], shape, maxval=_CHROMA)
    colour = chroma * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    chosen = jax.random.bernoulli(keys[4], share, shape)
    chosen &= mask.any(axis=(1, 2, 3), keepdims=True)
    moved = (ab + colour - of_pixel(ab)).clip(-1, 1)
    return jnp.where(chosen & is_like, moved, ab)
