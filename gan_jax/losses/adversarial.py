"""Adversarial objectives: what the critic and the generator minimise.

An objective is a pair of functions of raw scores D(x), D(G), one value per example;
the caller takes the mean. No network has a sigmoid: a score is a logit, the value of a
Wasserstein critic or, for an autoencoder, an energy (low for real images).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scores = Float[Array, "batch ..."]
"""Raw scores: one per image, or a map of them per image from a patch critic."""


class Objective(NamedTuple):
    """Both players' losses, per example, to be minimised."""

    critic: Callable[[Scores, Scores], Scores]
    """`critic(real_scores, fake_scores)`."""
    generator: Callable[[Scores, Scores], Scores]
    """`generator(fake_scores, real_scores)`; only that of a paired objective reads the
    second."""
    paired: bool = False
    """Whether the generator's loss compares with real scores: then a score alone means
    nothing, and whoever uses the critic needs those of real images beside it."""
    energies: bool = False
    """Whether scores are energies, low for real images."""


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


def _least_squares_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """1/2 (D(x) - 1)^2 + 1/2 D(G)^2 (Mao 2016, eq. 2, with a = 0 and b = 1)."""
    return (jnp.square(real_scores - 1) + jnp.square(fake_scores)) / 2


def _least_squares_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """1/2 (D(G) - 1)^2 (Mao 2016, eq. 2, with c = 1)."""
    return jnp.square(fake_scores - 1) / 2


lsgan = Objective(_least_squares_critic, _least_squares_generator)
"""Least squares GAN: Mao et al. 2016, eq. 2 (arXiv 1611.04076)."""


def ebgan(margin: float) -> Objective:
    """Return the energy-based GAN: Zhao et al. 2016, eqs. 1 and 2 (arXiv 1609.03126).

    Scores are energies E, the mean squared error with which an autoencoder reproduces
    an image, and so low for real ones.

    Args:
        margin: the energy m up to which the critic pushes fakes; beyond, it rests.
    """

    def critic(real_scores: Scores, fake_scores: Scores) -> Scores:
        """E(x) + max(0, m - E(G))."""
        return real_scores + jax.nn.relu(margin - fake_scores)

    def generator(fake_scores: Scores, real_scores: Scores) -> Scores:
        """E(G)."""
        return fake_scores

    return Objective(critic, generator, energies=True)


def _difference_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """f(G) - f(x): minus the estimate of the distance (Arjovsky 2017, eq. 3)."""
    return fake_scores - real_scores


def _raising_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-f(G) (Arjovsky 2017, eq. 3)."""
    return -fake_scores


wgan = Objective(_difference_critic, _raising_generator)
"""Wasserstein GAN: Arjovsky et al. 2017 (arXiv 1701.07875).

Its critic must be Lipschitz: by weights in a box, or by `gradient_penalty`.
"""


def _hinge_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """max(0, 1 - D(x)) + max(0, 1 + D(G)) (Lim & Ye 2017, arXiv 1705.02894)."""
    return jax.nn.relu(1 - real_scores) + jax.nn.relu(1 + fake_scores)


hinge = Objective(_hinge_critic, _raising_generator)
"""Geometric GAN, with spectral norm: Miyato et al. 2018, eqs. 16, 17 (1802.05957)."""


def _relativistic_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """-log s(D(x) - D(G)), each real image paired with one fake (Huang 2024, eq. 2)."""
    return jax.nn.softplus(fake_scores - real_scores)


def _relativistic_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-log s(D(G) - D(x)): the players' roles swapped."""
    return jax.nn.softplus(real_scores - fake_scores)


relativistic = Objective(_relativistic_critic, _relativistic_generator, paired=True)
"""R3GAN, with R1 and R2: Huang et al. 2024, eq. 2 (arXiv 2501.05441)."""
