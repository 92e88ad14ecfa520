"""Photographs that a page opens, and the masks that are painted over them."""

import io

import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.serve.messages import Message
from gan_jax.apps.serve.model import Model, Session
from gan_jax.apps.serve.models import photographs
from gan_jax.apps.serve.models.photographs import opening, photograph, photograph_of
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import windows
from gan_jax.data.decode import decode
from gan_jax.data.files.levels import Range
from gan_jax.runs.apply import UNKNOWN_LEVELS, TrainedLevels
from tests.page.asking import opened


def opener(channels=1, levels=UNKNOWN_LEVELS):
    return Model("", {}, b"", {"open": opening("run", levels, channels)})


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def saved(picture, kind="png", **settings):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def test_a_small_photograph_is_its_own_preview():
    image, session = noise(28, 20, 1), Session()
    answer = opened(opener(), session, image, name="a/b.c.png")
    assert answer.entries == {
        "image": 1,
        "name": "a/b.c.png",
        "size": [28, 20],
        "missing_share": 0.0,
    }
    np.testing.assert_array_equal(answer.arrays["preview"], image)
    np.testing.assert_array_equal(session.images[1].image, image)
    assert session.images[1].name == "b.c"
    assert not answer.arrays["missing"].any()


def test_a_large_photograph_has_a_reduced_preview():
    session = Session()
    answer = opened(opener(3), session, noise(500, 1000, 1))
    assert answer.arrays["preview"].shape == (384, 768, 3)
    assert session.images[1].image.shape == (500, 1000, 3)


def test_a_grey_image_in_colour_is_grey():
    """As screenshots are, which know no grey."""
    image, session = noise(12, 9, 1), Session()
    colour = np.concatenate([image, image, image, np.full_like(image, 255)], axis=-1)
    answer = opened(opener(), session, colour)
    np.testing.assert_array_equal(answer.arrays["preview"], image)
    np.testing.assert_array_equal(session.images[1].image, image)


def test_transparent_pixels_and_those_of_a_mask_are_missing():
    image = np.full((20, 30, 4), 255, np.uint8)
    image[:5, :, 3] = 0
    mask = np.full((20, 30, 1), 255, np.uint8)
    mask[:, :10] = 0
    answer = opened(opener(3), Session(), image, mask)
    missing = np.zeros((20, 30), bool)
    missing[:5], missing[:, :10] = True, True
    np.testing.assert_array_equal(answer.arrays["missing"], missing)
    assert answer.entries["missing_share"] == pytest.approx(missing.mean())


def test_a_turned_photograph_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = saved(Image.new("L", (40, 10)), "jpeg", exif=exif)
    answer = opened(opener(), Session(), data)
    assert answer.entries["size"] == [40, 10]


@pytest.mark.parametrize(
    ("levels", "white"),
    [
        (UNKNOWN_LEVELS, 255),  # 12 bits are in use
        (TrainedLevels("full"), 16),
        (TrainedLevels("0:8190"), 128),
        (TrainedLevels("auto", {"16-bit PNG": Range(0, 65535)}), 16),
    ],
)
def test_levels_become_8_bits_as_those_of_the_run(levels, white):
    stored = np.zeros((8, 8), np.uint16)
    stored[4:] = 4095
    data = saved(Image.fromarray(stored))
    answer = opened(opener(1, levels), Session(), data)
    assert answer.arrays["preview"].max() == white


HIDDEN = "<img onerror=alert(1)>\u202e\n.png"


@pytest.mark.parametrize(
    ("image", "mask", "reason"),
    [
        (b"no image", None, "not an image"),
        (b"", None, "the file is empty"),
        (noise(9, 9, 3), None, "it is in colour, and the prior knows grey images"),
        (noise(9, 9, 1), noise(9, 8, 1), "its mask: it is 9x8"),
        (noise(9, 9, 1), noise(9, 9, 1), "its mask: it is the image itself"),
    ],
)
def test_what_cannot_be_opened_is_one_line(image, mask, reason):
    session = Session()
    with pytest.raises(InputError, match=reason) as caught:
        opened(opener(), session, image, mask, name=HIDDEN)
    assert "\n" not in str(caught.value)
    assert not session.images


def test_a_photograph_of_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(photographs, "PIXELS", 99)
    with pytest.raises(InputError, match="10x10 pixels are over the limit"):
        opened(opener(), Session(), noise(10, 10, 1))


def test_a_photograph_belongs_to_the_run_that_opened_it():
    session = Session()
    opened(opener(), session, noise(9, 9, 1))
    request = Message("score", 1, {"image": 1}, {})
    assert photograph_of(session, request, "run").number == 1
    with pytest.raises(InputError, match=r"for the run run: open it again for colors$"):
        photograph_of(session, request, "colors")


def test_the_oldest_photographs_are_forgotten(monkeypatch):
    monkeypatch.setattr(photographs, "PIXELS", 250)
    model, session = opener(), Session()
    for _ in range(4):
        opened(model, session, noise(10, 10, 1))
    assert sorted(session.images) == [3, 4]
    opened(model, session, noise(15, 15, 1))
    assert sorted(session.images) == [5]
    monkeypatch.setattr(photographs, "PIXELS", 10**6)
    for _ in range(20):
        last = opened(model, session, noise(10, 10, 1)).entries["image"]
    assert sorted(session.images) == list(range(last - 7, last + 1))


def test_what_is_painted_is_missing_at_the_size_of_the_photograph():
    found = photograph("photo", noise(1536, 800, 1))
    assert found.preview.shape == (768, 400, 1)
    painted = np.zeros((768, 400), bool)
    painted[10:20, 30:31] = True
    missing = found.missing_where(painted)
    assert missing.sum() == 10 * 2 * 2
    assert missing[20:40, 60:62].all()


def test_a_mask_keeps_its_pixels_where_nothing_is_painted():
    known = np.ones((1536, 1536), bool)
    known[801, 801] = known[100, :] = False  # thinner than a pixel of the preview
    found = photograph("photo", noise(1536, 1536, 1), known)
    assert found.missing_preview.sum() == 1 + 768
    np.testing.assert_array_equal(found.missing_where(found.missing_preview), ~known)
    painted = found.missing_preview.copy()
    painted[50, :10] = False  # erased
    painted[0, 0] = True
    wanted = ~known
    wanted[100, :20], wanted[:2, :2] = False, True
    np.testing.assert_array_equal(found.missing_where(painted), wanted)


@pytest.mark.parametrize("size", [(1000, 1300), (769, 769), (5000, 30)])
def test_a_window_in_the_preview_holds_what_it_holds(size):
    """Every pixel of the photograph's window lies in one of the preview's."""
    image, reduced = Size(*size), photographs.preview_size(Size(*size))
    for window in (windows.Window(3, 5, 11, 7), windows.whole(image)):
        inside = np.zeros(size, bool)
        inside[window.at] = True
        wanted = np.argwhere(~windows.reduce_mask(~inside, reduced))
        found = windows.reduce_window(window, image, reduced)
        assert (wanted.min(axis=0) == (found.top, found.left)).all()
        ends = found.top + found.height - 1, found.left + found.width - 1
        assert (wanted.max(axis=0) == ends).all()


def test_decoding_alone_is_decoding(tmp_path):
    """Images of 8 bits are as everywhere else."""
    image = noise(12, 9, 3)
    answer = opened(opener(3), Session(), image)
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    np.testing.assert_array_equal(answer.arrays["preview"], decode(path))
