"""How far a critic has overfitted, by its scores.

Karras et al. 2020, "Training generative adversarial networks with limited data" (arXiv
2006.06676), section 3.1: both heuristics are 0 without overfitting and 1 where it is
complete. They are ratios whose two parts are averaged over several batches.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Scores = Float[Array, "scores ..."]


class Overfitting(NamedTuple):
    """A heuristic as a ratio, whose parts can be summed over batches."""

    part: Float[Array, ""]
    whole: Float[Array, ""]

    @property
    def ratio(self) -> Float[Array, ""]:
        """The heuristic; 0 where its whole is 0."""
        nothing = self.whole == 0
        return jnp.where(nothing, 0.0, self.part / jnp.where(nothing, 1.0, self.whole))


def none_seen() -> Overfitting:
    """Return the sum over no batches."""
    return Overfitting(jnp.zeros(()), jnp.zeros(()))


def real_sign(real_scores: Scores, boundary: float) -> Overfitting:
    """Return r_t = E[sign(D(x) - boundary)] over training images x (eq. 1, right).

    `boundary` is the score between real and fake: 0 of a logit.
    """
    return Overfitting(jnp.sign(real_scores - boundary).mean(), jnp.ones(()))


def validation_shift(
    real_score: Float[Array, ""],
    fake_score: Float[Array, ""],
    validation_score: Float[Array, ""],
) -> Overfitting:
    """Return r_v, of mean scores (eq. 1, left).

    (E[D(training)] - E[D(validation)]) / (E[D(training)] - E[D(fake)]) is how far the
    scores of validation images have moved from those of training images to those of
    fakes. It does not depend on the sign, the scale or the offset of scores.
    """
    return Overfitting(real_score - validation_score, real_score - fake_score)
