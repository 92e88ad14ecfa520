"""Crops of a training image hold its facies in their shares."""

import numpy as np
import pytest

from gan_jax.data.datasets.crops import cut, free_places


def draw(seed=0):
    return np.random.Generator(np.random.Philox(seed))


def middle(levels, side=80, share=0.4):
    """An image whose last levels lie in the middle, where most crops are."""
    image = np.full((side, side), levels[0], np.uint8)
    width = int(side * share)
    for place, level in enumerate(levels[1:]):
        first = (side - width) // 2 + place * width // len(levels[1:])
        image[first : first + width // len(levels[1:]), 10:-10] = level
    return image


@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255), (0, 51, 102, 153)])
def test_facies_have_their_shares(levels):
    image = middle(levels)
    plain = np.lib.stride_tricks.sliding_window_view(image, (24, 32))
    crops = cut(image, 24, 32, 4000, draw())
    assert crops.shape == (4000, 24, 32, 1)
    for level in levels:
        wanted = (image == level).mean()
        assert (crops == level).mean() == pytest.approx(wanted, abs=0.004)
    # At uniformly random places they have not.
    assert abs((plain == levels[0]).mean() - (image == levels[0]).mean()) > 0.03


def test_a_property_has_its_mean():
    image = np.add.outer(np.hanning(60), np.hanning(70)) * 127
    image = image.astype(np.uint8)
    crops = cut(image, 20, 20, 4000, draw())
    assert crops.mean() == pytest.approx(image.mean(), rel=0.01)


def test_the_same_numbers_give_the_same_crops_and_places_vary():
    image = middle((0, 255))
    first, again = (cut(image, 24, 24, 500, draw(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(500, -1), axis=0)) > 50


def test_shares_that_no_crop_has_are_come_near():
    image = np.zeros((40, 40), np.uint8)
    image[:, 20] = 255  # every crop holds the column, and more of it than the image
    crops = cut(image, 30, 30, 100, draw())
    assert (crops == 255).mean() == pytest.approx(1 / 30)


def test_an_image_of_one_level_has_crops():
    assert (cut(np.zeros((9, 9), np.uint8), 4, 5, 7, draw()) == 0).all()


def test_only_cells_that_crops_can_hold_count():
    image, holes = middle((0, 255)), np.zeros((80, 80), bool)
    image[:, 60:] = 255
    holes[::5, 60:] = True  # no crop lies there
    free = free_places(holes, 24, 24)
    assert not free[:, 60 - 24 + 1 :].any() and free[:, : 60 - 24 + 1].all()
    crops = cut(image, 24, 24, 4000, draw(), free)
    assert (crops == 255).mean() == pytest.approx(image[:, :60].mean() / 255, abs=0.01)
