"""Distances between a generated image and what is known of it, per example."""

import jax
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


def l1(
    generated: Float[Array, "batch height width channels"],
    truth: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Mean absolute error over each image's values (Isola et al. 2016, eq. 3)."""
    return jnp.abs(generated - truth).mean(axis=(1, 2, 3))


def l2(
    generated: Float[Array, "batch height width channels"],
    truth: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Mean squared error over each image's values (Vitoria et al. 2020, eq. 2)."""
    return jnp.square(generated - truth).mean(axis=(1, 2, 3))


def class_distribution(
    logits: Float[Array, "batch classes"], teacher: Float[Array, "batch classes"]
) -> Float[Array, "batch"]:
    """KL divergence of what a generator takes an image for from what a teacher does.

    Vitoria, Raad & Ballester 2020 (arXiv 1907.09837), eq. 3. Both are logits; the
    divergence is that of their softmaxes, in nats, at least 0.
    """
    wanted = jax.nn.log_softmax(teacher)
    found = jax.nn.log_softmax(logits)
    return (jnp.exp(wanted) * (wanted - found)).sum(axis=-1)
