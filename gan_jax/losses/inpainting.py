"""Losses of a latent search for one image: distance to known pixels, and score losses.

Yeh et al. 2017 (arXiv 1607.07539); Vitoria, Sintes & Ballester 2019 (arXiv
1812.01071). The losses are sums over values, as published. A mask is 1 where a pixel is
known and 0 where it is missing; values of missing pixels are ignored.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.losses import adversarial

Values = Float[Array, "height width channels"]
Mask = Float[Array, "height width 1"]

_WINDOW = 7


def near_weights(mask: Mask, window: int = _WINDOW) -> Mask:
    """Return the share of missing pixels in the window around each known pixel.

    Yeh 2017, eq. 3: known pixels near a hole count most. Windows are cut at the
    image's border. Missing pixels, and known pixels far from every hole, have weight
    0. In an image without holes all weights are 1.

    Returns:
        Weights in [0, 1].
    """
    return jnp.where(mask.min() > 0, mask, mask * _missing_share(mask, window))


def far_weights(mask: Mask, window: int = _WINDOW) -> Mask:
    """Return the share of known pixels in the window around each known pixel.

    The opposite of `near_weights`, as in one public implementation. Missing pixels
    have weight 0.
    """
    return mask * (1 - _missing_share(mask, window))


def equal_weights(mask: Mask) -> Mask:
    """Return weight 1 for known pixels and 0 for missing ones (Cooper 2017)."""
    return mask


WEIGHTS: Mapping[str, Callable[[Mask], Mask]] = {
    "near": near_weights,
    "far": far_weights,
    "equal": equal_weights,
}


def _missing_share(mask: Mask, window: int) -> Mask:
    def total(image: Mask) -> Mask:
        shape = (window, window, 1)
        summed: Array = jax.lax.reduce_window(
            image, 0.0, jax.lax.add, shape, (1, 1, 1), "SAME"
        )
        return summed

    return total(1 - mask) / total(jnp.ones_like(mask))


def context_loss(
    generated: Values, known: Values, mask: Mask, weights: Mask
) -> Float[Array, ""]:
    """Return the sum of W |G - y| over the known values (Yeh 2017, eq. 4)."""
    return (weights * _difference(generated, known, mask)).sum()


def gradient_loss(
    generated: Values, known: Values, mask: Mask, weights: Mask
) -> Float[Array, ""]:
    """Return the sum of W |grad G - grad y| with forward differences along both axes.

    Vitoria 2019, eq. 8. A difference counts only if both its pixels are known.
    """
    error = jnp.where(mask > 0, generated - known, 0)
    down = (error[1:] - error[:-1]) * mask[1:] * mask[:-1]
    right = (error[:, 1:] - error[:, :-1]) * mask[:, 1:] * mask[:, :-1]
    return (weights[:-1] * jnp.abs(down)).sum() + (
        weights[:, :-1] * jnp.abs(right)
    ).sum()


def residual(generated: Values, known: Values, mask: Mask) -> Float[Array, ""]:
    """Return the mean of |G - y| over the known values; 0 if none is known."""
    count = mask.sum() * generated.shape[-1]
    return _difference(generated, known, mask).sum() / jnp.maximum(count, 1)


def seam(image: Values, mask: Mask) -> Float[Array, ""]:
    """Return the mean absolute difference of neighbours across the edge of a hole.

    Returns:
        The mean over pairs of a known pixel and a generated neighbour, and over
        channels; 0 if there is no such pair.
    """
    down = jnp.abs(mask[1:] - mask[:-1])
    right = jnp.abs(mask[:, 1:] - mask[:, :-1])
    jumps = (down * jnp.abs(image[1:] - image[:-1])).sum()
    jumps += (right * jnp.abs(image[:, 1:] - image[:, :-1])).sum()
    count = (down.sum() + right.sum()) * image.shape[-1]
    return jumps / jnp.maximum(count, 1)


def composite(
    generated: Float[Array, "*batch height width channels"],
    known: Float[Array, "*batch height width channels"],
    mask: Float[Array, "*batch height width 1"],
) -> Float[Array, "*batch height width channels"]:
    """Return M y + (1 - M) G: generated images with the known pixels put in exactly."""
    return jnp.where(mask > 0, known, generated)


def _difference(generated: Values, known: Values, mask: Mask) -> Values:
    return jnp.abs(jnp.where(mask > 0, generated - known, 0))


Scores = Float[Array, "batch"]
ScoreLoss = Callable[[Scores, Scores], Scores]
"""`score_loss(scores, real_scores)`: the loss of each image by its critic score, to be
minimised. It is the generator's loss of an `adversarial.Objective`; only a paired
objective uses `real_scores`."""

SCORE_LOSSES: Mapping[str, ScoreLoss] = {
    "saturating": adversarial.minimax.generator,
    "nonsaturating": adversarial.nonsaturating.generator,
    "least_squares": adversarial.lsgan.generator,
    "score": adversarial.wgan.generator,
    "energy": adversarial.ebgan(0.0).generator,
}
"""Score losses by name: log(1 - s(D)) (Yeh 2017, eq. 5), -log s(D), 1/2 (D - 1)^2, -D,
and the energy E."""


def relative(score_loss: ScoreLoss) -> ScoreLoss:
    """Return a score loss of the difference to the score of real images.

    The scores of a paired objective's critic are defined up to a constant. Their
    difference to those of real images is defined, and any score loss can take it.
    """
    return lambda scores, real_scores: score_loss(scores - real_scores, real_scores)


def score_cost(
    score_loss: ScoreLoss,
    scores: Float[Array, "..."],
    real_score: Float[Array, ""] | float,
) -> Float[Array, ""]:
    """Return the score loss of one image.

    Args:
        score_loss: Loss of a score.
        scores: Critic output for the image: one score, or a map of scores, whose mean
            is used.
        real_score: Median score of real images by the same critic. Only a paired
            objective uses it, e.g. softplus(-(D(G) - real_score)) with
            `adversarial.relativistic`.
    """
    score = jnp.mean(scores).reshape(1)
    return score_loss(score, jnp.full_like(score, real_score)).sum()
