"""What a measurement keeps of an image: operators, noise, and chains of both.

An operator is any differentiable function of one image in [-1, 1]; a search applies it
to what it generates and compares. Missing pixels are no operator here: a mask of known
values goes with every measurement, and inpainting is the case without any operator.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Image = Float[Array, "height width channels"]
Values = Float[Array, "rows columns parts"]

WIDEST_BLUR = 100.0  # pixels
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Degradation(NamedTuple):
    """How images are measured."""

    apply: Callable[[Image], Values]
    """What is known of the measuring: a search repeats it on every image it tries."""
    measure: Callable[[PRNGKeyArray, Image], Values]
    """The whole of it, with the noise of one measurement."""


def exact(operator: Callable[[Image], Values]) -> Degradation:
    """Measure by a function, without noise."""
    return Degradation(operator, lambda key, image: operator(image))


nothing = exact(lambda image: image)
"""The image itself is measured, where the mask knows it."""


def _luma(image: Image) -> Values:
    if image.shape[-1] == 1:
        return image
    return (image * jnp.array(_LUMA).reshape(1, 1, 3)).sum(axis=-1, keepdims=True)


grey = exact(_luma)
"""Brightness alone: the luma of ITU-R BT.601."""


def downsample(factor: int) -> Degradation:
    """Return the means of squares of `factor` x `factor` pixels.

    Raises:
        ValueError: on use, where the image's size is not a multiple of the factor.
    """

    def apply(image: Image) -> Values:
        height, width, channels = image.shape
        if factor < 1 or height % factor or width % factor:
            raise ValueError(
                f"images of {width}x{height} cannot be reduced {factor} times"
            )
        blocks = image.reshape(
            height // factor, factor, width // factor, factor, channels
        )
        return blocks.mean(axis=(1, 3))

    return exact(apply)


def blur(deviation: float) -> Degradation:
    """Blur with a Gaussian of so many pixels; the image's edge is repeated outside.

    Raises:
        ValueError: the deviation is not above 0, or above `WIDEST_BLUR`.
    """
    if not 0 < deviation <= WIDEST_BLUR:
        raise ValueError(f"a blur of {deviation} pixels, of {WIDEST_BLUR} at most")
    radius = math.ceil(3 * deviation)
    weights = [
        math.exp(-((x / deviation) ** 2) / 2) for x in range(-radius, radius + 1)
    ]
    kernel = [weight / sum(weights) for weight in weights]

    def along(image: Array, axis: int) -> Array:
        pads = [(0, 0)] * image.ndim
        pads[axis] = (radius, radius)
        padded = jnp.pad(image, pads, mode="edge")
        size = image.shape[axis]
        shifted = (
            weight * jax.lax.slice_in_dim(padded, start, start + size, axis=axis)
            for start, weight in enumerate(kernel)
        )
        return functools.reduce(jnp.add, shifted)

    return exact(lambda image: along(along(image, 0), 1))


def noise(deviation: float) -> Degradation:
    """Add Gaussian noise of a standard deviation; images range from -1 to 1.

    Raises:
        ValueError: the deviation is negative or not finite.
    """
    if not 0 <= deviation < math.inf:
        raise ValueError(f"noise of {deviation}")

    def measure(key: PRNGKeyArray, image: Image) -> Values:
        return image + deviation * jax.random.normal(key, image.shape)

    return Degradation(lambda image: image, measure)


def chain(*parts: Degradation) -> Degradation:
    """Degrade by one after the other: noise goes through what follows it."""

    def apply(image: Image) -> Values:
        return functools.reduce(lambda values, part: part.apply(values), parts, image)

    def measure(key: PRNGKeyArray, image: Image) -> Values:
        for turn, part in enumerate(parts):
            image = part.measure(jax.random.fold_in(key, turn), image)
        return image

    return Degradation(apply, measure)


def known_values(
    degradation: Degradation, mask: Float[Array, "height width 1"], channels: int
) -> Float[Array, "rows columns 1"]:
    """Return which measured values stand for known pixels alone.

    Of a linear degradation; 1 = no missing pixel has a part in it.
    """
    missing = jnp.broadcast_to(1 - mask, (*mask.shape[:2], channels))
    touched = jnp.abs(degradation.apply(missing)).max(axis=-1, keepdims=True) > 0
    return 1.0 - touched


DEGRADATIONS: Mapping[str, Callable[..., Degradation]] = {
    "grey": lambda: grey,
    "downsample": lambda factor="2": downsample(int(factor)),
    "blur": lambda deviation="1": blur(float(deviation)),
    "noise": lambda deviation="0.1": noise(float(deviation)),
}
"""By name; called with what follows the name and a colon, if anything does, e.g.
`downsample:4`."""
