"""Points from known mixtures: drawing them, measuring them, judging them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.data.datasets.mixtures import MIXTURES, grid, mixture_dataset, ring, sample
from gan_jax.evaluation.modes import balance, mode_count, quality
from gan_jax.tasks.points import MixtureFeatures

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def test_the_mixtures_are_those_of_the_literature():
    eight = MIXTURES["gaussians8"]
    np.testing.assert_allclose(np.linalg.norm(eight.centres, axis=1), 2)
    np.testing.assert_allclose(eight.weights, 1 / 8)
    assert eight.deviation == 0.1
    uneven = MIXTURES["gaussians8_imbalanced"]
    assert uneven.weights[::2].sum() == pytest.approx(0.9)
    np.testing.assert_allclose(uneven.weights[1::2], 0.025)
    many = MIXTURES["gaussians25"]
    assert sorted({tuple(centre) for centre in many.centres}) == [
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    ]


@pytest.mark.parametrize("name", MIXTURES)
def test_drawn_points_have_the_mixtures_moments_and_measures(name):
    mixture = MIXTURES[name]
    drawn, modes = sample(mixture, 20_000, seed=5)
    shares = np.bincount(modes, minlength=len(mixture.weights)) / len(drawn)
    np.testing.assert_allclose(shares, mixture.weights, atol=0.012)
    offsets = drawn - mixture.centres[modes]
    np.testing.assert_allclose(offsets.std(axis=0), mixture.deviation, rtol=0.02)
    centres, weights, deviation = mixture[1:]
    assert mode_count(drawn, centres, weights, deviation) == len(centres)
    # A Gaussian in the plane lies within 3 sigma with probability 1 - exp(-9 / 2).
    assert quality(drawn, centres, deviation) == pytest.approx(0.98889, abs=0.003)
    assert balance(drawn, centres, weights) > 0.97


def test_points_are_images_of_one_pixel_with_their_modes_as_labels():
    dataset = mixture_dataset(ring("toy"), 500)
    assert (len(dataset.train), len(dataset.test)) == (500, 100)
    assert dataset.train.shape == (1, 1, 2)
    example = dataset.train[3]
    assert example.image.dtype == np.float32
    centre = ring("toy").centres[example.label]
    assert np.abs(example.image.reshape(2) - centre).max() < 0.5
    assert (dataset.train.images[:100] != dataset.test.images).all()


def test_measures_by_hand():
    # Six points: three at mode 0, one of them 3.1 sigma off; three at mode 1; the
    # third mode is missing.
    deviation = 0.5
    found = np.array([[0, 0], [0, 0.2], [1.55, 0], [10, 0], [10, 1], [10.5, 0]])
    assert quality(found, CENTRES, deviation) == pytest.approx(5 / 6)
    assert mode_count(found, CENTRES, WEIGHTS, deviation) == 2
    # |1/2 - .5| + |1/2 - .3| + |0 - .2| = .4
    assert balance(found, CENTRES, WEIGHTS) == pytest.approx(1 - 0.2)


def test_a_mode_needs_a_tenth_of_its_share_near_its_centre():
    many = np.zeros((97, 2))
    at_third = np.tile(CENTRES[2], (3, 1))
    found = np.concatenate([many, at_third])
    assert mode_count(found, CENTRES, WEIGHTS, 0.5) == 2  # 3% is above 2%
    assert mode_count(found[:-2], CENTRES, WEIGHTS, 0.5) == 1
    # However many lie there: beyond 3 sigma they do not count.
    found[-3:] += 2
    assert mode_count(found, CENTRES, WEIGHTS, 0.5) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_measures_stay_in_their_ranges(count, seed):
    found = np.random.default_rng(seed).normal(0, 5, (count, 2))
    assert 0 <= quality(found, CENTRES, 0.5) <= 1
    assert 0 <= balance(found, CENTRES, WEIGHTS) <= 1
    assert 0 <= mode_count(found, CENTRES, WEIGHTS, 0.5) <= 3


@pytest.mark.parametrize("measure", [quality, balance, mode_count])
def test_no_points_are_refused(measure):
    rest = {quality: (0.5,), balance: (WEIGHTS,), mode_count: (WEIGHTS, 0.5)}
    with pytest.raises(ValueError, match="no points"):
        measure(np.zeros((0, 2)), CENTRES, *rest[measure])


def test_the_judge_gives_the_posterior_of_the_modes():
    mixture = grid("toy", 2)  # modes at (+-1, +-1)
    judge = MixtureFeatures(mixture)
    assert judge.description["accuracy"] == 1
    between = np.array([[0, 1], [1, 1]], np.float32).reshape(2, 1, 1, 2)
    features, probabilities = judge(between)
    np.testing.assert_array_equal(features, [[0, 1], [1, 1]])
    left, right = (
        int(np.flatnonzero((mixture.centres == centre).all(axis=1))[0])
        for centre in ([-1, 1], [1, 1])
    )
    assert probabilities[0, left] == pytest.approx(0.5)
    assert probabilities[0, right] == pytest.approx(0.5)
    assert probabilities[1, right] == pytest.approx(1)
    far = np.full((1, 1, 1, 2), 1e4, np.float32)
    assert np.isfinite(judge(far).probabilities).all()
