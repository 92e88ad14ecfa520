"""Masks in files: every form of black and white, what is none, and whose they are."""

import io
import unicodedata

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gan_jax.apps.generate.sets import known_files
from gan_jax.apps.inpaint import missing
from gan_jax.apps.inpaint.masked_images import (
    MaskedImage,
    masker,
    named_holes,
    read_files,
)
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import holes, masks
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.files.listing import list_users_images
from gan_jax.data.files.mask_names import pair
from gan_jax.data.grids.known import read_known
from gan_jax.data.mask_files import read_mask
from gan_jax.data.user_images import list_masked, user_images

SHAPE = (30, 40)


def hole():
    """Known pixels with a hole that no symmetry hides."""
    known = np.ones(SHAPE, bool)
    known[4:11, 6:20] = False
    return known


def photograph():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)


def file_of(image, form="png", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def levels(known, white=255, kind=np.uint8):
    return np.where(known, white, 0).astype(kind)


def coloured(known, black, white):
    known = np.repeat(known[..., None], 3, axis=-1)
    return np.where(known, white, black).astype(np.uint8)


def with_alpha(colours, opaque):
    return np.dstack([colours, levels(opaque)])


def palette(known, colours):
    """The known pixels have the second colour."""
    image = Image.fromarray(known.astype(np.uint8))
    image.putpalette([level for colour in colours for level in colour])
    return image


def smooth():
    """A mask whose edges are smoothed: 28 grey pixels of 1,200."""
    mask = levels(K)
    mask[3, 6:20], mask[11, 6:20] = 180, 70
    return mask


K = hole()
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
FORMS = {
    "grey": file_of(levels(K)),
    "one_bit": file_of(K),
    "zero_one": file_of(levels(K, 1)),
    "bmp": file_of(levels(K), "bmp"),
    "sixteen_bits": file_of(levels(K, 65535, np.uint16)),
    "levels_of_8_in_16_bits": file_of(levels(K, 255, np.uint16)),
    "zero_one_in_16_bits": file_of(levels(K, 1, np.uint16)),
    "twelve_bits": file_of(levels(K, 4095, np.uint16)),
    "signed": file_of(levels(K, 255, np.int32), "tiff"),
    "floats": file_of(levels(K, 1, np.float32), "tiff"),
    "floats_to_255": file_of(levels(K, 255, np.float32), "tiff"),
    "colour": file_of(coloured(K, 0, 255)),
    "zero_one_in_colour": file_of(coloured(K, 0, 1)),
    "opaque": file_of(with_alpha(coloured(K, 0, 255), K | True)),
    "grey_and_opaque": file_of(with_alpha(levels(K), K | True)),
    "palette": file_of(palette(K, (BLACK, WHITE))),
    "palette_from_white": file_of(palette(~K, (WHITE, BLACK))),
    "palette_of_classes": file_of(palette(K, (BLACK, (128, 0, 0)))),
    "gif": file_of(palette(K, (BLACK, WHITE)), "gif"),
    "red_on_black": file_of(coloured(K, BLACK, (255, 0, 0))),
    "red_on_white": file_of(coloured(K, (255, 0, 0), WHITE)),
    "two_greys": file_of(np.where(K, 200, 90).astype(np.uint8)),
    "jpeg": file_of(levels(K), "jpeg", quality=90),
    "smooth": file_of(smooth()),
}


@pytest.mark.parametrize("form", FORMS)
def test_black_and_white_is_understood_in_every_form(form):
    found = read_mask(FORMS[form])
    if form == "smooth":  # the grey row above is bright, the one below dark
        assert (found != K).sum() == 14 and not found[11, 6:20].any()
        return
    np.testing.assert_array_equal(found, K)
    np.testing.assert_array_equal(read_mask(FORMS[form], white_is_known=False), ~K)


@pytest.mark.parametrize(
    ("level", "known"),
    [(0, False), (1, True), (255, True), (3, False), (252, True), (128, None)],
)
def test_a_mask_of_one_level_is_black_or_white(level, known):
    content = file_of(np.full(SHAPE, level, np.uint8))
    if known is None:
        with pytest.raises(BrokenImageError, match="100% of its pixels are neither"):
            read_mask(content)
    else:
        assert (read_mask(content) == known).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [3, 20])
def test_labels_of_a_segmentation_are_no_mask(dtype, count):
    """They are dark, and were taken for black."""
    labels = np.zeros((60, 60), dtype)
    for label in range(1, count):
        labels[2 * label : 2 * label + 30, 3 * label :] = label
    with pytest.raises(BrokenImageError, match="segmentation: give a mask of black"):
        read_mask(file_of(labels))


def test_noise_of_black_and_of_white_is_none():
    noise = np.random.default_rng(0).integers(0, 6, (60, 60), np.uint8)
    assert not read_mask(file_of(noise)).any()
    noise[noise < 4] = 0
    assert read_mask(file_of(255 - noise)).all()


def marked(image, colour):
    image = image.copy()
    image[4:8, 6:16] = colour
    return image


def document():
    """Black text on white."""
    return coloured(np.random.default_rng(0).random(SHAPE) > 0.1, 0, 255)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (photograph(), "neither black nor white"),
        (photograph()[..., 0], "neither black nor white"),
        (marked(photograph(), (255, 0, 0)), "neither black nor white"),
        (marked(photograph(), WHITE), "neither black nor white"),
        (marked(document(), (255, 0, 0)), "several colours"),
        (np.linspace(0, 65535, 1200).reshape(SHAPE).astype(np.uint16), "neither"),
        (np.where(K, np.nan, 1).astype(np.float32), "not finite"),
    ],
)
def test_a_picture_is_no_mask(image, says):
    with pytest.raises(BrokenImageError, match=says):
        read_mask(file_of(image, "tiff" if image.dtype == np.float32 else "png"))


@pytest.mark.parametrize(("grey", "is_mask"), [(60, True), (61, False)])
def test_a_twentieth_of_a_mask_may_be_grey(grey, is_mask):
    mask = levels(K)
    mask.reshape(-1)[-grey:] = 128
    if is_mask:
        assert read_mask(file_of(mask))[:25].sum() == K[:25].sum()
    else:
        with pytest.raises(BrokenImageError, match="5% of its pixels"):
            read_mask(file_of(mask))


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_an_image_is_not_its_own_mask(form):
    text = document()
    content = file_of(text, form, **({"quality": 95} if form == "jpeg" else {}))
    with pytest.raises(BrokenImageError, match="is the image itself"):
        read_mask(content, image=text)
    assert read_mask(file_of(levels(K)), image=text).sum() == K.sum()
    blank = np.full((*SHAPE, 1), 255, np.uint8)
    assert read_mask(file_of(blank[..., 0]), image=blank).all()


@pytest.mark.parametrize(
    "content",
    [
        file_of(with_alpha(photograph(), K)),
        file_of(with_alpha(document(), K)),
        file_of(with_alpha(coloured(K, 0, 0), K)),
        file_of(with_alpha(coloured(K, 255, 255), K)),
        file_of(with_alpha(levels(K), K)),
        file_of(palette(K, (WHITE, BLACK)), transparency=0),
        file_of(palette(K, (BLACK, WHITE)), "gif", transparency=0),
        file_of(with_alpha(photograph(), K), "tiff"),
        file_of(with_alpha(photograph(), K), "webp", lossless=True),
    ],
)
def test_transparent_pixels_of_a_mask_are_missing(content):
    np.testing.assert_array_equal(read_mask(content, image=document()), K)


def test_black_and_transparent_pixels_are_missing_together():
    transparent = np.roll(K, 15, axis=0)
    content = file_of(with_alpha(coloured(K, 0, 255), transparent))
    np.testing.assert_array_equal(read_mask(content), K & transparent)
    np.testing.assert_array_equal(read_mask(content, False), ~K & transparent)
    # White and transparent alone: no pixel would be known.
    content = file_of(with_alpha(coloured(K, 255, 255), K))
    assert not read_mask(content, white_is_known=False).any()


def test_a_soft_eraser_leaves_no_half_known_pixels():
    layers = with_alpha(photograph(), K)
    layers[3, 6:20, 3] = 128
    layers[2, 6:20, 3] = 250
    known = K.copy()
    known[3, 6:20] = False
    np.testing.assert_array_equal(read_mask(file_of(layers)), known)


def test_a_mask_is_turned_as_its_file_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter to the left
    turned = file_of(np.rot90(levels(K)), "png", exif=exif)
    np.testing.assert_array_equal(read_mask(turned), K)
    with pytest.raises(BrokenImageError, match=r"40x30, the image 30x40.*EXIF"):
        read_mask(file_of(np.rot90(levels(K))), image=photograph())
    with pytest.raises(BrokenImageError, match=r"29x40, the image 30x40 \(height x"):
        read_mask(file_of(levels(K)[1:]), image=photograph())


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_of(levels(K)))


def pairs_of(images, place):
    files = list_users_images(str(images)).images
    return list_masked(files, str(images), str(place))


def paired(tmp_path, images="images", masks="masks"):
    """Return the names of masks by the name of their image, relative to the folder."""
    found = pairs_of(tmp_path / images, tmp_path / masks)
    return {
        unicodedata.normalize("NFC", image.relative_to(tmp_path / images).as_posix()): [
            mask.relative_to(tmp_path).as_posix() for mask in of_image
        ]
        for image, of_image in found.items()
    }


def test_masks_are_called_as_many_programs_call_them(tmp_path):
    write(
        tmp_path / "images", "a.jpg", "b.png", "c.png", "d.png", "e.png", "f_mask.png"
    )
    names = (
        "a.png",
        "b_mask.png",
        "c_mask001.png",
        "d-mask.bmp",
        "f_mask.png",
        "x.png",
    )
    write(tmp_path / "masks", *names)
    assert paired(tmp_path) == {
        "a.jpg": ["masks/a.png"],
        "b.png": ["masks/b_mask.png"],
        "c.png": ["masks/c_mask001.png"],
        "d.png": ["masks/d-mask.bmp"],
        "e.png": [],
        "f_mask.png": ["masks/f_mask.png"],
    }


def test_masks_are_found_where_their_images_are(tmp_path):
    write(tmp_path / "images", "crack/000.png", "good/000.png", "hole/001.png")
    write(tmp_path / "masks", "crack/000_mask.png", "001.png", "000.png")
    assert paired(tmp_path) == {
        "crack/000.png": ["masks/crack/000_mask.png"],
        "good/000.png": [],  # whose the flat 000.png is, nobody knows
        "hole/001.png": ["masks/001.png"],
    }


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_alike_are_alike(tmp_path, forms):
    image, mask = (unicodedata.normalize(form, "Brücke/Café") for form in forms)
    write(tmp_path / "images", f"{image}.png", "other.png")
    write(tmp_path / "masks", f"{mask}_mask.png", "other.png")
    found = paired(tmp_path)
    assert [*map(len, found.values())] == [1, 1]
    assert "Café_mask" in unicodedata.normalize("NFC", found["Brücke/Café.png"][0])


def test_images_and_masks_may_lie_together(tmp_path):
    names = ("a.png", "a_mask001.png", "b.png", "b_mask.png", "c.png", "c.jpg")
    write(tmp_path / "all", *names)
    assert paired(tmp_path, "all", "all/../all") == {
        "a.png": ["all/a_mask001.png"],
        "b.png": ["all/b_mask.png"],
        "c.png": ["all/c.png"],  # it may have transparent pixels
        "c.jpg": ["all/c.jpg"],
    }
    # Beside a copy of the images, masks are those that are called so.
    write(tmp_path / "images", "a.png", "b.png")
    assert paired(tmp_path, "images", "all") == {
        "a.png": ["all/a_mask001.png"],
        "b.png": ["all/b_mask.png"],
    }
    write(tmp_path / "in", "a.png", "b.png", "masks/a.png", "masks/b.png")
    assert paired(tmp_path, "in", "in/masks") == {
        "a.png": ["in/masks/a.png"],
        "b.png": ["in/masks/b.png"],
    }
    write(tmp_path / "out", "a.png", "images/a.png")
    assert paired(tmp_path, "out/images", "out") == {"a.png": ["out/a.png"]}


def test_one_mask_is_for_all_images(tmp_path):
    write(tmp_path / "images", "a.png", "b.png")
    write(tmp_path / "masks", "logo.png")
    for place in ("masks", "masks/logo.png"):
        assert paired(tmp_path, masks=place) == {
            "a.png": ["masks/logo.png"],
            "b.png": ["masks/logo.png"],
        }
    # A single mask with an image's name is that image's.
    write(tmp_path / "one", "b.png")
    assert paired(tmp_path, masks="one") == {"a.png": [], "b.png": ["one/b.png"]}
    write(tmp_path / "masks", "logo2.png")
    assert paired(tmp_path) == {"a.png": [], "b.png": []}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image files"):
        paired(tmp_path, masks="empty")


def test_a_path_that_is_not_there_is_called_that(tmp_path):
    write(tmp_path, "logo.png")
    for path in (tmp_path, tmp_path / "logo.png"):
        assert named_holes(str(path)) == {str(path): None}
    for path in ("mask", str(tmp_path / "logo"), "~/no/such,folder", "m" * 300):
        with pytest.raises(InputError, match=r"no such folder or file.*known: none,"):
            named_holes(path)
    with pytest.raises(InputError, match="did you mean center"):
        named_holes("centre")


def masked(tmp_path, images, hole, white_is_known=True):
    for name, image in images.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file_of(image))
    pairs = hole
    if isinstance(hole, str):
        pairs = pairs_of(tmp_path / "images", tmp_path / hole)
    mask = masker(pairs, Size(30, 30), 3, white_is_known=white_is_known)
    found, skipped = read_files(user_images(str(tmp_path / "images")), mask)
    return {each.name: each for each in found}, {
        path.rpartition("/")[2]: reason for path, reason in skipped
    }


def test_transparent_pixels_of_an_image_are_missing(tmp_path):
    erased = with_alpha(photograph(), K)
    images = {"erased.png": erased, "whole.png": photograph()}
    for cut in (holes.none, holes.centre):  # the image brings its own hole
        found, _ = masked(tmp_path, images, cut)
        np.testing.assert_array_equal(found["erased"].known, K)
        assert found["whole"].has_truth and not found["erased"].has_truth
        assert found["erased"].missing == pytest.approx(98 / 1200)
        np.testing.assert_array_equal(found["erased"].image[K], photograph()[K])
    # With masks both are missing; one that has none is completed all the same.
    other = np.roll(K, 12, axis=0)
    write(tmp_path / "masks", "unused.png", "unused2.png")
    found, skipped = masked(tmp_path, images, "masks")
    np.testing.assert_array_equal(found["erased"].known, K)
    assert skipped == {"whole.png": "no mask has its name"}
    (tmp_path / "masks" / "erased.png").write_bytes(file_of(levels(other)))
    found, _ = masked(tmp_path, images, "masks")
    np.testing.assert_array_equal(found["erased"].known, K & other)
    # An image may be named as its own mask.
    found, skipped = masked(tmp_path, images, "images")
    np.testing.assert_array_equal(found["erased"].known, K)
    assert "its mask: it is the image itself" in skipped["whole.png"]


def test_white_may_be_missing(tmp_path):
    square = np.s_[:, 5:35]
    write(tmp_path / "masks", "a.png")
    (tmp_path / "masks" / "a.png").write_bytes(file_of(levels(K)[square]))
    images = {"a.png": photograph()[square]}
    found, _ = masked(tmp_path, images, "masks", white_is_known=False)
    np.testing.assert_array_equal(found["a"].known, ~K[square])
    assert not found["a"].has_truth


@pytest.mark.parametrize(
    ("white", "shares", "names", "says"),
    [
        ("known", [0.93, 0.93], ["masks"], "masks_white=missing"),
        ("known", [0.93, 0.6, 0.1], ["masks"], "2 of 3 images"),
        ("known", [0.93], ["masks"], "most pixels of the image"),
        ("known", [0.07, 0.07], ["masks"], ""),
        ("known", [0.07, 0.9], ["masks"], ""),
        ("known", [0.3], ["masks", "photo_mask001"], "photo_mask001"),
        ("known", [0.3], ["masks", "photo_mask"], ""),
        ("known", [0.3], ["Objects-to-remove"], "masks_white=missing"),
        ("known", [0.3], ["holes"], "the name holes"),
        ("known", [0.3], ["whole_masks", "Lamar"], ""),
        ("missing", [0.3], ["holes", "a_mask001"], ""),
        ("missing", [0.3], ["valid_pixels"], "masks_white=known"),
        ("missing", [0.9], ["holes"], "masks_white=known"),
        ("known", [], [], ""),
    ],
)
def test_masks_that_may_mean_the_opposite_are_warned_of(white, shares, names, says):
    found = missing.doubt(white, shares, names)
    assert says in found and bool(says) == bool(found)


def test_what_is_missing_is_said_and_shown(capsys):
    images = [
        MaskedImage(f"{n}", f"images/{n}.png", photograph(), K) for n in range(60)
    ]
    missing.say_missing(images)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "images/0.png: 8.17% missing" and len(lines) == 51
    assert "60 images" in lines[-1]
    small = MaskedImage(
        "wide", "wide", np.full((9, 400, 1), 80, np.uint8), K[:1] | True
    )
    thin = np.ones((9, 400), bool)
    thin[5] = False  # a line that reducing would lose
    small = small._replace(known=thin)
    for shown in ([images[0]], [images[0], small]):
        plate = missing.missing_plate(shown).astype(int)
        red = plate[..., 0] - plate[..., 1:].max(axis=-1) > 60
        assert red.any()
    alone = missing.missing_plate([small]).astype(int)
    red = alone[..., 0] - alone[..., 1:].max(axis=-1) > 60
    assert 100 < red.any(axis=0).sum() < 300  # one of two columns, all along


def test_a_pattern_is_read_as_any_mask(tmp_path):
    path = tmp_path / "pattern.png"
    for mask in (
        levels(K, 1),
        levels(K, 65535, np.uint16),
        with_alpha(photograph(), K),
    ):
        path.write_bytes(file_of(mask))
        np.testing.assert_array_equal(masks.pattern(str(path), Size(*SHAPE)), K)
    path.write_bytes(file_of(photograph()))
    with pytest.raises(InputError, match=r"mask.pattern .*neither black nor white"):
        masks.pattern(str(path), Size(*SHAPE))


def test_pairing_reads_no_file(tmp_path):
    images = [tmp_path / f"{name}.png" for name in "ab"]
    found = pair(images, tmp_path, [tmp_path / "a_mask.png"], tmp_path)
    assert found == {images[0]: [images[0]], images[1]: [images[1]]}


def test_some_masks_are_read_to_see_what_they_mean(tmp_path):
    for folder, names in (("images", "0123456789"), ("masks", "0123456789")):
        write(tmp_path / folder, *(f"{name}.png" for name in names))
    for name in "13579":  # three of them are no masks, which their images' rows say
        path = tmp_path / "masks" / f"{name}.png"
        path.write_bytes(file_of(photograph() if name > "3" else levels(~K)))
    config = ConfigDict({"masks": str(tmp_path / "masks"), "masks_white": "known"})
    files = pairs_of(tmp_path / "images", config.masks)
    assert not missing.doubt_files(config, files)
    config.masks_white = "missing"
    assert "5 of 7 images" in missing.doubt_files(config, files)
    assert "--config.masks_white=known" in missing.doubt_files(config, files)
    assert not missing.doubt_files(config, dict.fromkeys(files, ()))
    config.masks_white = "white"
    with pytest.raises(InputError, match="known: known, missing"):
        missing.doubt_files(config, files)
    config.update({"masks": str(tmp_path / "to_erase.png"), "masks_white": "known"})
    write(tmp_path, "to_erase.png")
    files = pairs_of(tmp_path / "images", config.masks)
    assert "the name to_erase" in missing.doubt_files(config, files)
    # Of transparent pixels there is no doubt.
    erased = file_of(with_alpha(photograph(), K))
    (tmp_path / "to_erase.png").write_bytes(erased)
    assert not missing.doubt_files(config, files)


def test_known_values_have_masks_of_the_same_names(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Düne")
    names = ("Düne.png", f"{decomposed}_mask.png", "b.png", "B_mask.png", "c.png")
    write(tmp_path, *names, "d/b.png", "d/b_mask001.png")
    found = {file.path.name: file.mask for file in known_files(str(tmp_path))}
    assert found["Düne.png"] == tmp_path / f"{decomposed}_mask.png"
    assert found["b.png"] == tmp_path / "d" / "b_mask001.png"
    assert {*found} == {"Düne.png", "b.png", "B_mask.png", "c.png"}


def test_opaque_pixels_of_an_image_are_known_values(tmp_path):
    path = tmp_path / "erased.png"
    path.write_bytes(file_of(with_alpha(photograph(), K)))
    grid = read_known(path)
    np.testing.assert_array_equal(grid.mask, K)
    np.testing.assert_array_equal(grid.values[K], photograph()[K])
    other = np.roll(K, 12, axis=0)
    (tmp_path / "mask.png").write_bytes(file_of(levels(other)))
    np.testing.assert_array_equal(
        read_known(path, tmp_path / "mask.png").mask, K & other
    )
    (tmp_path / "mask.png").write_bytes(file_of(photograph()))
    with pytest.raises(InputError, match=r"its mask: .*neither black nor white"):
        read_known(path, tmp_path / "mask.png")
