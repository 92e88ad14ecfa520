"""Distances of feature sets against SciPy, scikit-learn and second derivations."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel

from gan_jax.evaluation.classes import class_count, inception_score
from gan_jax.evaluation.features import (
    Nearest,
    frechet_distance,
    kernel_distance,
    memorised,
    nearest,
    precision,
    recall,
)


def features(count, width=8, seed=0, shift=0.0, scale=1.0):
    draw = np.random.default_rng(seed)
    mixing = draw.normal(size=(width, width))
    found = draw.normal(size=(count, width)) @ mixing * scale + shift
    return np.maximum(found, 0).astype(np.float32)


def test_frechet_distance_against_scipys_matrix_root():
    real, fake = features(300), features(200, seed=1, shift=0.3, scale=1.4)
    first, second = real.astype(np.float64), fake.astype(np.float64)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    expected = (
        np.sum((first.mean(0) - second.mean(0)) ** 2)
        + np.trace(a)
        + np.trace(b)
        - 2 * np.trace(scipy.linalg.sqrtm(a @ b)).real
    )
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_gaussians_in_closed_form():
    # Diagonal covariances commute: |m - n|^2 + sum (s - t)^2.
    draw = np.random.default_rng(3)
    exact = draw.normal(size=(4000, 3))
    exact = (exact - exact.mean(0)) @ np.linalg.inv(
        np.linalg.cholesky(np.cov(exact, rowvar=False)).T
    )
    scales, means = np.array([[1.0, 2.0, 0.5]]), np.array([[1.0, -2.0, 0.0]])
    assert frechet_distance(exact, exact * scales + means) == pytest.approx(
        5 + 1 + 0.25, rel=1e-9
    )


def test_frechet_distance_of_a_set_to_itself_is_zero_even_where_singular():
    flat = features(100)
    flat[:, 3] = 0  # a feature that is never active
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_refuses_too_few_images():
    with pytest.raises(ValueError, match="8 images are too few for 8 features"):
        frechet_distance(features(100), features(8))


def test_kernel_distance_against_a_sum_over_pairs():
    real, fake = features(40), features(30, seed=1, shift=0.5)
    x, y = real.astype(np.float64), fake.astype(np.float64)

    def kernel(a, b):
        return (a @ b / 8 + 1) ** 3

    within = [
        np.mean(
            [kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i - j]
        )
        for z in (x, y)
    ]
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(real, fake) == pytest.approx(
        sum(within) - 2 * across, rel=1e-9
    )


def test_kernel_distance_in_chunks_against_scikit_learn_at_once():
    real, fake = features(1500), features(1100, seed=1)
    x, y = real.astype(np.float64), fake.astype(np.float64)

    def unbiased(z):
        values = polynomial_kernel(z, degree=3, coef0=1)
        return (values.sum() - np.trace(values)) / (len(z) * (len(z) - 1))

    expected = unbiased(x) + unbiased(y) - 2 * polynomial_kernel(x, y).mean()
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("distance", [kernel_distance, precision, recall])
def test_other_distances_refuse_too_few_images_as_the_frechet_distance_does(distance):
    for counts in ((100, 8), (8, 100)):
        with pytest.raises(ValueError, match="8 images are too few for 8 features: at"):
            distance(*map(features, counts))
    assert np.isfinite(distance(features(9), features(9, seed=1)))


def share_inside(centres, points):
    """Share of the points within the third neighbour's distance of some centre."""
    radii = [
        sorted(np.linalg.norm(centre - other) for other in centres)[3]
        for centre in centres
    ]
    return np.mean(
        [
            any(
                np.linalg.norm(point - centre) <= radius
                for centre, radius in zip(centres, radii, strict=True)
            )
            for point in points
        ]
    )


def test_precision_and_recall_against_loops():
    real = features(60).astype(np.float64)
    fake = features(50, seed=1, shift=0.2, scale=0.7).astype(np.float64)
    assert precision(real, fake) == pytest.approx(share_inside(real, fake))
    assert recall(real, fake) == pytest.approx(share_inside(fake, real))
    assert 0 < precision(real, fake) < 1


def test_a_collapsed_generator_is_precise_without_recall():
    real = features(200)
    fake = np.repeat(real[:1], 100, axis=0)
    assert precision(real, fake) == 1.0
    assert recall(real, fake) < 0.05
    with pytest.raises(ValueError, match="neighbours"):
        precision(features(3, width=2), features(3, width=2))


def test_class_count_is_of_classes_with_two_percent():
    probabilities = np.eye(4)[[0] * 97 + [1] * 2 + [2]]
    assert class_count(probabilities) == 2
    with pytest.raises(ValueError, match="no images"):
        class_count(np.zeros((0, 4)))


def test_inception_score_of_sure_and_of_unsure_classifiers():
    assert inception_score(np.eye(5)[np.arange(50) % 5]) == pytest.approx(5)
    assert inception_score(np.full((20, 5), 0.2)) == pytest.approx(1)
    assert inception_score(np.eye(5)[np.zeros(20, int)]) == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 8))
def test_inception_score_against_entropies(seed, count, classes):
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.full(classes, 0.3), count)
    probabilities = np.maximum(probabilities, 1e-12)
    probabilities /= probabilities.sum(1, keepdims=True)

    def entropy(p):
        return -(p * np.log(p)).sum(-1)

    # The mutual information is H(y) - H(y|x).
    expected = np.exp(entropy(probabilities.mean(0)) - entropy(probabilities).mean())
    score = inception_score(probabilities)
    assert score == pytest.approx(expected, rel=1e-6)
    assert 1 - 1e-9 <= score <= classes + 1e-9


def test_answers_that_are_not_finite_have_no_class():
    with pytest.raises(ValueError, match="not finite"):
        class_count(np.full((10, 3), np.nan))


def test_the_nearest_of_others_against_a_loop():
    rng = np.random.default_rng(0)
    images, others = rng.normal(size=(7, 3)), rng.normal(size=(11, 3))
    found = nearest(images, others)
    for at, image in enumerate(images):
        distances = [np.sqrt(((image - other) ** 2).sum()) for other in others]
        assert found.place[at] == int(np.argmin(distances))
        assert found.distance[at] == pytest.approx(min(distances))
    with pytest.raises(ValueError, match="no images"):
        nearest(images, others[:0])


def test_memorised_images_by_hand():
    """Of 21 held-out distances 1, 2, ..., 21 the 5th percentile is 2."""
    index = np.zeros(21, int)
    held_out = Nearest(np.arange(1.0, 22.0), index)
    fake = Nearest(np.array([0.0, 1.9, 2.0, 2.1, 30.0]), index[:5])
    assert memorised(fake, held_out) == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="19 held-out images are too few"):
        memorised(fake, Nearest(held_out.distance[:19], index[:19]))
    with pytest.raises(ValueError, match="no generated images"):
        memorised(Nearest(fake.distance[:0], index[:0]), held_out)


def test_images_like_held_out_ones_are_at_the_nominal_share_and_copies_at_1():
    rng = np.random.default_rng(1)
    train, held_out, fresh = (rng.normal(size=(size, 4)) for size in (500, 800, 2000))

    def share(fake):
        return memorised(nearest(fake, train), nearest(held_out, train))

    assert share(fresh) == pytest.approx(0.05, abs=0.02)
    assert share(train) == 1
    half = np.concatenate([train, fresh[:500]])
    assert share(half) == pytest.approx(0.525, abs=0.02)
    assert share(fresh + 50) == 0  # unlike anything
