"""Losses of HistoryAD: total variation of normal images and a generator's history.

Chatillon & Ballester 2019 (arXiv 1912.11843). A critic with values in [-1, 1] learns
to separate normal images from images of all snapshots of a generator. It is high for
normal images; the anomaly score of an image is the negated critic output.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.losses.adversarial import Objective, Scores, wgan

total_variation: Objective = wgan
"""Total variation objective: the critic minimises D(G) - D(x).

The formula is that of the Wasserstein critic. The critics differ: values in [-1, 1],
enforced by `bound_penalty`, in place of slopes of at most 1.
"""


def bound_penalty(scores: Scores) -> Scores:
    """Return the squared distance of each score to [-1, 1], unweighted.

    Unlike clipping, it has a gradient outside the interval.
    """
    return jnp.square(jnp.maximum(jnp.abs(scores) - 1, 0))


def distance(
    real_scores: Float[Array, "real"], fake_scores: Float[Array, "fake"]
) -> Float[Array, ""]:
    """Estimate the total variation of two distributions from scores of both.

    The estimate is (E D(x) - E D(G)) / 2 with scores clipped to [-1, 1]. Up to
    sampling error it is a lower bound, reached by the best critic.

    Args:
        real_scores: Scores of normal images.
        fake_scores: Scores of generated images.

    Returns:
        A number in [-1, 1]; the total variation itself lies in [0, 1].
    """
    real, fake = (
        jnp.clip(scores, -1, 1).mean() for scores in (real_scores, fake_scores)
    )
    return (real - fake) / 2
