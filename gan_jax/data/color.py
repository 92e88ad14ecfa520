"""Conversion of sRGB to CIE Lab and back, within the gamut of sRGB.

For the standard observer of 2 degrees and illuminant D65. Networks take scaled values
in [-1, 1]: lightness L / 50 - 1 and chromaticity ab / 110.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import (
    ArraySource,
    Dataset,
    LabelledImage,
    LazySource,
    Source,
    take,
)
from gan_jax.data.feed import to_float

LIGHTNESS_SCALE, AB_SCALE = 50.0, 110.0
"""Lab units per unit of scaled lightness, and of scaled chromaticity."""

_XYZ_OF_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
"""Matrix from linear RGB (ITU-R BT.709 primaries) to XYZ."""
_RGB_OF_XYZ = np.linalg.inv(_XYZ_OF_RGB)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
_DARK = 6 / 29  # cube root below which CIE's lightness is linear
# Steps of the bisection for the gamut's edge, to 1 part in 260,000: the rounding of
# another compiler then changes a colour by 2e-5 at most.
_HALVINGS = 18
_CHUNK = 1000  # images that are converted to grey at once
_TOLERANCE = 1e-5  # rounding by which a colour on the gamut's edge may be outside


@jax.jit
def lab_from_rgb(
    rgb: Float[Array | np.ndarray, "*shape 3"],
) -> Float[Array, "*shape 3"]:
    """Return CIE Lab of sRGB in [0, 1] (CIE 15, 2004, section 8.2.1).

    Returns:
        L in [0, 100], a and b.
    """
    rgb = jnp.asarray(rgb, jnp.float32)
    bright = ((jnp.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    linear = jnp.where(rgb > 0.04045, bright, rgb / 12.92)
    x, y, z = _channels(_mix(linear, _XYZ_OF_RGB / _WHITE.reshape(3, 1)))
    x, y, z = (
        jnp.where(
            t > _DARK**3,
            jnp.maximum(t, _DARK**3) ** (1 / 3),  # twice as fast as `jnp.cbrt`
            t / (3 * _DARK**2) + 4 / 29,
        )
        for t in (x, y, z)
    )
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@jax.jit
def rgb_from_lab(lab: Float[Array, "*shape 3"]) -> Float[Array, "*shape 3"]:
    """Return sRGB in [0, 1] of CIE Lab.

    A colour outside the gamut keeps its lightness and hue, and gets the largest chroma
    in the gamut. Clipping RGB would change all three.
    """
    lightness = jnp.clip(jax.lax.slice_in_dim(lab, 0, 1, axis=-1), 0.0, 100.0)
    ab = jax.lax.slice_in_dim(lab, 1, 3, axis=-1)

    def linear(share: Float[Array, "*shape 1"]) -> Float[Array, "*shape 3"]:
        return _linear_rgb(jnp.concatenate([lightness, share * ab], axis=-1))

    def inside(share: Float[Array, "*shape 1"]) -> Array:
        light = linear(share)
        within = (light >= -_TOLERANCE) & (light <= 1 + _TOLERANCE)
        return within.all(axis=-1, keepdims=True)

    def bisect(step: Array, edge: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = edge
        middle = (low + high) / 2
        is_inside = inside(middle)
        return jnp.where(is_inside, middle, low), jnp.where(is_inside, high, middle)

    whole = jnp.ones_like(lightness)
    low, _ = jax.lax.fori_loop(0, _HALVINGS, bisect, (jnp.zeros_like(whole), whole))
    light = jnp.clip(linear(jnp.where(inside(whole), whole, low)), 0.0, 1.0)
    bright = 1.055 * jnp.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return jnp.where(light > 0.0031308, bright, 12.92 * light)


def _linear_rgb(lab: Float[Array, "*shape 3"]) -> Float[Array, "*shape 3"]:
    """Return linear RGB, outside [0, 1] for colours outside the gamut."""
    lightness, a, b = _channels(lab)
    y = (lightness + 16) / 116
    roots = jnp.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = jnp.where(roots > _DARK, roots**3, 3 * _DARK**2 * (roots - 4 / 29))
    return _mix(xyz, _RGB_OF_XYZ * _WHITE)


def _mix(
    colours: Float[Array, "*shape 3"], matrix: Float[np.ndarray, "3 3"]
) -> Float[Array, "*shape 3"]:
    # Accelerators multiply matrices in lower precision by default.
    weights = jnp.asarray(matrix.T, jnp.float32)
    return jnp.matmul(colours, weights, precision=jax.lax.Precision.HIGHEST)


def _channels(colours: Float[Array, "*shape 3"]) -> tuple[Array, Array, Array]:
    # Slices, where the brackets of `jax.numpy` write gathers if sizes are free.
    x, y, z = (
        jax.lax.index_in_dim(colours, place, -1, keepdims=False) for place in range(3)
    )
    return x, y, z


def split(
    images: Float[Array | np.ndarray, "*shape 3"],
) -> tuple[Float[Array, "*shape 1"], Float[Array, "*shape 2"]]:
    """Return scaled lightness and scaled chromaticity (ab) of RGB images in [-1, 1]."""
    lab = lab_from_rgb((jnp.asarray(images) + 1) / 2)
    lightness = jax.lax.slice_in_dim(lab, 0, 1, axis=-1)
    ab = jax.lax.slice_in_dim(lab, 1, 3, axis=-1)
    return lightness / LIGHTNESS_SCALE - 1, ab / AB_SCALE


def merge(
    lightness: Float[Array, "*shape 1"], ab: Float[Array, "*shape 2"]
) -> Float[Array, "*shape 3"]:
    """Return RGB images in [-1, 1] of scaled lightness and ab, the inverse of `split`.

    Colours outside the gamut are moved to its edge, as in `rgb_from_lab`.
    """
    parts = [(lightness + 1) * LIGHTNESS_SCALE, ab * AB_SCALE]
    return 2 * rgb_from_lab(jnp.concatenate(parts, axis=-1)) - 1


def grey(dataset: Dataset) -> Dataset:
    """Return a colour dataset as grey images: their lightness in 8-bit levels.

    Raises:
        InputError: If the images are grey.
    """
    return dataset.each(_grey)


def _grey(source: Source) -> Source:
    *sides, channels = source.shape
    if channels != 3:
        raise InputError(
            f"{source.name} holds grey images, which have no colours: choose a dataset "
            "of colour images"
        )
    shape = (sides[0], sides[1], 1)

    def read(indices: Sequence[int]) -> list[LabelledImage]:
        return [
            LabelledImage(_levels(example.image), example.label)
            for example in take(source, indices)
        ]

    known = (source.classes, source.skipped)
    if isinstance(source, ArraySource):
        starts = range(0, len(source), _CHUNK)
        images = [_levels(source.images[at : at + _CHUNK]) for at in starts]
        return ArraySource(source.name, np.concatenate(images), source.labels, *known)
    return LazySource(source.name, shape, len(source), read, *known)


def _levels(images: np.ndarray) -> UInt8[np.ndarray, "*shape 1"]:
    lightness, _ = split(to_float(images))
    return np.rint((np.asarray(lightness) + 1) * 127.5).clip(0, 255).astype(np.uint8)
