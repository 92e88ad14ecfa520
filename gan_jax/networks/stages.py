"""A generator as a tuple of stages, so that it can be entered and left anywhere."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PyTree

from gan_jax.config.errors import InputError


class Generator(nn.Module):
    """Stages in sequence: each is called as `stage(activation, condition, train)`.

    `G(z, c, stop=l)` and then `G(h, c, start=l)` is exactly `G(z, c)`, for every l.
    """

    stages: Sequence[nn.Module]
    dtype: DTypeLike = jnp.float32
    """Of the computations between the latent and the image, which are float32."""

    def __call__(
        self,
        activation: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        *,
        start: int = 0,
        stop: int | None = None,
        train: bool = False,
    ) -> Any:
        """Run the stages from `start` up to, not including, `stop`.

        Args:
            activation: the latent where `start` is 0, else stage `start`'s input.
            condition: maps at image size that some stage joins to its activation.
            start: the first stage to run.
            stop: the stage to stop before; all of them by default.
            train: normalise with the batch's statistics rather than the running ones.

        Returns:
            The image in [-1, 1], or a record with it (`image_of`), or the activation
            that stage `stop` takes.
        """
        activation = _cast(activation, self.dtype)
        for stage in self.stages[start:stop]:
            activation = stage(activation, condition, train)
        return _cast(activation, jnp.float32)


def _cast(tree: PyTree[Array], dtype: DTypeLike) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def image_of(generated: Any) -> Float[Array, "batch height width channels"]:
    """Return the image of what a generator gives.

    One that says more than an image gives a NamedTuple with the field `image`.
    """
    image: Array = getattr(generated, "image", generated)
    return image


def joined(images: PyTree[Float[Array, "batch height width _"]]) -> Array:
    """Join images, or the maps of a condition, along their channels."""
    return jnp.concatenate(jax.tree.leaves(images), axis=-1)


def seen(
    image: Float[Array, "batch height width channels"],
    condition: PyTree[Float[Array, "batch height width _"]],
    dtype: DTypeLike,
) -> Array:
    """Return an image with the maps of its condition, if any, as further channels."""
    return joined((image, condition)).astype(dtype)


def smallest(size: int, depth: int) -> int:
    """Return the size that, doubled `depth` times, is `size`.

    Raises:
        InputError: there is none of 2 or more.
    """
    base, rest = divmod(size, 2**depth)
    if depth < 1 or rest or base < 2:
        sizes = ", ".join(str(known * 2**depth) for known in (3, 4, 5, 6, 7, 8))
        raise InputError(
            f"images of {size}x{size} do not fit networks of depth {depth}: the size "
            f"must be base * 2^depth with a base of 2 or more, e.g. {sizes}; change "
            "data.size or network.depth"
        )
    return base
