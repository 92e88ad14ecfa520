"""Measures of completed images: scikit-image's own, over holes and composites."""

import numpy as np
import pytest
from skimage import metrics

from gan_jax.evaluation.restoration import restoration


def pair(channels, seed=0):
    random = np.random.default_rng(seed)
    truth = random.uniform(-1, 1, (20, 24, channels)).astype(np.float32)
    mask = np.ones((20, 24, 1), np.float32)
    mask[5:15, 6:18] = 0
    noise = random.normal(0, 0.2, truth.shape)
    return np.where(mask > 0, truth, truth + noise).astype(np.float32), truth, mask


@pytest.mark.parametrize("channels", [1, 3])
def test_composites_are_measured_as_scikit_image_does(channels):
    completed, truth, mask = pair(channels)
    found = restoration(completed, truth, mask)
    one, other = (127.5 * (image.astype(float) + 1) for image in (completed, truth))
    assert found.mse_composite == pytest.approx(metrics.mean_squared_error(one, other))
    assert found.psnr_composite == pytest.approx(
        metrics.peak_signal_noise_ratio(other, one, data_range=255), abs=1e-4
    )
    assert found.ssim_composite == pytest.approx(
        metrics.structural_similarity(one, other, data_range=255, channel_axis=-1),
        abs=1e-4,
    )


def test_holes_are_measured_alone():
    completed, truth, mask = pair(1)
    found = restoration(completed, truth, mask)
    # 120 of 480 pixels are missing, and only they differ.
    assert found.mse_hole == pytest.approx(4 * found.mse_composite)
    assert found.psnr_hole == pytest.approx(found.psnr_composite - 10 * np.log10(4))
    assert found.ssim_hole < found.ssim_composite


def test_one_grey_level_is_48_decibels():
    truth = np.zeros((10, 10, 1), np.float32)
    found = restoration(truth + 1 / 127.5, truth, np.zeros((10, 10, 1)))
    assert found.mse_hole == pytest.approx(1, rel=1e-5)
    assert found.psnr_hole == pytest.approx(48.1308, abs=1e-3)


def test_what_cannot_be_measured_is_not_a_number():
    completed, truth, mask = pair(1)
    whole = restoration(truth, truth, np.ones_like(mask))
    assert np.isnan(whole.mse_hole) and np.isinf(whole.psnr_composite)
    small = restoration(completed[:5, :5], truth[:5, :5], mask[:5, :5])
    assert np.isnan(small.ssim_composite) and np.isfinite(small.mse_composite)


def test_similarity_in_a_hole_by_hand():
    """Wang et al. 2004 (SSIM), eq. 13, over windows of 7x7 with their centres there."""
    completed, truth, mask = pair(1)
    one, other = (
        127.5 * (image[..., 0].astype(float) + 1) for image in (completed, truth)
    )
    means = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for row, column in np.argwhere(mask[..., 0] == 0):
        place = np.s_[row - 3 : row + 4, column - 3 : column + 4]
        x, y = one[place].reshape(-1), other[place].reshape(-1)
        (a, c), (_, b) = np.cov(x, y)
        luminance = (2 * x.mean() * y.mean() + means[0]) / (
            x.mean() ** 2 + y.mean() ** 2 + means[0]
        )
        found.append(luminance * (2 * c + means[1]) / (a + b + means[1]))
    measured = restoration(completed, truth, mask)
    assert measured.ssim_hole == pytest.approx(np.mean(found), abs=1e-4)
