"""Generators as tuples of stages, and functions that all networks share.

A generator can start at any stage and stop before any stage.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of


class Generator(nn.Module):
    """A sequence of stages, each called as `stage(activation, condition, train)`.

    For every stage l, `G(G(z, c, stop=l), c, start=l)` is exactly `G(z, c)`.

    Attributes:
        stages: Modules of the stages.
        dtype: Type of the computations; latents and images are float32.
    """

    stages: Sequence[nn.Module]
    dtype: DTypeLike = jnp.float32

    def __call__(
        self,
        activation: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        *,
        start: int = 0,
        stop: int | None = None,
        train: bool = False,
    ) -> Any:
        """Run the stages from `start` up to, but not including, `stop`.

        Args:
            activation: Latents if `start` is 0, else the input of stage `start`.
            condition: Maps at image size, which some stages join to their input.
            start: First stage to run.
            stop: Stage to stop before; by default the last stage is run.
            train: Whether to normalise with the batch's statistics rather than the
                running ones.

        Returns:
            Images in [-1, 1], a NamedTuple that contains them (see `image_of`), or the
            input of stage `stop`.
        """
        activation = _cast(activation, self.dtype)
        for stage in self.stages[start:stop]:
            activation = stage(activation, condition, train)
        return _cast(activation, jnp.float32)


def _cast(tree: PyTree[Array], dtype: DTypeLike) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def image_of(generated: Any) -> Float[Array, "batch height width channels"]:
    """Return the images of a generator's output, which may be a field `image` of it."""
    image: Array = getattr(generated, "image", generated)
    return image


def concatenate_maps(images: PyTree[Float[Array, "batch height width _"]]) -> Array:
    """Concatenate images, or the maps of a condition, along their channels."""
    return jnp.concatenate(jax.tree.leaves(images), axis=-1)


def with_condition(
    image: Float[Array, "batch height width channels"],
    condition: PyTree[Float[Array, "batch height width _"]],
    dtype: DTypeLike,
) -> Array:
    """Return images with the maps of their conditions, if any, as further channels."""
    return concatenate_maps((image, condition)).astype(dtype)


def enlarge(
    image: Float[Array, "batch height width channels"], factor: int = 2
) -> Float[Array, "batch new_height new_width channels"]:
    """Return images enlarged by the repetition of their pixels."""
    return image.repeat(factor, axis=1).repeat(factor, axis=2)


def filters(width: int, depth: int, most: int | None = None) -> list[int]:
    """Return the filters of `depth` layers: `width`, doubled in every further layer.

    They are at most `most` times the width.
    """
    factors = [2**level for level in range(depth)]
    return [width * min(factor, most or factor) for factor in factors]


def base_size(size: int | Size, depth: int) -> Size:
    """Return the size that gives `size` when doubled `depth` times.

    A number is the height and width of a square.

    Raises:
        InputError: If there is none, or a side of it is below 2.
    """
    whole = size_of(size)
    base = Size(*(side // 2**depth for side in whole))
    if depth < 1 or any(side % 2**depth for side in whole) or min(base) < 2:
        sizes = ", ".join(str(known * 2**depth) for known in (3, 4, 5, 6, 7, 8))
        raise InputError(
            f"images of {whole} do not fit networks of depth {depth}: each side "
            f"must be base * 2^depth with a base of 2 or more, e.g. {sizes}; change "
            "--config.data.size or --config.network.depth"
        )
    return base
