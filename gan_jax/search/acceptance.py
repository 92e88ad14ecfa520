"""Samples accepted by their scores: rejection and Metropolis-Hastings.

A critic D that tells real images p from generated ones q as well as can be knows their
ratio: p / q = D / (1 - D), the exponential of D's logit. Azadi et al. 2018,
"Discriminator rejection sampling" (arXiv 1810.06758); Turner et al. 2018,
"Metropolis-Hastings generative adversarial networks" (arXiv 1811.11357).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "*shape"]

_CLIPPED = 1e-3
"""Calibrated probabilities stay so far from 0 and 1: beyond, samples are too few."""


def calibrated(
    real: Float[np.ndarray, " real"], fake: Float[np.ndarray, " fake"]
) -> Callable[[Scores], Scores]:
    """Turn a critic's scores into logits that mean what they say.

    By isotonic regression on images that the critic was not trained on, as in Turner
    2018, section 3.2; both sides count alike, however many there are.

    Args:
        real: scores of real images.
        fake: scores of generated ones.

    Returns:
        From scores to logits of the probability that an image is real.

    Raises:
        ValueError: a side has no scores.
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
    lots: Float[np.ndarray, " count"],
    kept: float = 0.2,
) -> Bool[np.ndarray, " count"]:
    """Accept samples in proportion to p / q (Azadi 2018, section 3.2, eq. 8).

    Args:
        logits: of the samples.
        largest: the largest logit of many samples.
        lots: uniform in [0, 1), one for each.
        kept: the least share of samples whose chance of acceptance is to be above a
            half: where ratios differ widely hardly any sample would be accepted. More
            is faster and less faithful (the paper's gamma is a quantile too); 0 is
            rejection sampling as it is.
    """
    exponent = np.minimum(logits - largest, 0.0)
    raised = exponent - np.log1p(-np.exp(exponent - 1e-6))
    shifted = raised - min(0.0, float(np.quantile(raised, 1 - kept)))
    accepted: np.ndarray = lots < 1 / (1 + np.exp(-shifted.clip(-50, 50)))
    return accepted


def metropolis_hastings(
    logits: Float[np.ndarray, "chains length"],
    start: Float[np.ndarray, " chains"],
    lots: Float[np.ndarray, "chains length"],
) -> Int[np.ndarray, " chains"]:
    """Run chains over independent samples (Turner 2018, algorithm 1).

    Each proposal x' takes the place of x with the probability min(1, r(x') / r(x)),
    where r = p / q.

    Args:
        logits: of the samples that each chain is offered.
        start: of what the chains begin at: real images, which need no burning in.
        lots: uniform in [0, 1), one for each offer.

    Returns:
        The place of the sample at which each chain ends; -1 where it never moved from
        its start.
    """
    now, place = start.astype(np.float64), np.full(len(start), -1)
    for turn in range(logits.shape[1]):
        offered = logits[:, turn]
        moves = lots[:, turn] < np.exp(np.minimum(offered - now, 0.0))
        now = np.where(moves, offered, now)
        place = np.where(moves, turn, place)
    return place
