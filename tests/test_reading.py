"""What was read is said: images, classes, levels in use, and what was left out."""

import gzip
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.detect.data import _check_levels
from gan_jax.apps.train.setup import _check_classes, _check_colour, prepare
from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data.datasets.arrays import read_arrays
from gan_jax.data.datasets.folders import read_folder
from gan_jax.data.datasets.formats import recognise
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.decode import BrokenImageError, decode, decode_stored, read_header
from gan_jax.data.files import levels
from gan_jax.data.files.levels import InUse, Range, Scaling
from gan_jax.data.files.listing import list_folder, list_users_images, nothing_read
from tests.runs import smoke

SIZE = Size(12, 16)
DRAW = np.random.default_rng(0)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(image)).save(path, **options)


def deep(highest, seed=0, shape=(12, 16)):
    """16-bit levels up to the highest one, which is there."""
    image = np.random.default_rng(seed).integers(0, highest, shape, endpoint=True)
    image.flat[:2] = (0, highest)
    return image.astype(np.uint16)


def png_of_16_bits(image):
    """A PNG of RGB in 16 bits, which Pillow cannot write."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def said(dataset):
    return "\n".join(dataset.reading.lines())


# Levels


@pytest.mark.parametrize(
    ("highest", "taken"),
    [
        (1, 1),
        (15, 15),
        (255, 255),
        (1023, 1023),
        (3520, 4095),
        (16_000, 16_383),
        (20_000, 65_535),
        (65_535, 65_535),
    ],
)
def test_a_set_is_stretched_by_the_bits_that_it_uses(tmp_path, highest, taken):
    save(tmp_path / "bright.tif", deep(highest))
    dark = deep(highest // 3, seed=1)
    save(tmp_path / "dark.tif", dark)
    found = read_folder(str(tmp_path), SIZE)
    expected = np.rint(dark / taken * 255).astype(np.uint8)
    np.testing.assert_array_equal(found.train.images[1, ..., 0], expected)
    stretched = f"0:{taken} becomes 0 to 255" in said(found)
    assert stretched == (taken < 65_535)
    assert f"0 to {highest} in 2 of 16-bit TIFF" in said(found)
    lazy = read_folder(str(tmp_path), SIZE, memory_limit=0)
    np.testing.assert_array_equal(lazy.train[1].image, found.train.images[1])


def test_levels_are_chosen(tmp_path):
    image = deep(3000)
    save(tmp_path / "a.tif", image)
    full = read_folder(str(tmp_path), SIZE, levels="full")
    expected = np.rint(image / 257).astype(np.uint8)
    np.testing.assert_array_equal(full.train.images[0, ..., 0], expected)
    assert "nearly black: 3000 at most, of 65535" in said(full)
    assert "--config.data.levels=0:3000 stretches them" in said(full)
    given = read_folder(str(tmp_path), SIZE, levels="1000:2000")
    expected = np.rint((image / 1000.0 - 1).clip(0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(given.train.images[0, ..., 0], expected)
    assert "1000:2000 becomes 0 to 255" in said(given) and "clipped" in said(given)
    for wrong in ("dark", "5", "5:5", "9:1", "nan:1", "0:inf", ""):
        with pytest.raises(InputError, match=r"neither auto, full, nor two levels"):
            read_folder(str(tmp_path), SIZE, levels=wrong)


def test_kinds_of_files_have_ranges_of_their_own(tmp_path):
    save(tmp_path / "a.tif", deep(3520))
    save(tmp_path / "b.png", deep(880))
    save(tmp_path / "c.tif", deep(220).astype(np.int32))
    save(tmp_path / "d.png", deep(220).astype(np.uint8))
    found = read_folder(str(tmp_path), SIZE)
    for image, taken in zip(found.train.images, (4095, 1023, 255, 255), strict=True):
        highest = {4095: 3520, 1023: 880, 255: 220}[taken]
        assert image.max() == round(highest / taken * 255)
    entry = json.loads(json.dumps(found.reading.as_json()))["levels"]
    assert entry["16-bit TIFF"] == {"images": 1, "low": 0, "high": 3520} | {
        "taken": [0, 4095]
    }
    ranges = levels.trained_ranges({"levels": entry})
    assert ranges["32-bit TIFF"] == Range(0, 255)
    assert levels.trained_ranges({"levels": {"8-bit PNG": {"taken": "no"}}}) == {}
    assert levels.trained_ranges(None) == {}


def test_colours_of_16_bits_have_lower_bits(tmp_path):
    image = deep(1000, shape=(12, 16, 3))
    (tmp_path / "a.png").write_bytes(png_of_16_bits(image))
    found = read_folder(str(tmp_path), SIZE)
    expected = np.rint(image / 1023 * 255).astype(np.uint8)
    np.testing.assert_array_equal(found.train.images[0], expected)
    assert found.reading.colourless == 0
    whole = read_folder(str(tmp_path), SIZE, levels="full")
    np.testing.assert_array_equal(whole.train.images[0], image >> 8)


def test_dark_images_of_8_bits_stay_dark_and_two_values_do_not(tmp_path):
    save(tmp_path / "a.png", DRAW.integers(0, 13, (8, 8)).astype(np.uint8))
    found = read_folder(str(tmp_path), 8)
    assert found.train.images.max() == 12 and "nearly black: 12" in said(found)
    save(tmp_path / "a.png", np.eye(8, dtype=np.uint8))
    found = read_folder(str(tmp_path), 8)
    np.testing.assert_array_equal(found.train.images[0, ..., 0], 255 * np.eye(8))
    assert "8-bit PNG are stretched: 0:1" in said(found)


def test_auto_takes_no_smaller_range_than_the_prior():
    found = {"16-bit TIFF": InUse(3, 0, 900)}
    trained = {"16-bit TIFF": Range(0, 4095)}
    assert levels.choose("auto", found).of("16-bit TIFF") == Range(0, 1023)
    assert levels.choose("auto", found, trained).of("16-bit TIFF") == Range(0, 4095)
    assert levels.choose("full", found, trained) == Scaling()


def test_numbers_that_are_no_levels_name_the_key(tmp_path):
    image = deep(300).astype(np.int32) + 70_000
    save(tmp_path / "a.tif", image)
    with pytest.raises(BrokenImageError, match=r"70000 to 70300.*data.levels=a:b"):
        decode(tmp_path / "a.tif")
    scaling = Scaling(Range(70_000, 70_300))
    assert decode(tmp_path / "a.tif", scaling=scaling).max() == 255


def test_a_header_says_what_decoding_finds(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    save(tmp_path / "a.jpg", np.zeros((8, 20, 3), np.uint8), exif=turned)
    save(tmp_path / "b.tif", deep(9))
    save(tmp_path / "c.png", np.zeros((8, 20), np.uint8))
    Image.fromarray(np.zeros((8, 20), np.uint8)).convert("P").save(tmp_path / "d.gif")
    for file in sorted(tmp_path.iterdir()):
        decoded, header = decode_stored(file), read_header(file)
        assert (header.height, header.width, header.channels) == decoded.image.shape
        assert header.kind == decoded.stored.kind and header.pages == decoded.pages == 1
    with pytest.raises(BrokenImageError, match="does not exist"):
        read_header(tmp_path / "e.png")


# Folders


def test_a_folder_says_what_it_held(tmp_path):
    for index in range(3):
        save(
            tmp_path / "good" / f"{index}.png",
            DRAW.integers(0, 256, (8, 9, 3)).astype(np.uint8),
        )
    grey = DRAW.integers(0, 256, (8, 8, 1)).astype(np.uint8)
    save(tmp_path / "mask" / "0.png", np.repeat(grey, 3, axis=-1))
    pages = [Image.fromarray(deep(9, seed)) for seed in range(4)]
    pages[0].save(tmp_path / "mask" / "1.tif", save_all=True, append_images=pages[1:])
    (tmp_path / "mask" / "2.png").write_bytes(b"broken")
    for name in ("a.HEIC", "b.HEIC", "c.heic", "d.DNG", "scan", ".e.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"beside")
    found = read_folder(str(tmp_path), 8).reading
    assert found.shapes == {(8, 9, 3): 3, (8, 8, 3): 1, (12, 16, 1): 1}
    assert found.classes == {"": {"good": 3, "mask": 2}}
    assert found.left == {
        "not read": {".HEIC": 3, ".DNG": 1, "": 1, ".txt": 1},
        "hidden": {".png": 1},
        "unreadable": {".png": 1},
    }
    assert found.pages == 3 and found.colourless == 1
    lines = "\n".join(found.lines())
    assert "5 images (height x width): 3 of 8x9 in colour" in lines
    assert "classes: good (3), mask (2)" in lines
    assert "left 3 .HEIC, 1 .DNG, 1 without a suffix, 1 .txt: not read" in lines
    assert "stored in colour, but grey: 1 " in lines
    assert "not read: 3 pages after the first one" in lines
    json.dumps(found.as_json(), allow_nan=False)


def test_many_sizes_are_a_range():
    shapes = {(10 + side, 20 + side, 3): 1 for side in range(30)}
    (line,) = Reading(shapes).lines()
    assert line == (
        "30 images (height x width): 30 in colour, from 10 to 39 high and from 20 to "
        "49 wide"
    )
    assert Reading(shapes).as_json()["shapes"]["others"] == 22


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["a.HEIC", "b.heic"], "holds 2 .HEIC: HEIC is not read: convert it .*heif$"),
        (["a.dng", "b.txt"], "raw files of cameras are not read: convert it"),
        (["scan"], "1 without a suffix: .* name them after their format"),
        (["scans.zip"], "archives are not read: unpack it"),
        (
            ["a.txt", ".b.png"],
            r"no image files \(left 1 .txt: not read; 1 .png: ",
        ),
        ([], "holds no image files: give another folder$"),
    ],
)
def test_a_folder_without_images_says_what_it_holds(tmp_path, names, advice):
    for name in names:
        (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=advice):
        list_users_images(str(tmp_path))
    with pytest.raises(InputError):
        recognise(str(tmp_path))
    with pytest.raises(InputError, match=advice):
        read_folder(str(tmp_path), 8)
    assert nothing_read("here", list_folder(tmp_path).left).startswith("here holds")


def test_classes_that_are_left_out_are_named(tmp_path):
    for name in ("NG", "good", "mask"):
        for index in range(2):
            save(tmp_path / name / f"{index}.png", np.full((8, 8), 9 * index, np.uint8))
    config = smoke("gan", **{"data.path": tmp_path, "data.size": 8})
    config.data.without = "NG,mask"
    found = datasets.source(config.data)
    assert len(found.train) == 2
    assert "classes: good (2)" in said(found)
    assert "classes left out: NG (2), mask (2)" in said(found)


def test_data_without_files_are_described():
    config = smoke("gan")
    assert config.data.name == "digits"
    lines = said(datasets.source(config.data))
    assert "1,797 images (height x width): 1,797 of 28x28 in grey" in lines
    assert "classes: 0 (178), 1 (182)" in lines


# Arrays


@pytest.mark.parametrize("image", ["image", "images"])
@pytest.mark.parametrize("label", ["label", "labels", "y", "targets"])
def test_labels_are_found_under_their_usual_names(tmp_path, image, label):
    images = DRAW.integers(0, 256, (6, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "train.npz", **{image: images, label: np.arange(6) % 3}, ids=1)
    found = read_arrays(str(tmp_path), 8)
    assert found.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert f"images of '{image}', labels of '{label}'; not read: 'ids'" in said(found)


def test_arrays_without_labels_say_what_lies_beside(tmp_path):
    images = DRAW.integers(0, 256, (6, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "train.npz", image=images, annotation=np.arange(6))
    found = read_arrays(str(tmp_path), 8)
    assert found.train.labels is None
    assert "no labels; not read: 'annotation'" in said(found)


@pytest.mark.parametrize(
    ("images", "taken"),
    [
        (deep(3520, shape=(5, 8, 8)), Range(0, 4095)),
        (deep(255, shape=(5, 8, 8)).astype(np.int64), Range(0, 255)),
        (deep(1, shape=(5, 8, 8)).astype(bool), Range(0, 1)),
        (deep(60_000, shape=(5, 8, 8)), Range(0, 65_535)),
    ],
)
def test_whole_numbers_are_stretched_by_the_bits_in_use(tmp_path, images, taken):
    np.save(tmp_path / "train.npy", images)
    np.save(tmp_path / "test.npy", images[:1] // 2 if images.dtype != bool else images)
    found = read_arrays(str(tmp_path), 8)
    expected = np.rint(images.astype(float) / taken.high * 255)
    np.testing.assert_array_equal(found.train.images[..., 0], expected)
    assert [*found.reading.scaling.by_kind.values()] in ([taken], [])


def test_floats_beyond_one_need_a_range(tmp_path):
    images = np.linspace(0, 255, 5 * 64).reshape(5, 8, 8)
    np.save(tmp_path / "train.npy", images)
    with pytest.raises(InputError, match=r"levels from 0 to 255.*data.levels=a:b"):
        read_arrays(str(tmp_path), 8)
    found = read_arrays(str(tmp_path), 8, levels="0:255").train.images
    np.testing.assert_array_equal(found[..., 0], np.rint(images))


@pytest.mark.parametrize("value", [1.5, -1.5, np.nan, np.inf])
@pytest.mark.parametrize("choice", ["auto", "0:1"])
def test_arrays_and_files_refuse_the_same_floats(tmp_path, value, choice):
    images = np.full((5, 8, 8), 0.5, np.float32)
    images[0, 0, 0] = value
    np.save(tmp_path / "train.npy", images)
    save(tmp_path / "a.tif", images[0])
    scaling = Scaling(levels.given_range(choice))
    if choice == "auto" or np.isnan(value):
        words = "not numbers" if np.isnan(value) else f"{value}.*data.levels=a:b"
        with pytest.raises(InputError, match=words):
            read_arrays(str(tmp_path), 8, levels=choice)
        with pytest.raises(BrokenImageError, match=words):
            decode(tmp_path / "a.tif", scaling=scaling)
        return
    wanted = [255 if value > 1 else 0, 128]
    found = read_arrays(str(tmp_path), 8, levels=choice).train.images
    for image in (found[0], decode(tmp_path / "a.tif", scaling=scaling)):
        assert image[0, :2, 0].tolist() == wanted


def idx(values):
    header = bytes([0, 0, 8, values.ndim])
    header += struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


@pytest.mark.parametrize(
    "images", ["train-images.idx3-ubyte", "train-images-idx3-ubyte"]
)
@pytest.mark.parametrize(
    "labels", ["train-labels.idx1-ubyte", "train-labels-idx1-ubyte.gz"]
)
def test_idx_labels_are_found_under_either_name(tmp_path, images, labels):
    pack = gzip.compress if labels.endswith(".gz") else bytes
    pixels = DRAW.integers(0, 256, (4, 28, 28)).astype(np.uint8)
    (tmp_path / images).write_bytes(idx(pixels))
    (tmp_path / labels).write_bytes(pack(idx(np.arange(4, dtype=np.uint8))))
    found = read_arrays(str(tmp_path), 28)
    assert found.train.labels.tolist() == [0, 1, 2, 3]
    assert f"labels of {labels}" in said(found)


def test_broken_downloads_are_to_be_downloaded_again(tmp_path):
    pixels = DRAW.integers(0, 256, (40, 28, 28)).astype(np.uint8)
    packed = gzip.compress(idx(pixels))
    stream = io.BytesIO()
    np.savez(stream, image=pixels)
    page = b"\n<!DOCTYPE html><html><title>404</title></html>"
    for name, content, says in (
        (
            "train-images-idx3-ubyte.gz",
            packed[: len(packed) // 2],
            "download it again$",
        ),
        ("train-images-idx3-ubyte", idx(pixels)[:-5], "download it again$"),
        ("train-images-idx3-ubyte.gz", page, "error page is: download it again$"),
        ("train.npz", page, "error page is: download it again$"),
        ("train.npz", stream.getvalue()[:-900], "download it again, or save .*savez$"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=says) as caught:
            read_arrays(str(tmp_path / name), 28)
        assert "\n" not in str(caught.value)
        (tmp_path / name).unlink()


# Refusals before a training


def test_test_classes_that_training_lacks_are_refused(tmp_path):
    for place in ("train/cat", "train/dog", "test/cat", "test/emu", "test/elk"):
        for index in range(2):
            save(tmp_path / place / f"{index}.png", np.full((8, 8), 40, np.uint8))
    config = smoke("gan", **{"data.path": tmp_path, "data.size": 8})
    with pytest.raises(InputError, match=r"lacks \(elk, emu\).*without=elk,emu") as no:
        prepare(config, tmp_path / "run")
    assert "\n" not in str(no.value) and "data.held_out=0.1" in str(no.value)
    config.data.without = "elk,emu"
    assert _check_classes(datasets.source(config.data), config.data.without) is None
    config.data.without, config.data.held_out = "", 0.1
    assert _check_classes(datasets.source(config.data), "") is None


def test_a_colorizer_needs_colour(tmp_path):
    for index in range(4):
        grey = DRAW.integers(0, 256, (8, 8, 1)).astype(np.uint8)
        save(tmp_path / f"{index}.png", np.repeat(grey, 3, axis=-1))
    config = smoke("colorize", **{"data.path": tmp_path, "data.size": 32})
    with pytest.raises(InputError, match="learns from colour images, and these of"):
        prepare(config, tmp_path / "run")
    save(tmp_path / "9.png", DRAW.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    found = datasets.source(config.data)
    assert _check_colour(found) is None and found.reading.colourless == 4


def test_anomalies_are_stretched_as_normal_images_are(tmp_path):
    save(tmp_path / "normal" / "a.tif", deep(3520))
    save(tmp_path / "dark" / "a.tif", deep(900))
    normal, dark = (
        read_folder(str(tmp_path / name), 8).reading for name in ("normal", "dark")
    )
    with pytest.raises(InputError, match=r"0:1023 .* 0:4095 .*data.levels=0:4095$"):
        _check_levels("dark", dark, normal)
    assert _check_levels("normal", normal, normal) is None


def test_a_choice_of_levels_is_checked_for_any_data():
    config = smoke("gan")
    config.data.levels = "bright"
    with pytest.raises(InputError, match="'bright' is neither auto, full"):
        datasets.source(config.data)
