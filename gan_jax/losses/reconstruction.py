"""Distances between a generated image and what is known of it, per example."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def pixel_fidelity(
    generated: Float[Array, "batch height width channels"],
    known: Float[Array, "batch height width channels"],
    mask: Float[Array, "batch height width 1"],
) -> Float[Array, "batch"]:
    """Mean squared error over the known values of each image.

    Images are in [-1, 1], the mask is 1 where a pixel is known and 0 where it is
    missing; what `known` holds elsewhere does not count. An image without any known
    pixel costs 0. Ruffino et al. 2019 (arXiv 1911.00689) write the sum in eq. 5;
    their weights belong to this mean, which their code takes.
    """
    # Chosen before squaring: even NaN in an unknown pixel must not count.
    squares = jnp.square(jnp.where(mask > 0, generated - known, 0)) * mask
    count = mask.sum(axis=(1, 2, 3)) * generated.shape[-1]
    return squares.sum(axis=(1, 2, 3)) / jnp.maximum(count, 1)
