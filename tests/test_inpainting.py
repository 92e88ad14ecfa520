"""Losses of a latent search, holes and degradations, by hand and by properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gan_jax.apps.inpaint.observations import check_fits
from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import degradations, holes
from gan_jax.losses import inpainting


def image(*rows):
    return jnp.array(rows, jnp.float32)[..., None]


KNOWN = image([0.0, 0.5, 1.0], [0.0, 0.0, 9.0], [-1.0, 0.5, 0.0])
MASK = image([1, 1, 1], [1, 1, 0], [1, 1, 1])
GENERATED = image([0.1, 0.5, 0.8], [0.0, -0.4, 5.0], [-0.7, 0.5, 0.0])


def test_weights_by_hand():
    # In a window of 3 the missing pixel is seen by four; a corner sees 4 pixels, an
    # edge 6, the middle 9.
    near = inpainting.near_weights(MASK, 3)[..., 0]
    wanted = [[0, 1 / 6, 1 / 4], [0, 1 / 9, 0], [0, 1 / 6, 1 / 4]]
    np.testing.assert_allclose(near, wanted, atol=1e-7)
    far = inpainting.far_weights(MASK, 3)[..., 0]
    wanted = [[1, 5 / 6, 3 / 4], [1, 8 / 9, 0], [1, 5 / 6, 3 / 4]]
    np.testing.assert_allclose(far, wanted, atol=1e-7)
    np.testing.assert_array_equal(inpainting.equal_weights(MASK), MASK)
    # In the published window of 7 all pixels see all nine.
    near = inpainting.near_weights(MASK)[..., 0]
    np.testing.assert_allclose(near, MASK[..., 0] / 9, atol=1e-7)


def test_context_and_residual_by_hand():
    # |0.1| + |-0.2| + |-0.4| + |0.3| over eight known values; 5 against 9 is unknown.
    loss = inpainting.context_loss(GENERATED, KNOWN, MASK, MASK)
    assert float(loss) == pytest.approx(1.0, abs=1e-6)
    weights = 2 * MASK
    loss = inpainting.context_loss(GENERATED, KNOWN, MASK, weights)
    assert float(loss) == pytest.approx(2.0, abs=1e-6)
    found = inpainting.residual(GENERATED, KNOWN, MASK)
    assert float(found) == pytest.approx(1 / 8, abs=1e-6)


def test_gradients_by_hand():
    # Errors: [.1 0 -.2] [0 -.4 ?] [.3 0 0]. Down: |-.1| |-.4|; |.3| |.4|.
    # Right: |-.1| |-.2|; |-.4|; |-.3| |0|.
    loss = inpainting.gradient_loss(GENERATED, KNOWN, MASK, MASK)
    assert float(loss) == pytest.approx(1.2 + 1.0, abs=1e-6)
    # A weight counts at the pixel a difference starts from.
    weights = MASK * image([3, 1, 1], [1, 1, 1], [1, 1, 1])
    loss = inpainting.gradient_loss(GENERATED, KNOWN, MASK, weights)
    assert float(loss) == pytest.approx(2.2 + 2 * (0.1 + 0.1), abs=1e-6)


@pytest.mark.parametrize("loss", [inpainting.context_loss, inpainting.gradient_loss])
def test_what_is_unknown_does_not_count_even_nan(loss):
    spoiled = jnp.where(MASK > 0, KNOWN, jnp.nan)

    def value(generated, known):
        return loss(generated, known, MASK, inpainting.near_weights(MASK))

    assert value(GENERATED, spoiled) == value(GENERATED, KNOWN)
    gradient = jax.grad(value)(GENERATED, spoiled)
    assert jnp.isfinite(gradient).all() and gradient[1, 2, 0] == 0


@pytest.mark.parametrize("loss", [inpainting.context_loss, inpainting.gradient_loss])
def test_slopes_against_finite_differences(loss):
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        shape = (5, 6, 3)
        generated, known = (jnp.asarray(random.uniform(-1, 1, shape)) for _ in "ab")
        mask = jnp.asarray(random.random((5, 6, 1)) < 0.6, jnp.float64)
        weights = inpainting.near_weights(mask)

        def value(generated):
            return loss(generated, known, mask, weights)

        direction = jnp.asarray(random.normal(size=shape))
        slope = (jax.grad(value)(generated) * direction).sum()
        step = 1e-6
        ends = [value(generated + sign * step * direction) for sign in (1, -1)]
        assert float(slope) == pytest.approx(float((ends[0] - ends[1]) / (2 * step)))


def test_a_composite_keeps_known_values_to_the_bit():
    found = inpainting.composite(GENERATED, KNOWN, MASK)
    known = np.asarray(MASK[..., 0]) > 0
    np.testing.assert_array_equal(np.asarray(found)[known], np.asarray(KNOWN)[known])
    assert found[1, 2, 0] == 5.0


def test_score_losses_by_hand():
    score = jnp.array([0.0, 2.0])
    nothing = jnp.zeros(2)
    for name, wanted in {
        "saturating": [-np.log(2), -np.log1p(np.exp(2.0))],
        "nonsaturating": [np.log(2), np.log1p(np.exp(-2.0))],
        "least_squares": [0.5, 0.5],
        "score": [0.0, -2.0],
        "energy": [0.0, 2.0],
    }.items():
        found = inpainting.SCORE_LOSSES[name](score, nothing)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, err_msg=name)


MISSING = {
    "center": 0.25,
    "random:0.8": 0.8,
    "random": 0.8,
    "left": 0.5,
    "right": 0.5,
    "top": 0.5,
    "bottom": 0.5,
    "pattern": 0.25,
    "pattern:0.4": 0.4,
}


def make(text):
    name, *values = text.split(":")
    return holes.HOLES[name](*values)


@pytest.mark.parametrize(("text", "missing"), MISSING.items())
@pytest.mark.parametrize(("height", "width"), [(28, 28), (16, 40)])
def test_holes_have_their_size(text, missing, height, width):
    mask = make(text)(jax.random.key(0), height, width)
    assert mask.shape == (height, width, 1) and set(np.unique(mask)) == {0, 1}
    assert float(1 - mask.mean()) == pytest.approx(missing, abs=1e-3)


def test_holes_lie_where_their_names_say():
    key = jax.random.key(0)
    centre = np.asarray(holes.centre(key, 8, 8))[..., 0]
    assert (centre[2:6, 2:6] == 0).all() and centre.sum() == 48
    for name, part in {
        "left": np.s_[:, :4],
        "right": np.s_[:, 4:],
        "top": np.s_[:4],
        "bottom": np.s_[4:],
    }.items():
        mask = np.asarray(make(name)(key, 8, 8))[..., 0]
        assert (mask[part] == 0).all() and mask.sum() == 32


def missing(text, height, width, seed=0):
    (hole,) = searches.holes(text)
    mask = np.asarray(hole(jax.random.key(seed), height, width))
    assert mask.shape == (height, width, 1) and set(np.unique(mask)) <= {0, 1}
    return mask[..., 0] == 0


@pytest.mark.parametrize(
    ("text", "shape", "place"),
    [
        ("center:16", (64, 64), np.s_[24:40, 24:40]),
        ("center:5", (8, 8), np.s_[1:6, 1:6]),  # half a pixel up and to the left
        ("center:4", (9, 7), np.s_[2:6, 1:5]),
        ("center:3", (9, 7), np.s_[3:6, 2:5]),
        ("center:1", (1, 2), np.s_[0:1, 0:1]),
        ("center:27", (28, 28), np.s_[0:27, 0:27]),
        ("left:12", (28, 28), np.s_[:, :12]),
        ("right:1", (5, 7), np.s_[:, 6:]),
        ("top:3", (5, 7), np.s_[:3, :]),
        ("bottom:4", (5, 7), np.s_[1:, :]),
    ],
)
def test_a_hole_with_a_size_lies_exactly_there(text, shape, place):
    wanted = np.zeros(shape, bool)
    wanted[place] = True
    np.testing.assert_array_equal(missing(text, *shape), wanted)


@pytest.mark.parametrize(("size", "half"), [(28, 14), (32, 16), (64, 32)])
def test_half_of_a_side_is_what_is_left_out_without_a_size(size, half):
    for name in ("center", "left", "right", "top", "bottom"):
        plain, sized = (missing(text, size, size) for text in (name, f"{name}:{half}"))
        np.testing.assert_array_equal(plain, sized)


@pytest.mark.parametrize("seed", range(5))
def test_squares_with_a_size_are_squares_of_that_size(seed):
    one = missing("squares:1:16", 64, 40, seed)
    rows, columns = (np.flatnonzero(one.any(axis=axis)) for axis in (1, 0))
    assert one.sum() == 16**2
    assert np.ptp(rows) == np.ptp(columns) == 15
    several = missing("squares:4:5", 21, 19, seed)
    assert 25 <= several.sum() <= 100
    labels, count = ndimage.label(several)
    assert 1 <= count <= 4
    for place in ndimage.find_objects(labels):
        assert min(several[place].shape) >= 5  # whole squares, none cut by the border


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("center:0", "0 is not above 0"),
        ("center:-3", "-3 is not above 0"),
        ("center:", "'' is not a whole number"),
        ("center:nan", "'nan' is not a whole number"),
        ("center:0.5", "'0.5' is not a whole number"),
        ("center:4:4", "'4:4' is not a whole number"),
        ("left:inf", "'inf' is not a whole number"),
        ("bottom:-1", "-1 is not above 0"),
        ("squares:0", "0 is not above 0"),
        ("squares:4:0", "0 is not above 0"),
        ("squares:4:", "'' is not a whole number"),
        ("squares::4", "'' is not a whole number"),
        ("squares:4:5:6", "'5:6' is not a whole number"),
        ("random:nan", "share of nan"),
        ("none:4", "takes no number"),
    ],
)
def test_a_size_that_makes_no_sense_is_one_line(text, says):
    with pytest.raises(
        InputError, match=f"^masks '{text}' makes no sense.*{says}"
    ) as e:
        searches.holes(f"center,{text}")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "text",
    [
        "center:28",
        "center:29",
        "left:28",
        "top:40",
        "squares:1:28",
        "squares:900",
        "right:99",
    ],
)
def test_a_hole_that_leaves_nothing_is_refused_where_the_size_is_known(text):
    (hole,) = searches.holes(text)
    with pytest.raises(InputError, match=f"^--config.masks '{text}': ") as error:
        check_fits(text, hole, Size(28, 28))
    assert "\n" not in str(error.value)
    check_fits(text, hole, Size(128, 128))


def test_drawn_holes_differ_by_key_and_patterns_are_patches():
    for name in ("random", "pattern", "squares"):
        one, two = (make(name)(jax.random.key(seed), 32, 32) for seed in (0, 1))
        assert (one != two).any()

    def edges(mask):
        return float(jnp.abs(jnp.diff(mask, axis=0)).mean())

    key = jax.random.key(0)
    assert (
        edges(make("pattern")(key, 64, 64))
        < edges(make("random:0.25")(key, 64, 64)) / 3
    )


@given(st.integers(1, 9), st.floats(0.01, 0.9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_squares_never_leave_more_out_than_they_cover(count, missing, seed):
    mask = holes.squares(count, missing)(jax.random.key(seed), 20, 24)
    side = max(1, round((480 * missing / count) ** 0.5))
    assert 1 <= float((1 - mask).sum()) <= count * side**2


def test_degradations_by_hand():
    colour = jnp.broadcast_to(jnp.array([1.0, -1.0, 0.5]), (2, 2, 3))
    np.testing.assert_allclose(
        degradations.grey.apply(colour), 0.299 - 0.587 + 0.057, rtol=1e-6
    )
    np.testing.assert_array_equal(degradations.grey.apply(KNOWN), KNOWN)
    stairs = jnp.arange(16.0).reshape(4, 4, 1)
    halved = degradations.downsample(2).apply(stairs)[..., 0]
    np.testing.assert_allclose(halved, [[2.5, 4.5], [10.5, 12.5]])
    with pytest.raises(ValueError, match="cannot be downsampled by 3"):
        degradations.downsample(3).apply(stairs)


def test_a_blur_is_a_gaussian():
    from scipy.ndimage import gaussian_filter

    picture = np.random.default_rng(0).uniform(-1, 1, (12, 17)).astype(np.float32)
    found = degradations.blur(1.3).apply(jnp.asarray(picture)[..., None])[..., 0]
    wanted = gaussian_filter(picture, 1.3, mode="nearest", radius=4)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    with pytest.raises(ValueError, match="a blur of"):
        degradations.blur(0.0)


def test_noise_is_measured_but_not_searched():
    noisy = degradations.noise(0.1)
    zero = jnp.zeros((64, 64, 1))
    assert (noisy.apply(zero) == 0).all()
    measured = noisy.measure(jax.random.key(0), zero)
    assert float(measured.std()) == pytest.approx(0.1, rel=0.05)


def test_a_chain_is_its_parts_in_order():
    picture = jax.random.uniform(jax.random.key(1), (16, 16, 3), minval=-1.0)
    parts = (degradations.grey, degradations.noise(0.5), degradations.downsample(4))
    chained = degradations.chain(*parts)
    wanted = parts[2].apply(parts[0].apply(picture))
    np.testing.assert_allclose(chained.apply(picture), wanted, rtol=1e-6)
    # The mean of 16 values has a quarter of their noise.
    errors = [
        chained.measure(jax.random.key(seed), picture) - wanted for seed in range(50)
    ]
    assert float(jnp.std(jnp.stack(errors))) == pytest.approx(0.125, rel=0.15)
    negative = degradations.chain(degradations.exact(jnp.negative))
    np.testing.assert_array_equal(negative.apply(picture), -picture)


def test_the_seam_by_hand():
    """One missing pixel of 4 beside known ones: |2 - 0|, |2 - 1|, |2 - 3| over 3."""
    image = jnp.array([[0.0, 2.0, 1.0], [9.0, 3.0, 9.0]])[..., None]
    mask = jnp.ones_like(image).at[0, 1].set(0)
    assert float(inpainting.seam(image, mask)) == pytest.approx(4 / 3)
    assert float(inpainting.seam(image, jnp.ones_like(mask))) == 0
