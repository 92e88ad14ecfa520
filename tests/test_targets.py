"""Images to be completed: read with their masks, reduced, and put together again."""

import zlib

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.inpaint.composites import restored
from gan_jax.apps.inpaint.masked_images import (
    MaskedImage,
    masker,
    read_files,
    with_holes,
)
from gan_jax.apps.inpaint.placement import Placement, reduced
from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import holes
from gan_jax.data.user_images import list_masked, user_images


def files(images, masks, size, channels):
    named = user_images(images)
    if isinstance(masks, str):
        masks = list_masked([file.path for file in named], images, masks)
    return read_files(named, masker(masks, Size(size, size), channels))


def square(image, known, size):
    """The largest central square of an image, under a prior of a size."""
    placement = Placement("square", Size(size, size), 0, frozenset())
    (placed,) = placement.lay(MaskedImage("x", "x", image, known))
    return placed


def seen(placed, size):
    return reduced(placed, Size(size, size))


def write(path, array):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def picture(height, width, channels=0, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def hole(height, width, place=np.s_[8:16, 8:16]):
    mask = np.full((height, width), 255, np.uint8)
    mask[place] = 0
    return mask


def test_files_come_with_the_masks_of_their_names(tmp_path):
    for name, size in (("b", (28, 28)), ("a", (40, 30))):
        write(tmp_path / "images" / f"{name}.png", picture(*size))
        write(tmp_path / "masks" / f"{name}.png", hole(*size, np.s_[10:20, 5:9]))
    found, skipped = files(str(tmp_path / "images"), str(tmp_path / "masks"), 28, 1)
    assert [target.name for target in found] == ["a", "b"] and not skipped
    assert found[0].image.shape == (40, 30, 1)
    assert (~found[0].known).sum() == 40 and not found[0].known[10:20, 5:9].any()


def test_every_input_that_cannot_be_completed_is_told_in_a_line(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    whole = picture(28, 28)
    for name, image, mask in (
        ("good", whole, hole(28, 28)),
        ("other_size", whole, hole(28, 30)),
        ("black", whole, hole(28, 28, np.s_[:])),
        ("colour", picture(28, 28, 3), hole(28, 28)),
        ("no_mask", whole, None),
    ):
        write(images / f"{name}.png", image)
        if mask is not None:
            write(masks / f"{name}.png", mask)
    (images / "broken.png").write_bytes(b"no image")
    write(images / "two_masks.png", whole)
    for suffix in ("png", "bmp"):
        write(masks / f"two_masks.{suffix}", hole(28, 28))
    write(images / "bad_mask.png", whole)
    (masks / "bad_mask.png").write_bytes(b"")
    found, skipped = files(str(images), str(masks), 28, 1)
    assert [target.name for target in found] == ["good"]
    reasons = {path.rpartition("/")[2][:-4]: reason for path, reason in skipped}
    for name, says in {
        "other_size": "its mask: it is 28x30, the image 28x28",
        "black": "nothing is known",
        "colour": "it is in colour, and the prior knows grey images",
        "no_mask": "no mask has its name",
        "broken": "not an image",
        "two_masks": "several masks have its name",
        "bad_mask": "its mask: the file is empty",
    }.items():
        assert says in reasons.pop(name) and "\n" not in says
    assert not reasons


def test_a_grey_image_in_colour_is_grey(tmp_path):
    """As photographs of grey things and screenshots are saved."""
    grey = picture(28, 28, 1)
    write(tmp_path / "images" / "a.png", np.repeat(grey, 3, axis=-1))
    write(tmp_path / "masks" / "a.png", hole(28, 28, np.s_[10:20, 5:9]))
    (found,), skipped = files(str(tmp_path / "images"), str(tmp_path / "masks"), 28, 1)
    np.testing.assert_array_equal(found.image, grey)
    assert not skipped


def test_images_without_a_hole_are_set_apart():
    image, known = picture(28, 28, 1), hole(28, 28) > 0
    given = [
        MaskedImage("holed", "a", image, known),
        MaskedImage("white", "b", image, known | True),
    ]
    (holed,), (skipped,) = with_holes(given)
    assert holed.name == "holed" and skipped.path == "b"
    assert "nothing is missing" in skipped.reason


def test_a_hole_by_name_lies_in_what_the_prior_sees(tmp_path):
    write(tmp_path / "images" / "wide.png", picture(20, 50))
    (target,), _ = files(str(tmp_path / "images"), holes.centre, 20, 1)
    missing = np.argwhere(~target.known)
    assert missing.min(axis=0).tolist() == [5, 20]
    assert missing.max(axis=0).tolist() == [14, 29]


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no such folder"):
        files(str(tmp_path / "none"), holes.centre, 20, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image files"):
        files(str(tmp_path / "empty"), holes.centre, 20, 1)


@pytest.mark.parametrize(("side", "size"), [(28, 32), (32, 28), (28, 28), (64, 28)])
def test_a_completion_lies_where_the_image_was(side, size):
    rows = np.linspace(20, 220, side)[:, None] + np.linspace(0, 30, side)
    image = np.rint(rows).astype(np.uint8)[..., None]
    known = np.ones((side, side), bool)
    known[5:9, 6:12] = False
    target = square(image, known, size)
    small = seen(target, size).image
    # What the prior would see without a hole comes back as it was.
    truth = seen(target, size).truth
    assert small.shape == truth.shape == (size, size, 1)
    whole = restored([target], [np.rint((truth + 1) * 127.5).astype(np.uint8)])
    assert np.abs(whole.astype(int) - image).max() <= 4


@pytest.mark.parametrize("shape", [(28, 28, 1), (57, 90, 3), (14, 20, 1)])
def test_known_pixels_come_back_to_the_bit_at_any_size(shape):
    image = picture(*shape)
    known = np.ones(shape[:2], bool)
    known[3:9, shape[1] // 2 - 4 : shape[1] // 2 + 3] = False
    target = square(image, known, 28)
    small, mask, _ = seen(target, 28)
    assert small.shape == (28, 28, shape[2]) and mask.shape == (28, 28, 1)
    assert small.min() >= -1 and small.max() <= 1 and 0 < mask.mean() < 1
    painted = np.full((28, 28, shape[2]), 200, np.uint8)
    whole = restored([target], [painted])
    np.testing.assert_array_equal(whole[known], image[known])
    assert (whole[~known] == 200).all()


def test_what_is_pasted_is_blended_at_the_images_size():
    rows = np.linspace(60, 160, 56)[:, None] + np.linspace(0, 40, 56)
    image = np.rint(rows).astype(np.uint8)[..., None]
    known = np.ones((56, 56), bool)
    known[20:36, 20:36] = False
    target = square(image, known, 28)
    small = seen(target, 28).truth
    # The same slopes, 50 levels too bright.
    pasted = np.rint((small + 1) * 127.5 + 50).astype(np.uint8)
    edge = np.s_[20:36, 20]
    rough, smooth = (
        np.abs(
            restored([target], [pasted], blend)[edge].astype(int) - image[edge]
        ).max()
        for blend in (False, True)
    )
    assert rough > 40 and smooth < 4
    whole = restored([target], [pasted], True)
    np.testing.assert_array_equal(whole[known], image[known])


def test_a_hole_does_not_shine_through_where_sizes_change():
    image = np.full((56, 56, 1), 100, np.uint8)
    known = np.ones((56, 56), bool)
    known[20:36, 20:36] = False
    image[~known] = 255
    small, mask, truth = seen(square(image, known, 28), 28)
    np.testing.assert_allclose(small, 100 / 127.5 - 1, atol=1e-6)
    assert (mask[10:18, 10:18] == 0).all() and mask.sum() == 28**2 - 8**2
    # The truth is what the file holds there.
    np.testing.assert_allclose(truth[12:16, 12:16], 1, atol=0.02)


@pytest.mark.parametrize("side", [5, 14, 28, 30, 32, 47, 300])
@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("name", ["center", "random:0.8", "squares:3", "pattern:0.3"])
def test_a_hole_by_name_is_cut_at_the_priors_size(tmp_path, side, size, name):
    write(tmp_path / "images" / "one.png", picture(side, side + 6))
    (cut,) = searches.holes(name)
    (target,), _ = files(str(tmp_path / "images"), cut, size, 1)
    key = jax.random.fold_in(jax.random.key(0), zlib.crc32(b"one"))
    wanted = cut(key, size, size)
    found = seen(square(target.image, target.known, size), size)
    if side >= size:
        np.testing.assert_array_equal(found.mask, wanted)
    else:  # several of the prior's pixels are one of the file's
        assert abs(found.mask.mean() - wanted.mean()) < 0.3
    assert target.known[:, :3].all() and target.known[:, -3:].all()


@pytest.mark.parametrize("side", [30, 40, 47, 300])
def test_known_pixels_are_nearly_the_truths(side):
    """What stands for a hole while sizes change is of the kind that surrounds it."""
    rows = np.sin(np.linspace(0, 6, side))[:, None] + np.cos(np.linspace(0, 5, side))
    image = np.rint(127.5 + 60 * rows).astype(np.uint8)[..., None]
    known = np.ones((side, side), bool)
    known[side // 4 : side // 2, side // 3 : side // 2] = False
    image[~known] = 0
    small, mask, _ = seen(square(image, known, 28), 28)
    image[~known] = np.rint(127.5 + 60 * rows).astype(np.uint8)[..., None][~known]
    whole = seen(square(image, known, 28), 28).truth
    assert np.abs((small - whole) * mask).max() < 0.04
