"""Adversarial objectives: what the critic and the generator minimise.

An objective is a pair of functions of the raw scores D(x) of real images and D(G) of
generated ones. Both return one loss per example; the caller takes the mean. The
critics have no final sigmoid: a score is a logit, the value of a Wasserstein critic,
or the energy of an autoencoder (low for real images).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scores = Float[Array, "batch ..."]
"""Raw critic scores: one per image, or one map per image from a patch critic."""


class Objective(NamedTuple):
    """The losses of the critic and of the generator, per example, to be minimised."""

    critic: Callable[[Scores, Scores], Scores]
    """The critic's loss, `critic(real_scores, fake_scores)`."""
    generator: Callable[[Scores, Scores], Scores]
    """The generator's loss, `generator(fake_scores, real_scores)`. Only a paired
    objective uses `real_scores`."""
    paired: bool = False
    """Whether the generator's loss compares fake with real scores. The scores of such
    a critic are defined up to a constant: compare them with those of real images."""
    energies: bool = False
    """Whether scores are energies, low for real images."""
    boundary: float | None = None
    """The score between those of real and of generated images, at which the critic is
    undecided; None where only differences of scores count."""


def _logistic_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """-log s(D(x)) - log(1 - s(D(G))) with the sigmoid s (Goodfellow 2014, eq. 1)."""
    return jax.nn.softplus(-real_scores) + jax.nn.softplus(fake_scores)


def _minimax_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """log(1 - s(D(G))) (Goodfellow 2014, eq. 1)."""
    return -jax.nn.softplus(fake_scores)


def _nonsaturating_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-log s(D(G)), whose gradient does not vanish for a confident critic (sec. 3)."""
    return jax.nn.softplus(-fake_scores)


minimax = Objective(_logistic_critic, _minimax_generator, boundary=0.0)
"""Minimax GAN: Goodfellow et al. 2014, eq. 1 (arXiv 1406.2661)."""

nonsaturating = Objective(_logistic_critic, _nonsaturating_generator, boundary=0.0)
"""Non-saturating GAN: Goodfellow et al. 2014, section 3 (arXiv 1406.2661)."""


def _least_squares_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """1/2 (D(x) - 1)^2 + 1/2 D(G)^2 (Mao 2016, eq. 2, with a = 0 and b = 1)."""
    return (jnp.square(real_scores - 1) + jnp.square(fake_scores)) / 2


def _least_squares_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """1/2 (D(G) - 1)^2 (Mao 2016, eq. 2, with c = 1)."""
    return jnp.square(fake_scores - 1) / 2


lsgan = Objective(_least_squares_critic, _least_squares_generator, boundary=0.5)
"""Least-squares GAN: Mao et al. 2016, eq. 2 (arXiv 1611.04076)."""


def ebgan(margin: float) -> Objective:
    """Return the energy-based GAN: Zhao et al. 2016, eqs. 1 and 2 (arXiv 1609.03126).

    Scores are energies E: the mean squared reconstruction error of an autoencoder,
    low for real images.

    Args:
        margin: Energy m at which the critic's loss for a fake image reaches 0.
    """

    def critic(real_scores: Scores, fake_scores: Scores) -> Scores:
        """E(x) + max(0, m - E(G))."""
        return real_scores + jax.nn.relu(margin - fake_scores)

    def generator(fake_scores: Scores, real_scores: Scores) -> Scores:
        """E(G)."""
        return fake_scores

    return Objective(critic, generator, energies=True)


def _difference_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """f(G) - f(x), the negated estimate of the distance (Arjovsky 2017, eq. 3)."""
    return fake_scores - real_scores


def _raising_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-f(G) (Arjovsky 2017, eq. 3)."""
    return -fake_scores


wgan = Objective(_difference_critic, _raising_generator)
"""Wasserstein GAN: Arjovsky et al. 2017 (arXiv 1701.07875).

The critic must be Lipschitz continuous: clip its weights, or add
`penalties.gradient_penalty`.
"""


def _hinge_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """max(0, 1 - D(x)) + max(0, 1 + D(G)) (Lim & Ye 2017, arXiv 1705.02894)."""
    return jax.nn.relu(1 - real_scores) + jax.nn.relu(1 + fake_scores)


hinge = Objective(_hinge_critic, _raising_generator, boundary=0.0)
"""Hinge GAN; with spectral norm: Miyato et al. 2018, eqs. 16, 17 (arXiv 1802.05957)."""


def _relativistic_critic(real_scores: Scores, fake_scores: Scores) -> Scores:
    """-log s(D(x) - D(G)) for pairs of a real and a fake image (Huang 2024, eq. 2)."""
    return jax.nn.softplus(fake_scores - real_scores)


def _relativistic_generator(fake_scores: Scores, real_scores: Scores) -> Scores:
    """-log s(D(G) - D(x)) for pairs of a real and a fake image (Huang 2024, eq. 2)."""
    return jax.nn.softplus(real_scores - fake_scores)


relativistic = Objective(_relativistic_critic, _relativistic_generator, paired=True)
"""Relativistic pairing GAN: Huang et al. 2024, eq. 2 (arXiv 2501.05441).

With `penalties.zero_centred_penalty` on real and fake images (R1 and R2) it is R3GAN.
"""
