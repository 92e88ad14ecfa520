"""Augmentation: what each change does by hand, and that conditions change alike."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import augmentation
from gan_jax.data.augmentation import (
    DRAWS,
    apply,
    apply_to_condition,
    augment,
    draw_color,
    draw_cutout,
    draw_translation,
    flip,
    no_change,
)
from gan_jax.data.masks import Known, known

KEY = jax.random.key(0)
ALWAYS = jnp.float32(1.0)


def images(count=4, height=6, width=8, channels=3, seed=0):
    shape = (count, height, width, channels)
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1, maxval=1)


def change(count=1, size=(2, 2), **fields):
    drawn = {name: jnp.array(value) for name, value in fields.items()}
    return no_change(count, size)._replace(**drawn)


def test_images_stay_where_nothing_is_drawn():
    shown = images()
    changed = apply(no_change(4, (6, 8)), shown)
    np.testing.assert_array_equal(changed, shown)
    same, condition = augment(KEY, jnp.float32(0.0), shown, shown)
    np.testing.assert_array_equal(same, shown)
    np.testing.assert_array_equal(condition, shown)


def test_brightness_is_added():
    shown = images(1, 2, 2)
    changed = apply(change(brightness=[0.25]), shown)
    np.testing.assert_allclose(changed, np.asarray(shown) + 0.25, atol=1e-6)


def test_saturation_scales_the_distance_from_grey():
    pixel = jnp.array([0.6, 0.0, -0.3]).reshape(1, 1, 1, 3)
    doubled = apply(change(size=(1, 1), saturation=[2.0]), pixel)
    np.testing.assert_allclose(doubled.ravel(), [1.1, -0.1, -0.7], atol=1e-6)
    grey = apply(change(size=(1, 1), saturation=[0.0]), pixel)
    np.testing.assert_allclose(grey.ravel(), [0.1, 0.1, 0.1], atol=1e-6)
    one = jnp.array([[[[0.4]]]])  # a grey image has no saturation to change
    np.testing.assert_allclose(apply(change(size=(1, 1), saturation=[0.0]), one), one)


def test_contrast_scales_the_distance_from_the_mean_of_the_image():
    shown = jnp.array([0.0, 0.2, 0.4, 0.6]).reshape(1, 2, 2, 1)
    changed = apply(change(contrast=[0.5]), shown)
    np.testing.assert_allclose(changed.ravel(), [0.15, 0.25, 0.35, 0.45], atol=1e-6)


def test_colours_change_in_the_order_of_the_authors_code():
    shown = images(1, 2, 2)
    fields = {"brightness": [0.3], "saturation": [0.4], "contrast": [1.3]}
    pixels = np.asarray(shown, np.float64) + 0.3
    grey = pixels.mean(axis=3, keepdims=True)
    pixels = (pixels - grey) * 0.4 + grey
    mean = pixels.mean(axis=(1, 2, 3), keepdims=True)
    wanted = (pixels - mean) * 1.3 + mean
    np.testing.assert_allclose(apply(change(**fields), shown), wanted, atol=1e-6)


@pytest.mark.parametrize("rows, columns", [*itertools.product((-1, 0, 2), (-3, 0, 1))])
def test_a_translation_moves_pixels_and_fills_with_grey(rows, columns):
    shown = np.asarray(images(1, 5, 6))
    wanted = np.zeros_like(shown)
    for row, column in itertools.product(range(5), range(6)):
        if 0 <= row + rows < 5 and 0 <= column + columns < 6:
            wanted[0, row + rows, column + columns] = shown[0, row, column]
    moved = change(size=(5, 6), shift=[[rows, columns]])
    np.testing.assert_allclose(apply(moved, jnp.asarray(shown)), wanted, atol=1e-6)


def test_translations_are_whole_pixels_up_to_an_eighth():
    drawn = draw_translation(KEY, ALWAYS, no_change(1000, (16, 24))).shift
    assert set(np.unique(drawn[:, 0]).tolist()) == {-2, -1, 0, 1, 2}
    assert set(np.unique(drawn[:, 1]).tolist()) == set(range(-3, 4))
    shares = np.bincount(np.asarray(drawn[:, 0]) + 2) / 1000
    np.testing.assert_allclose(shares, 0.2, atol=0.05)


@pytest.mark.parametrize("size", [(8, 8), (6, 10), (5, 7)])
def test_cut_outs_are_rectangles_of_half_the_sides_around_any_pixel(size):
    kept = np.asarray(draw_cutout(KEY, ALWAYS, no_change(600, size)).kept)
    lengths = [int(side / 2 + 0.5) for side in size]
    heights, widths = set(), set()
    for cut in ~kept:
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert cut[np.ix_(rows, columns)].all()
        assert cut.sum() == len(rows) * len(columns) > 0
        heights.add(len(rows))
        widths.add(len(columns))
        for length, side, where in zip(lengths, size, (rows, columns), strict=True):
            # It is shorter only where it leaves the image.
            assert len(where) == length or where[0] == 0 or where[-1] == side - 1
    assert max(heights) == lengths[0] and max(widths) == lengths[1]
    assert (~kept).any(axis=0).all()  # every pixel may be cut out


def test_colours_are_drawn_uniformly_in_the_ranges_of_the_paper():
    drawn = draw_color(KEY, ALWAYS, no_change(1000, (1, 1)))
    ranges = {"brightness": (-0.5, 0.5), "saturation": (0, 2), "contrast": (0.5, 1.5)}
    for name, (least, most) in ranges.items():
        values = np.asarray(getattr(drawn, name))
        assert least <= values.min() and values.max() <= most
        quarters = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quarters, np.linspace(least, most, 5), atol=0.1)


@pytest.mark.parametrize("name", [*DRAWS])
def test_each_change_has_the_probability(name):
    neutral = no_change(1000, (16, 16))
    drawn = DRAWS[name](KEY, jnp.float32(0.3), neutral)
    changed = {
        field: np.asarray(new != old).reshape(1000, -1).any(axis=1)
        for field, new, old in zip(neutral._fields, drawn, neutral, strict=True)
        if (np.asarray(new) != np.asarray(old)).any()
    }
    assert changed
    for field, where in changed.items():
        # One of 25 translations leaves the image where it is.
        wanted = 0.3 * (24 / 25 if field == "shift" else 1)
        assert where.mean() == pytest.approx(wanted, abs=0.05), field
    if name == "color":  # each of the three by itself
        both = (changed["brightness"] & changed["contrast"]).mean()
        assert both == pytest.approx(0.09, abs=0.03)


def test_images_of_a_batch_change_independently_and_repeatably():
    same = jnp.repeat(images(1, 16, 16), 6, axis=0)
    once, _ = augment(KEY, ALWAYS, same)
    again, _ = jax.jit(augment)(KEY, ALWAYS, same)
    np.testing.assert_allclose(once, again, atol=1e-6)
    assert len(np.unique(np.asarray(once).reshape(6, -1), axis=0)) == 6
    other, _ = augment(jax.random.key(1), ALWAYS, same)
    assert np.abs(np.asarray(once - other)).max() > 0.1


def test_only_the_kinds_that_are_named_are_applied():
    shown = images(8, 16, 16)
    moved, _ = augment(KEY, ALWAYS, shown, kinds=("translation",))
    for before, after in zip(np.asarray(shown), np.asarray(moved), strict=True):
        # Every value was there before, or is the filling.
        assert np.isin(after, [*before.ravel(), 0]).all()
    none, _ = augment(KEY, ALWAYS, shown, kinds=())
    np.testing.assert_array_equal(none, shown)


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        shown = images(2, 4, 4).astype(jnp.float64)
        weights = jax.random.normal(jax.random.key(3), shown.shape, jnp.float64)

        def loss(pixels):
            changed, _ = augment(KEY, ALWAYS, pixels)
            return (weights * changed**2).sum()

        gradient = np.asarray(jax.grad(loss)(shown))
        step = 1e-5
        for place in [(0, 1, 1, 0), (0, 3, 2, 1), (1, 0, 0, 2), (1, 2, 3, 0)]:
            up, down = (loss(shown.at[place].add(sign * step)) for sign in (1, -1))
            wanted = (up - down) / (2 * step)
            assert gradient[place] == pytest.approx(float(wanted), abs=1e-6), place
        assert np.abs(gradient).max() > 0.1


def test_the_gradient_does_not_reach_what_was_cut_out_or_moved_away():
    moved = change(size=(4, 4), shift=[[1, 0]])
    moved = moved._replace(kept=jnp.ones((1, 4, 4), bool).at[0, 2, 2].set(False))
    gradient = jax.grad(lambda pixels: apply(moved, pixels).sum())(images(1, 4, 4))
    wanted = np.ones((1, 4, 4, 3))
    wanted[0, 3] = 0  # the last row leaves the image
    wanted[0, 1, 2] = 0  # moves to the pixel that is cut out
    np.testing.assert_allclose(gradient, wanted, atol=1e-6)


@pytest.mark.parametrize("kinds", [("translation",), ("cutout",), tuple(DRAWS)])
def test_known_pixels_change_as_their_image(kinds):
    shown = images(16, 16, 16)
    mask = jax.random.bernoulli(KEY, 0.3, (16, 16, 16, 1)).astype(jnp.float32)
    changed, condition = augment(KEY, ALWAYS, shown, known(shown, mask), kinds)
    assert isinstance(condition, Known)
    assert set(np.unique(condition.mask)) <= {0.0, 1.0}
    assert 0 < condition.mask.sum() < mask.sum()  # some were cut out or moved away
    # A known pixel of the changed image has the value that the image has there.
    np.testing.assert_allclose(condition.values, changed * condition.mask, atol=1e-5)


def test_known_pixels_of_another_image_take_the_same_map_of_colours():
    image, other = images(1, 2, 2), images(1, 2, 2, seed=1)
    recolored = change(brightness=[0.2], saturation=[0.5], contrast=[1.4])
    mask = jnp.ones((1, 2, 2, 1)).at[0, 0, 0].set(0.0)
    condition = apply_to_condition(recolored, image, known(other, mask))
    pixels = np.asarray(other, np.float64) + 0.2
    grey = pixels.mean(axis=3, keepdims=True)
    pixels = (pixels - grey) * 0.5 + grey
    mean = np.asarray(image, np.float64).mean() + 0.2  # of the image, not of `other`
    wanted = ((pixels - mean) * 1.4 + mean) * np.asarray(mask)
    np.testing.assert_allclose(condition.values, wanted, atol=1e-5)


def test_maps_move_with_their_image_and_other_arrays_stay():
    shown = images(8, 16, 16, 2)
    lightness = shown[..., :1]
    classes = jax.nn.one_hot(jnp.arange(8), 8)
    changed, (moved, same) = augment(
        KEY, ALWAYS, shown, (lightness, classes), ("translation", "cutout")
    )
    np.testing.assert_allclose(moved, changed[..., :1], atol=1e-6)
    np.testing.assert_array_equal(same, classes)
    assert np.abs(np.asarray(moved - lightness)).max() > 0.1


def test_oblong_images_are_moved_in_proportion():
    drawn = draw_translation(KEY, ALWAYS, no_change(2000, (16, 80))).shift
    assert np.abs(np.asarray(drawn)).max(axis=0).tolist() == [2, 10]


def test_half_of_the_images_are_mirrored():
    stored = np.random.default_rng(0).integers(0, 256, (1000, 3, 5, 1), np.uint8)
    flipped = np.asarray(flip(KEY, jnp.asarray(stored)))
    assert flipped.dtype == np.uint8
    plain = (flipped == stored).all(axis=(1, 2, 3))
    mirrored = (flipped == stored[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (plain | mirrored).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.05)


def test_what_critics_see_is_exact_in_low_precision_products():
    # On accelerators products are rounded by default; a translation must not be.
    with jax.default_matmul_precision("bfloat16"):
        shown = images(2, 8, 8)
        moved = apply(change(2, (8, 8), shift=[[1, -1], [0, 2]]), shown)
    np.testing.assert_allclose(moved[0, 1:, :-1], shown[0, :-1, 1:], atol=1e-6)
    np.testing.assert_allclose(moved[1, :, 2:], shown[1, :, :-2], atol=1e-6)


def test_batches_on_several_devices_are_like_those_on_one():
    shown = images(4, 8, 8)
    apart = jax.vmap(partial(apply))  # a batch of batches, as in a population
    drawn = augmentation.no_change(4, (8, 8))
    for draw in DRAWS.values():
        drawn = draw(KEY, ALWAYS, drawn)
    grouped = jax.tree.map(lambda leaf: leaf[None], (drawn, shown))
    np.testing.assert_allclose(apart(*grouped)[0], apply(drawn, shown), atol=1e-6)
