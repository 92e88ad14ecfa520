"""sRGB and Lab against scikit-image, and colours that sRGB does not have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from gan_jax.config.errors import InputError
from gan_jax.data import color
from gan_jax.data.datasets import embedded
from gan_jax.data.datasets.dataset import Dataset, LazySource, take
from gan_jax.evaluation.color import ab_error, colourfulness


def test_the_whole_cube_is_scikit_images_and_comes_back():
    """All 2^24 colours of 8 bits, a plane of red at a time."""
    there = jax.jit(color.lab_from_rgb)
    back = jax.jit(color.rgb_from_lab)
    levels = np.arange(256, dtype=np.float32) / 255
    plane = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1)
    for red in range(0, 256, 5):  # 0 and 255 among them
        rgb = np.concatenate([np.full((256, 256, 1), red / 255), plane], axis=-1)
        lab = there(rgb.astype(np.float32))
        assert lab.dtype == jnp.float32
        assert np.abs(np.asarray(lab) - rgb2lab(rgb)).max() < 1e-3
        again = np.asarray(back(lab))
        assert np.abs(again - rgb).max() < 1 / 255 / 10


@settings(deadline=None, max_examples=200)
@given(lightness=st.floats(2, 98), a=st.floats(-128, 128), b=st.floats(-128, 128))
def test_a_colour_beyond_srgb_keeps_its_lightness_and_hue(lightness, a, b):
    lab = np.array([lightness, a, b], np.float32)
    rgb = np.asarray(color.rgb_from_lab(jnp.asarray(lab)))
    assert rgb.min() >= 0 and rgb.max() <= 1
    found = np.asarray(color.lab_from_rgb(rgb))
    assert abs(found[0] - lightness) < 0.05
    wanted, got = np.hypot(a, b), np.hypot(*found[1:])
    assert got <= wanted + 0.1
    # The same direction: what lies across it is rounding.
    across = abs(a * found[2] - b * found[1]) / max(wanted, 1)
    assert across < 0.1
    if got < wanted - 0.1:  # it was beyond, so it now lies on the edge
        assert min(rgb.min(), 1 - rgb.max()) < 0.01


def test_clipping_would_have_changed_the_lightness():
    """What the search for the gamut's edge is for: a colour far outside."""
    lab = jnp.array([60.0, 100.0, -100.0])
    kept = color.lab_from_rgb(color.rgb_from_lab(lab))
    clipped = color.lab_from_rgb(jnp.clip(color._linear_rgb(lab), 0, 1) ** (1 / 2.2))
    assert abs(float(kept[0]) - 60) < 0.05 < abs(float(clipped[0]) - 60)


def test_splitting_and_merging_are_inverses():
    images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 3), minval=-1.0)
    lightness, ab = color.split(images)
    assert lightness.shape == (3, 8, 8, 1) and ab.shape == (3, 8, 8, 2)
    assert float(jnp.abs(lightness).max()) <= 1 and float(jnp.abs(ab).max()) <= 1
    np.testing.assert_allclose(color.merge(lightness, ab), images, atol=2e-4)


def test_a_set_in_grey_is_its_lightness():
    dataset = embedded.photos(32, 20)
    grey = color.grey(dataset)
    assert grey.train.shape == (32, 32, 1) and len(grey.train) == 20
    wanted = rgb2lab(dataset.train.images[3] / 255.0)[..., 0] * 2.55
    assert np.abs(grey.train.images[3][..., 0] - wanted).max() <= 0.51
    with pytest.raises(InputError, match="have no colours"):
        color.grey(embedded.digits(28))


def test_a_set_that_is_read_lazily_is_turned_grey_lazily():
    dataset = embedded.photos(32, 10)
    reads = []

    def read(indices):
        reads.extend(indices)
        return take(dataset.train, indices)

    lazy = LazySource("lazy", (32, 32, 3), 10, read)
    grey = color.grey(Dataset(lazy, None)).train
    assert not reads
    np.testing.assert_array_equal(grey[7].image, color.grey(dataset).train.images[7])
    assert reads == [7]


def test_colour_error_by_hand():
    """Two greys of another lightness have the same colours; 3 and 4 make 5."""
    lightness = jnp.zeros((1, 2, 2, 1))
    ab = jnp.zeros((1, 2, 2, 2))
    one, other = color.merge(lightness, ab), color.merge(lightness + 0.5, ab)
    assert ab_error(np.asarray(one), np.asarray(other)) < 0.01
    shifted = ab + jnp.array([3.0, 4.0]).reshape(1, 1, 1, 2) / color.AB_SCALE
    moved = np.asarray(color.merge(lightness, shifted))
    assert ab_error(np.asarray(one), moved) == pytest.approx(5, abs=0.01)


def test_colourfulness_by_hand():
    """Of red and black alike: rg = 255 or 0, yb = 127.5 or 0."""
    image = np.full((1, 2, 2, 3), -1.0, np.float32)
    image[0, 0, :, 0] = 1
    spread = np.hypot(127.5, 63.75)
    assert colourfulness(image) == pytest.approx(spread * 1.3, rel=1e-6)
    assert colourfulness(np.zeros((1, 2, 2, 3), np.float32)) == 0
