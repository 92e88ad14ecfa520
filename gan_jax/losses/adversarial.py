"""Adversarial objectives: what the critic and the generator minimise.

An objective is a pair of functions of raw scores D(x), D(G), one value per example;
the caller takes the mean. A critic's score is a logit: no sigmoid in any network.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

Scores = Float[Array, "batch ..."]
"""Raw scores: one per image, or a map of them per image from a patch critic."""


class Objective(NamedTuple):
    """Both players' losses, per example, to be minimised."""

    critic: Callable[[Scores, Scores], Scores]
    """`critic(real_scores, fake_scores)`."""
    generator: Callable[[Scores, Scores], Scores]
    """`generator(fake_scores, real_scores)`; most generators ignore the second."""


def _logistic_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """-log s(D(x)) - log(1 - s(D(G))), s the sigmoid (Goodfellow 2014, eq. 1)."""
    return jax.nn.softplus(-real_scores) + jax.nn.softplus(fake_scores)


def _minimax_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """log(1 - s(D(G))) (Goodfellow 2014, eq. 1)."""
    return -jax.nn.softplus(fake_scores)


def _nonsaturating_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-log s(D(G)): its gradient lives where the critic is sure (2014, sec. 3)."""
    return jax.nn.softplus(-fake_scores)


minimax = Objective(_logistic_critic, _minimax_generator)
"""The two-player game of Goodfellow et al. 2014, eq. 1 (arXiv 1406.2661)."""

nonsaturating = Objective(_logistic_critic, _nonsaturating_generator)
"""The game's usual form: Goodfellow et al. 2014, section 3 (arXiv 1406.2661)."""
