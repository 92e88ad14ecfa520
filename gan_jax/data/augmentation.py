"""Differentiable augmentation of images, and of the conditions that belong to them.

The changes, and their sizes, are those of Zhao et al. 2020 (arXiv 2006.10738) and of
the authors' code. A change is drawn for each image by itself, and with a probability,
as Karras et al. 2020 do (arXiv 2006.06676, section 2.2): colours by brightness,
saturation and contrast, each drawn apart, then a translation, then a cut-out. What is
drawn is a record of numbers per image, so that one change can be applied to an image
and to its condition. All of it is differentiable in the pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.data.masks import Known

Images = Float[Array, "batch height width channels"]

BRIGHTNESS = 0.5
"""Largest addition to all values of an image; they lie in [-1, 1]."""
SATURATION = 1.0
"""Largest relative change of the differences between channels."""
CONTRAST = 0.5
"""Largest relative change of the differences from the image's mean."""
TRANSLATION = 0.125
"""Largest translation, as a share of the side."""
CUTOUT = 0.5
"""Side of the part that is cut out, as a share of the image's side."""


class Change(NamedTuple):
    """A change of each image of a batch; by default the images stay as they are."""

    brightness: Float[Array, "batch"]
    """Addition to all values."""
    saturation: Float[Array, "batch"]
    """Factor of the differences from the mean over channels at each pixel."""
    contrast: Float[Array, "batch"]
    """Factor of the differences from the mean over the image."""
    shift: Int[Array, "batch 2"]
    """Rows and columns by which the image moves down and to the right."""
    kept: Bool[Array, "batch height width"]
    """Where pixels stay; elsewhere they are cut out, after the image has moved."""


def no_change(count: int, size: tuple[int, int]) -> Change:
    """Return the change that leaves `count` images of a size as they are."""
    zero, one = jnp.zeros(count), jnp.ones(count)
    return Change(
        brightness=zero,
        saturation=one,
        contrast=one,
        shift=jnp.zeros((count, 2), jnp.int32),
        kept=jnp.ones((count, *size), bool),
    )


Draw = Callable[[PRNGKeyArray, Float[Array, ""], Change], Change]
"""`draw(key, probability, change)`: the change with some of its fields drawn."""


def draw_color(
    key: PRNGKeyArray, probability: Float[Array, ""], change: Change
) -> Change:
    """Return a change with brightness, saturation and contrast drawn uniformly."""
    fields = {
        "brightness": BRIGHTNESS,
        "saturation": SATURATION,
        "contrast": CONTRAST,
    }
    drawn = {}
    for index, (name, most) in enumerate(fields.items()):
        neutral: Array = getattr(change, name)
        keys = jax.random.split(jax.random.fold_in(key, index))
        offset = jax.random.uniform(keys[0], neutral.shape, minval=-most, maxval=most)
        chosen = jax.random.bernoulli(keys[1], probability, neutral.shape)
        drawn[name] = neutral + jnp.where(chosen, offset, 0.0)
    return change._replace(**drawn)


def draw_translation(
    key: PRNGKeyArray, probability: Float[Array, ""], change: Change
) -> Change:
    """Return a change with translations drawn, by whole pixels up to an eighth."""
    count, *size = change.kept.shape
    keys = jax.random.split(key)
    most = jnp.array([[round_half_up(side * TRANSLATION) for side in size]])
    shift = jax.random.randint(keys[0], (count, 2), -most, most + 1)
    chosen = jax.random.bernoulli(keys[1], probability, (count, 1))
    return change._replace(shift=jnp.where(chosen, shift, 0))


def draw_cutout(
    key: PRNGKeyArray, probability: Float[Array, ""], change: Change
) -> Change:
    """Return a change with a rectangle of half the sides cut out.

    Its centre is anywhere in the image, so that a part of it may lie outside.
    """
    count, *size = change.kept.shape
    keys = jax.random.split(key)
    cut = jax.random.bernoulli(keys[1], probability, (count, 1, 1))
    for axis, side in enumerate(size):
        length = round_half_up(side * CUTOUT)
        axis_key = jax.random.fold_in(keys[0], axis)
        # Of an even length there is one more place, between two pixels.
        places = side + 1 - length % 2
        first = jax.random.randint(axis_key, (count, 1), 0, places) - length // 2
        index = jnp.arange(side)[None]
        inside = (index >= first) & (index < first + length)
        cut &= jnp.expand_dims(inside, 2 - axis)
    return change._replace(kept=change.kept & ~cut)


DRAWS: Mapping[str, Draw] = {
    "color": draw_color,
    "translation": draw_translation,
    "cutout": draw_cutout,
}
"""By name, in the order in which they are applied."""


def round_half_up(number: float) -> int:
    """Return the nearest whole number of a positive one."""
    return int(number + 0.5)


def augment(
    key: PRNGKeyArray,
    probability: Float[Array, ""],
    images: Images,
    condition: PyTree[Array] = None,
    kinds: Sequence[str] = tuple(DRAWS),
) -> tuple[Images, PyTree[Array]]:
    """Return randomly changed images, and their conditions under the same changes.

    Args:
        key: Random key of the changes.
        probability: Probability of each change for each image.
        images: Images in [-1, 1]; results may lie outside.
        condition: Conditions, one per image; None where there are none.
        kinds: Kinds of changes, names of `DRAWS`.
    """
    count, height, width, _ = images.shape
    change = no_change(count, (height, width))
    for index, (name, draw) in enumerate(DRAWS.items()):
        if name in kinds:
            change = draw(jax.random.fold_in(key, index), probability, change)
    return apply(change, images), apply_to_condition(change, images, condition)


def apply(change: Change, images: Images) -> Images:
    """Return changed images: recoloured, then moved, then cut out."""
    return move(change, recolor(change, images, _mean(images)))


def apply_to_condition(
    change: Change, images: Images, condition: PyTree[Array]
) -> PyTree[Array]:
    """Return conditions under the changes of their images.

    Known pixels take on the colours of the image that they belong to. Other maps of
    the images' size move with them; any other array stays.

    Args:
        change: The changes of the images.
        images: The images before the change.
        condition: A pytree of arrays with a leading axis of images.
    """

    def moved(node: Known | Array) -> Known | Array:
        if isinstance(node, Known):
            values = recolor(change, node.values, _mean(images)) * node.mask
            return Known(move(change, values), move(change, node.mask))
        is_map = node.ndim == 4 and node.shape[1:3] == images.shape[1:3]
        return move(change, node) if is_map else node

    return jax.tree.map(moved, condition, is_leaf=lambda node: isinstance(node, Known))


def recolor(
    change: Change, pixels: Images, mean: Float[Array, "batch 1 1 1"]
) -> Images:
    """Return pixels with changed brightness, saturation and contrast, in this order.

    `mean` is that of the image that the pixels belong to.
    """
    brightness, saturation, contrast = (
        field[:, None, None, None]
        for field in (change.brightness, change.saturation, change.contrast)
    )
    # In this form a neutral change leaves every value to the bit.
    pixels = pixels + brightness
    grey = pixels.mean(axis=3, keepdims=True)
    pixels = pixels + (saturation - 1) * (pixels - grey)
    centre = mean + brightness  # saturation keeps the mean of an image
    return pixels + (contrast - 1) * (pixels - centre)


def move(
    change: Change, maps: Float[Array, "batch height width _"]
) -> Float[Array, "batch height width _"]:
    """Return maps moved and cut out; 0 takes the place of what is missing."""
    _, height, width, _ = maps.shape
    # A product with a matrix of ones, one in each row, is exact, and its gradient is
    # another such product, not a scatter.
    exact = jax.lax.Precision.HIGHEST
    rows = _shift_matrix(change.shift[:, 0], height)
    columns = _shift_matrix(change.shift[:, 1], width)
    maps = jnp.einsum("bij,bjwc->biwc", rows, maps, precision=exact)
    maps = jnp.einsum("bij,bhjc->bhic", columns, maps, precision=exact)
    return jnp.where(change.kept[..., None], maps, 0.0)


def flip(key: PRNGKeyArray, images: Array) -> Array:
    """Return images `[batch, height, width, channels]`, half of them mirrored."""
    mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def _mean(images: Images) -> Float[Array, "batch 1 1 1"]:
    return images.mean(axis=(1, 2, 3), keepdims=True)


def _shift_matrix(
    shift: Int[Array, "batch"], side: int
) -> Float[Array, "batch side side"]:
    """Return the matrices that move the entries of a vector to higher indices."""
    index = jnp.arange(side)
    return (index[None, :, None] - index[None, None, :] == shift[:, None, None]).astype(
        jnp.float32
    )
