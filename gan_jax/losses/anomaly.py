"""Total variation between normal images and those of a generator's history.

Chatillon & Ballester 2019 (arXiv 1912.11843): the best function within [-1, 1] that
tells the two apart is high for normal images, and an image's anomaly is minus it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.losses.adversarial import Objective, wgan

Scores = Float[Array, "batch ..."]

total_variation: Objective = wgan
"""D(G) - D(x) to be minimised: the Wasserstein critic's, for another set of functions.

Those within [-1, 1] in place of those of slope 1; the bound is `bound_penalty`'s.
"""


def bound_penalty(scores: Scores) -> Scores:
    """Squared distance of each score to [-1, 1], without a weight.

    Its gradient leads back from outside, where clipping has none.
    """
    return jnp.square(jnp.maximum(jnp.abs(scores) - 1, 0))


def distance(
    real_scores: Float[Array, "real"], fake_scores: Float[Array, "fake"]
) -> Float[Array, ""]:
    """Estimate the total variation, in [0, 1], from scores on both distributions.

    Half of E D(x) - E D(G), with scores clipped to the bound: the supremum over all D
    within [-1, 1] is twice the total variation. Never above it but for the sampling,
    so the best critic's is the estimate.
    """
    real, fake = (
        jnp.clip(scores, -1, 1).mean() for scores in (real_scores, fake_scores)
    )
    return (real - fake) / 2
