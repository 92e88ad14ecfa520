"""Degradations between an image and its measurement: operators, noise, and chains.

An operator is a differentiable function of one image in [-1, 1]. A latent search
applies it to generated images and compares them with the measurement. Missing pixels
are not a degradation: every measurement has a mask of known values. Inpainting is the
case with a mask and no degradation.
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

WIDEST_BLUR = 100.0  # largest standard deviation, in pixels
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""


class Degradation(NamedTuple):
    """A degradation: its operator, and the simulation of a measurement."""

    apply: Callable[[Image], Values]
    """The operator without noise; a search applies it to generated images."""
    measure: Callable[[PRNGKeyArray, Image], Values]
    """Simulates a measurement: the operator with noise from a key."""


def exact(operator: Callable[[Image], Values]) -> Degradation:
    """Return a degradation by an operator, without noise."""
    return Degradation(operator, lambda key, image: operator(image))


def _luma(image: Image) -> Values:
    if image.shape[-1] == 1:
        return image
    return (image * jnp.array(LUMA).reshape(1, 1, 3)).sum(axis=-1, keepdims=True)


grey = exact(_luma)
"""Conversion to grey: the luma of ITU-R BT.601."""


def downsample(factor: int) -> Degradation:
    """Return downsampling by the mean over squares of `factor` x `factor` pixels.

    The degradation raises `ValueError` if an image's size is not a multiple of the
    factor.
    """

    def apply(image: Image) -> Values:
        height, width, channels = image.shape
        if factor < 1 or height % factor or width % factor:
            raise ValueError(
                f"images of {height}x{width} cannot be downsampled by {factor}: the "
                "factor must divide height and width"
            )
        blocks = image.reshape(
            height // factor, factor, width // factor, factor, channels
        )
        return blocks.mean(axis=(1, 3))

    return exact(apply)


def blur(deviation: float) -> Degradation:
    """Return a Gaussian blur; the image's border is repeated beyond it.

    Raises:
        ValueError: If the standard deviation in pixels is not in (0, `WIDEST_BLUR`].
    """
    if not 0 < deviation <= WIDEST_BLUR:
        raise ValueError(
            f"a blur of {deviation} pixels must be above 0 and at most {WIDEST_BLUR}"
        )
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
    """Return additive Gaussian noise; images are in [-1, 1].

    Raises:
        ValueError: If the standard deviation is negative or not finite.
    """
    if not 0 <= deviation < math.inf:
        raise ValueError(f"noise of {deviation} must be finite and not negative")

    def measure(key: PRNGKeyArray, image: Image) -> Values:
        return image + deviation * jax.random.normal(key, image.shape)

    return Degradation(lambda image: image, measure)


def chain(*parts: Degradation) -> Degradation:
    """Return a sequence of degradations; later ones act on earlier ones' noise."""

    def apply(image: Image) -> Values:
        return functools.reduce(lambda values, part: part.apply(values), parts, image)

    def measure(key: PRNGKeyArray, image: Image) -> Values:
        for index, part in enumerate(parts):
            image = part.measure(jax.random.fold_in(key, index), image)
        return image

    return Degradation(apply, measure)


def known_values(
    degradation: Degradation, mask: Float[Array, "height width 1"], channels: int
) -> Float[Array, "rows columns 1"]:
    """Return 1 where a measured value depends on no missing pixel, else 0.

    Args:
        degradation: Linear degradation.
        mask: Mask of the image: 1 where a pixel is known, 0 where it is missing.
        channels: Channels of the image.
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
"""Degradations by name; the text after the name and a colon is the argument, as in
`downsample:4`."""
