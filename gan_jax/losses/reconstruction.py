"""Distances between generated images and known pixels, the truth or real images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def pixel_fidelity(
    generated: Float[Array, "batch height width channels"],
    known: Float[Array, "batch height width channels"],
    mask: Float[Array, "batch height width 1"],
) -> Float[Array, "batch"]:
    """Return the mean squared error over the known pixels of each image.

    Ruffino et al. 2019, eq. 5 (arXiv 1911.00689). The paper writes a sum; its code
    takes this mean, to which the published weights belong.

    Args:
        generated: Generated images in [-1, 1].
        known: Known values in [-1, 1]; values of missing pixels are ignored.
        mask: 1 where a pixel is known, 0 where it is missing.

    Returns:
        One error per image; 0 for an image without known pixels.
    """
    # Select before squaring, so that NaN in a missing pixel does not count.
    squares = jnp.square(jnp.where(mask > 0, generated - known, 0)) * mask
    count = mask.sum(axis=(1, 2, 3)) * generated.shape[-1]
    return squares.sum(axis=(1, 2, 3)) / jnp.maximum(count, 1)


def l1(
    generated: Float[Array, "batch height width channels"],
    truth: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Return the mean absolute error of each image (Isola et al. 2016, eq. 3)."""
    return jnp.abs(generated - truth).mean(axis=(1, 2, 3))


def l2(
    generated: Float[Array, "batch height width channels"],
    truth: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Return the mean squared error of each image (Vitoria et al. 2020, eq. 2)."""
    return jnp.square(generated - truth).mean(axis=(1, 2, 3))


def moment_distance(
    generated: Float[Array, "batch height width channels"],
    real: Float[Array, "others height width channels"],
) -> Float[Array, ""]:
    """Return the squared differences of the first two moments of all levels, summed.

    This is feature matching (Salimans et al. 2016, section 3.1, arXiv 1606.03498) with
    a level and its square as the features. It keeps the proportions of two facies.

    Args:
        generated: Generated images in [-1, 1].
        real: Real images in [-1, 1].

    Returns:
        (E[x] - E[y])^2 + (E[x^2] - E[y^2])^2, over all pixels of each batch.
    """
    first = generated.mean() - real.mean()
    second = jnp.square(generated).mean() - jnp.square(real).mean()
    return jnp.square(first) + jnp.square(second)


def class_distribution(
    logits: Float[Array, "batch classes"], teacher: Float[Array, "batch classes"]
) -> Float[Array, "batch"]:
    """Return the KL divergence from a teacher's class distribution to a generator's.

    Vitoria, Raad & Ballester 2020, eq. 3 (arXiv 1907.09837).

    Args:
        logits: Class logits of the generator.
        teacher: Class logits of the teacher.

    Returns:
        KL(softmax(teacher) || softmax(logits)) per image, in nats.
    """
    target = jax.nn.log_softmax(teacher)
    predicted = jax.nn.log_softmax(logits)
    return (jnp.exp(target) * (target - predicted)).sum(axis=-1)
