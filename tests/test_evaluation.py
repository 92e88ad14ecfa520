"""Measures against second derivations, and failing without harm."""

import numpy as np
import pytest

from gan_jax.evaluation.image import diversity, pixel_mse
from gan_jax.evaluation.measure import measure


def images(count, seed=0):
    draw = np.random.default_rng(seed)
    return draw.uniform(-1, 1, (count, 4, 4, 2)).astype(np.float32)


def test_pixel_mse_against_a_loop():
    generated, known = images(5), images(5, seed=1)
    mask = (np.random.default_rng(2).random((5, 4, 4, 1)) < 0.4).astype(np.float32)
    mask[:4, 0, 0] = 1
    mask[4] = 0  # an image without a known pixel has no error
    errors = []
    for one, other, place in zip(generated, known, mask[..., 0] > 0, strict=True):
        if place.any():
            errors.append(np.mean((one[place].astype(float) - other[place]) ** 2))
    assert pixel_mse(generated, known, mask) == pytest.approx(np.mean(errors), rel=1e-6)


def test_pixel_mse_needs_known_pixels():
    with pytest.raises(ValueError, match="no image has a known pixel"):
        pixel_mse(images(2), images(2), np.zeros((2, 4, 4, 1), np.float32))


def test_diversity_against_a_double_loop():
    found = images(7)
    distances = [
        np.sqrt(np.mean((found[i].astype(float) - found[j]) ** 2))
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    assert diversity(found) == pytest.approx(np.mean(distances), rel=1e-9)


def test_diversity_of_copies_is_zero_and_of_opposites_two():
    copies = np.repeat(images(1), 5, axis=0)
    assert diversity(copies) == pytest.approx(0, abs=1e-7)
    opposites = np.stack([np.ones((3, 3, 1)), -np.ones((3, 3, 1))])
    assert diversity(opposites) == pytest.approx(2)


def test_a_failing_metric_is_reported_and_the_others_are_computed():
    found = measure(
        {
            "good": lambda: 1.5,
            "nan": lambda: float("nan"),
            "broken": lambda: diversity(images(1)),
            "last": lambda: True,
        }
    )
    assert found.metrics == {"good": 1.5, "nan": None, "broken": None, "last": True}
    assert found.failed["nan"] == "the result is nan"
    assert "two images or more" in found.failed["broken"]
