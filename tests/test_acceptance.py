"""Acceptance by scores: proposals of one density become samples of another."""

import numpy as np
import pytest
from scipy import stats

from gan_jax.search.acceptance import calibrated, metropolis_hastings, rejection

REAL, FAKE = stats.norm(0.5, 0.6), stats.norm(0.0, 1.0)


def exact_logits(samples):
    """Those of the best critic there is: the logarithm of p / q."""
    return REAL.logpdf(samples) - FAKE.logpdf(samples)


def distance(samples):
    return stats.kstest(samples, REAL.cdf).statistic


def test_chains_end_at_samples_of_the_real_density():
    random = np.random.default_rng(0)
    offers = random.normal(size=(4000, 60))
    start = REAL.rvs(4000, random_state=1)
    place = metropolis_hastings(
        exact_logits(offers), exact_logits(start), random.random(offers.shape)
    )
    moved = place >= 0
    assert moved.mean() > 0.95
    ends = offers[np.arange(4000), place][moved]
    assert distance(ends) < 0.03 < 0.1 < distance(offers[:, 0])


def test_a_chain_by_hand():
    """From ratio 1: .5 is refused by a lot of .6, 2 is taken, then 1 by one of .4."""
    ratios = np.array([[0.5, 2.0, 1.0, 0.9]])
    lots = np.array([[0.6, 0.99, 0.4, 0.95]])
    assert metropolis_hastings(np.log(ratios), np.zeros(1), lots).tolist() == [2]
    still = metropolis_hastings(np.log(ratios[:, :1]), np.zeros(1), lots[:, :1])
    assert still.tolist() == [-1]


def test_what_is_not_rejected_is_nearer_to_the_real_density():
    random = np.random.default_rng(2)
    samples = random.normal(size=50_000)
    logits = exact_logits(samples)
    faithful, quick = (
        rejection(logits, logits.max(), random.random(50_000), kept)
        for kept in (0.0, 0.6)
    )
    assert faithful.mean() < quick.mean()
    # Accepted as often as p / q allows: one in max(p / q).
    assert faithful.mean() == pytest.approx(np.exp(-logits.max()), rel=0.05)
    assert distance(samples[faithful]) < 0.02 < distance(samples[quick])
    assert distance(samples[quick]) < distance(samples)


def test_calibration_finds_the_ratio_from_any_rising_score():
    random = np.random.default_rng(3)
    real = REAL.rvs(20_000, random_state=4)
    fake = random.normal(size=5_000)
    logits = calibrated(*(np.tanh(exact_logits(side) / 3) for side in (real, fake)))
    points = np.linspace(-0.5, 1.2, 9)
    found = logits(np.tanh(exact_logits(points) / 3))
    np.testing.assert_allclose(found, exact_logits(points), atol=0.3)
    assert (np.abs(logits(np.array([[-9.0], [9.0]]))) < 7).all()
    with pytest.raises(ValueError, match="0 real"):
        calibrated(np.zeros(0), fake)
