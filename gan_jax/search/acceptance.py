"""Samples accepted by their scores: rejection and Metropolis-Hastings.

The optimal critic D between real images p and generated images q gives their ratio:
p / q = D / (1 - D), the exponential of D's logit. Azadi et al. 2018,
"Discriminator rejection sampling" (arXiv 1810.06758); Turner et al. 2018,
"Metropolis-Hastings generative adversarial networks" (arXiv 1811.11357).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "*shape"]

_CLIPPED = 1e-3
"""Calibrated probabilities keep this distance from 0 and 1: samples are too few to
know more."""


def calibrated(
    real: Float[np.ndarray, " real"], fake: Float[np.ndarray, " fake"]
) -> Callable[[Scores], Scores]:
    """Return the function from a critic's scores to calibrated logits.

    Isotonic regression on images that the critic was not trained on, as in Turner 2018,
    section 3.2. Both sides have the same weight, whatever their numbers.

    Returns:
        The function from scores to logits of the probability that an image is real.

    Raises:
        ValueError: If there are no real or no generated scores.
    """
    from sklearn.isotonic import IsotonicRegression

    if not len(real) or not len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} generated scores")
    labels = np.repeat([1.0, 0.0], [len(real), len(fake)])
    weights = np.repeat([1 / len(real), 1 / len(fake)], [len(real), len(fake)])
    fitted = IsotonicRegression(out_of_bounds="clip").fit(
        np.concatenate([real, fake]).astype(np.float64), labels, weights
    )

    def logits(scores: Scores) -> Scores:
        flat = fitted.predict(scores.reshape(-1).astype(np.float64))
        likely = flat.clip(_CLIPPED, 1 - _CLIPPED)
        odds: np.ndarray = np.log(likely / (1 - likely)).reshape(scores.shape)
        return odds

    return logits


def rejection(
    logits: Float[np.ndarray, " count"],
    largest: float,
    uniform: Float[np.ndarray, " count"],
    kept: float = 0.2,
) -> Bool[np.ndarray, " count"]:
    """Accept samples in proportion to p / q (Azadi 2018, section 3.2, eq. 8).

    Args:
        logits: Calibrated logits of the samples.
        largest: The largest logit of many samples.
        uniform: Uniform numbers in [0, 1), one for each sample.
        kept: Smallest share of the samples that have a chance above one half, in
            [0, 1). Without it hardly any sample is accepted where ratios differ widely.
            More is faster and less faithful (the paper's gamma is a quantile too); 0 is
            plain rejection sampling.
    """
    exponent = np.minimum(logits - largest, 0.0)
    raised = exponent - np.log1p(-np.exp(exponent - 1e-6))
    shifted = raised - min(0.0, float(np.quantile(raised, 1 - kept)))
    accepted: np.ndarray = uniform < 1 / (1 + np.exp(-shifted.clip(-50, 50)))
    return accepted


def metropolis_hastings(
    logits: Float[np.ndarray, "chains length"],
    start: Float[np.ndarray, " chains"],
    uniform: Float[np.ndarray, "chains length"],
) -> Int[np.ndarray, " chains"]:
    """Run chains over independent samples (Turner 2018, algorithm 1).

    Each proposal x' replaces x with the probability min(1, r(x') / r(x)), where
    r = p / q.

    Args:
        logits: Calibrated logits of the proposals of each chain.
        start: Logits of the chains' starts: real images, which need no burn-in.
        uniform: Uniform numbers in [0, 1), one for each proposal.

    Returns:
        The index of the proposal at which each chain ends; -1 where it never moved from
        its start.
    """
    current, place = start.astype(np.float64), np.full(len(start), -1)
    for index in range(logits.shape[1]):
        proposed = logits[:, index]
        moves = uniform[:, index] < np.exp(np.minimum(proposed - current, 0.0))
        current = np.where(moves, proposed, current)
        place = np.where(moves, index, place)
    return place
