"""Losses of a latent search, for one image: what is known of it, and what is likely.

Sums over values, as published: Yeh et al. 2017 (arXiv 1607.07539); Vitoria, Sintes &
Ballester 2019 (arXiv 1812.01071). Known values are given with a mask, 1 = known; what
they hold elsewhere does not count.
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
    """Weigh a known pixel by the share of missing ones in the window around it.

    Yeh 2017, eq. 3: what lies near a hole says most about it. A window ends with the
    image. Missing pixels weigh 0, as do known ones far from every hole. Where nothing
    is missing there is nothing to be near to: all weigh 1.
    """
    return jnp.where(mask.min() > 0, mask, mask * _missing_share(mask, window))


def far_weights(mask: Mask, window: int = _WINDOW) -> Mask:
    """Weigh a known pixel by the share of known ones in the window around it.

    The opposite of `near_weights`, as one public code has it.
    """
    return mask * (1 - _missing_share(mask, window))


def equal_weights(mask: Mask) -> Mask:
    """Weigh all known pixels alike, as Cooper 2017 does."""
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
    """Return the sum of W |G - y| over known values (Yeh 2017, eq. 4)."""
    return (weights * _difference(generated, known, mask)).sum()


def gradient_loss(
    generated: Values, known: Values, mask: Mask, weights: Mask
) -> Float[Array, ""]:
    """Return the sum of W |grad G - grad y|, forward differences in both directions.

    Vitoria 2019, eq. 8. A difference counts where both its pixels are known: the one
    across the edge of a hole says nothing of the image.
    """
    error = jnp.where(mask > 0, generated - known, 0)
    down = (error[1:] - error[:-1]) * mask[1:] * mask[:-1]
    right = (error[:, 1:] - error[:, :-1]) * mask[:, 1:] * mask[:, :-1]
    return (weights[:-1] * jnp.abs(down)).sum() + (
        weights[:, :-1] * jnp.abs(right)
    ).sum()


def residual(generated: Values, known: Values, mask: Mask) -> Float[Array, ""]:
    """Return the mean of |G - y| over known values; 0 where none is known."""
    count = mask.sum() * generated.shape[-1]
    return _difference(generated, known, mask).sum() / jnp.maximum(count, 1)


def seam(image: Values, mask: Mask) -> Float[Array, ""]:
    """Return the mean of |differences| between known pixels and generated neighbours.

    Of a composite; 0 where no known pixel has such a neighbour.
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
    """Put known values over a generated image, or many: M y + (1 - M) G, exactly."""
    return jnp.where(mask > 0, known, generated)


def _difference(generated: Values, known: Values, mask: Mask) -> Values:
    return jnp.abs(jnp.where(mask > 0, generated - known, 0))


Scores = Float[Array, "batch"]
ScoreLoss = Callable[[Scores, Scores], Scores]
"""`score_loss(scores, real_scores)`: what images cost by their critic scores, to be
minimised; the generator's loss of an `adversarial.Objective`. Only a paired objective
reads `real_scores`."""

SCORE_LOSSES: Mapping[str, ScoreLoss] = {
    "saturating": adversarial.minimax.generator,
    "nonsaturating": adversarial.nonsaturating.generator,
    "least_squares": adversarial.lsgan.generator,
    "score": adversarial.wgan.generator,
    "energy": adversarial.ebgan(0.0).generator,
}
"""By name: log(1 - s(D)) (Yeh 2017, eq. 5), -log s(D), 1/2 (D - 1)^2, -D, and E."""


def relative(score_loss: ScoreLoss) -> ScoreLoss:
    """Return a loss of what a score has above that of real images.

    The critic of a paired objective is known up to a constant, so the form of another
    objective takes its scores as differences.
    """
    return lambda scores, real_scores: score_loss(scores - real_scores, real_scores)


def score_cost(
    score_loss: ScoreLoss,
    scores: Float[Array, "..."],
    real_score: Float[Array, ""] | float,
) -> Float[Array, ""]:
    """Return what one image costs by its critic score; a map counts by its mean.

    Args:
        score_loss: the loss of a score.
        scores: the critic's output for the image.
        real_score: the median score of real images, by the same critic. A paired
            objective compares with it: softplus(-(D(G) - real_score)) where the
            generator was trained by `adversarial.relativistic`.
    """
    score = jnp.mean(scores).reshape(1)
    return score_loss(score, jnp.full_like(score, real_score)).sum()
