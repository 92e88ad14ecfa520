"""Windows: where the images of a prior are laid on larger ones."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gan_jax.config.limits import Size
from gan_jax.data import windows
from gan_jax.data.windows import Window

sides = st.integers(1, 90)
sizes = st.builds(Size, sides, sides)
shapes = st.builds(Size, st.integers(2, 40), st.integers(2, 40))


@st.composite
def holed(draw):
    """The known pixels of an image with a few rectangular holes."""
    height, width = draw(sides), draw(sides)
    known = np.ones((height, width), bool)
    for _ in range(draw(st.integers(1, 4))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        down, right = draw(st.integers(1, 30)), draw(st.integers(1, 30))
        known[top : top + down, left : left + right] = False
    return known


def assert_fits(window, image, shape):
    """A window lies in an image and has a shape, up to half a pixel on each side."""
    assert window.top >= 0 and window.left >= 0
    assert window.top + window.height <= image.height
    assert window.left + window.width <= image.width
    by_rows = [(window.height + change) / shape.height for change in (-0.5, 0.5)]
    by_columns = [(window.width + change) / shape.width for change in (-0.5, 0.5)]
    slim = 1e-9
    assert window.height == 1 or by_rows[0] <= by_columns[1] + slim
    assert window.width == 1 or by_columns[0] <= by_rows[1] + slim


@given(sizes, shapes)
@settings(deadline=None)
def test_the_centre_is_the_largest_window_there_is(image, shape):
    window = windows.centre(image, shape)
    assert_fits(window, image, shape)
    assert window.height == image.height or window.width == image.width
    assert abs(2 * window.top + window.height - image.height) <= 1
    assert abs(2 * window.left + window.width - image.width) <= 1


@given(sizes, shapes, st.integers(1, 90))
@settings(deadline=None)
def test_a_crop_is_the_longer_side(image, shape, crop):
    try:
        window = windows.centre(image, shape, crop)
    except ValueError:
        assert crop > max(image) or crop > min(image) * min(shape) / max(shape) - 1
        return
    assert max(window.size) == crop
    assert_fits(window, image, shape)


@given(holed(), shapes)
@settings(deadline=None)
def test_windows_over_holes_hold_every_missing_pixel_once(known, shape):
    image = Size(*known.shape)
    try:
        found = windows.over_holes(known, shape)
    except ValueError as error:
        assert "\n" not in str(error) and "largest window" in str(error)
        return
    count = np.zeros(known.shape, int)
    for window, missing in found:
        assert_fits(window, image, shape)
        assert missing.shape == window.size and missing.any()
        count[window.at] += missing
    np.testing.assert_array_equal(count, ~known)


@given(holed(), shapes)
@settings(deadline=None)
def test_a_hole_is_refused_only_where_no_window_holds_it(known, shape):
    from scipy import ndimage

    largest = windows.centre(Size(*known.shape), shape).size
    labels, _ = ndimage.label(~known, np.ones((3, 3)))
    extents = [[at.stop - at.start for at in place] for place in
               ndimage.find_objects(labels)]  # fmt: skip
    fits = all(h <= largest.height and w <= largest.width for h, w in extents)
    try:
        windows.over_holes(known, shape)
    except ValueError:
        assert not fits
    else:
        assert fits


@given(holed(), shapes)
@settings(deadline=None)
def test_alternatives_hold_the_same_hole(known, shape):
    image = Size(*known.shape)
    try:
        first = windows.over_holes(known, shape)[0]
    except ValueError:
        assume(False)
    missing = np.zeros(known.shape, bool)
    missing[first.window.at] = first.missing
    found = windows.alternatives(first, image, shape)
    assert found[0] == first.window and len({*found}) == len(found) <= 46
    for window in found:
        assert_fits(window, image, shape)
        assert missing[window.at].sum() == missing.sum()


def test_a_small_hole_has_a_window_of_the_priors_size_around_it():
    known = np.ones((300, 400), bool)
    known[100:104, 200:206] = False
    ((window, missing),) = windows.over_holes(known, Size(64, 48))
    assert window == Window(70, 179, 64, 48)
    assert missing.sum() == 24 and missing[30:34, 21:27].all()


def test_a_large_hole_has_half_of_its_window():
    known = np.ones((300, 400), bool)
    known[100:180, 200:240] = False
    ((window, _),) = windows.over_holes(known, Size(64, 48))
    assert window == Window(60, 160, 160, 120)


def test_at_the_edge_the_border_is_where_there_is_room():
    known = np.ones((218, 178), bool)
    known[150:, 40:138] = False
    ((window, _),) = windows.over_holes(known, Size(64, 48))
    assert window == Window(0, 7, 218, 164)


def test_holes_far_apart_have_windows_of_their_own():
    known = np.ones((400, 400), bool)
    known[10:20, 10:20] = False
    known[350:370, 300:330] = False
    known[12:15, 25:30] = False  # in the border of the first one
    found = windows.over_holes(known, Size(32, 32))
    assert [missing.sum() for _, missing in found] == [600, 115]
    assert found[1].window.size == Size(40, 40)  # twice the twenty columns of both


def test_scattered_pixels_share_one_window():
    known = np.random.default_rng(0).random((120, 200)) > 0.05
    ((window, missing),) = windows.over_holes(known[:, 40:160], Size(32, 32))
    assert (
        window == Window(0, 0, 120, 120) and missing.sum() == (~known[:, 40:160]).sum()
    )
    several = windows.over_holes(known, Size(32, 32))
    assert 2 <= len(several) <= 4


def test_a_hole_across_an_image_is_refused():
    known = np.ones((218, 178), bool)
    known[150:200] = False
    with pytest.raises(ValueError, match=r"50x178 pixels .*largest window .* 218x164"):
        windows.over_holes(known, Size(64, 48))


@pytest.mark.parametrize("size", [Size(28, 28), Size(31, 20), Size(90, 64), Size(7, 5)])
def test_a_mask_is_known_where_all_is(size):
    mask = np.ones((32, 24), bool)
    mask[8:16, 6:12] = False
    given = windows.enlarge_mask(mask, size)
    again = windows.reduce_mask(given, Size(32, 24))
    assert given.shape == size and again.shape == mask.shape
    if min(size) >= 32:
        np.testing.assert_array_equal(again, mask)
    assert 0 < (~given).mean() < 0.3


def test_a_padded_image_has_a_padded_mask():
    mask = np.random.default_rng(0).random((28, 28)) > 0.5
    padded = windows.reduce_mask(mask, Size(32, 32))
    np.testing.assert_array_equal(padded[2:-2, 2:-2], mask)
    np.testing.assert_array_equal(windows.enlarge_mask(padded, Size(28, 28)), mask)
