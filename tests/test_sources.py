"""Every source gives what its files hold, and broken files give a reason."""

import gzip
import io
import json
import os
import shlex
import shutil
import struct
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.data.datasets import dataset, tfds
from gan_jax.data.datasets.arrays import read_arrays
from gan_jax.data.datasets.dataset import (
    ArraySource,
    LazySource,
    Source,
    fingerprint,
    in_memory,
    select,
)
from gan_jax.data.datasets.embedded import digits, photos
from gan_jax.data.datasets.folders import read_folder
from gan_jax.data.datasets.formats import recognise
from gan_jax.data.datasets.prepared_sets import prepared_sets
from gan_jax.data.datasets.tfds import read_tfds
from gan_jax.data.decode import BrokenImageError, crop_and_resize, decode
from gan_jax.data.files import pillow
from tests.runs import smoke

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)


def noise(*shape, seed=0, highest=255):
    draw = np.random.default_rng(seed)
    return draw.integers(0, highest + 1, shape).astype(np.uint8)


def encoded(image, form="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def one_line(caught):
    message = str(caught.value)
    assert message and "\n" not in message
    return message


# Decoding


def test_grey_and_colour_are_decoded_exactly():
    grey, colour = noise(5, 7), noise(5, 7, 3)
    np.testing.assert_array_equal(decode(encoded(grey))[..., 0], grey)
    np.testing.assert_array_equal(decode(encoded(colour)), colour)


def test_sixteen_bits_are_divided_by_257():
    levels = np.array([[0, 128, 129, 257, 65535, 32896]], np.uint16)
    for form in ("PNG", "TIFF"):
        found = decode(encoded(levels, form))
        assert found[..., 0].tolist() == [[0, 0, 1, 1, 255, 128]]
    pgm = b"P5 2 1 65535 " + np.array([65535, 257 * 7], ">u2").tobytes()
    assert decode(pgm)[..., 0].tolist() == [[255, 7]]


def test_floating_point_levels_are_fractions_of_one():
    assert decode(encoded(np.array([[0, 0.5, 1]], np.float32), "TIFF")).ravel().tolist()
    with pytest.raises(BrokenImageError, match="levels from 0 to 90 "):
        decode(encoded(np.array([[0, 90.0]], np.float32), "TIFF"))
    with pytest.raises(BrokenImageError, match="not numbers"):
        decode(encoded(np.array([[0, np.nan]], np.float32), "TIFF"))


def test_modes_become_grey_or_rgb():
    bits = Image.fromarray(noise(4, 4)).convert("1")
    assert set(np.unique(decode(encoded(bits)))) <= {0, 255}
    assert decode(encoded(bits)).shape == (4, 4, 1)

    colour = Image.fromarray(np.full((8, 8, 3), (200, 30, 60), np.uint8))
    cmyk = decode(encoded(colour.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - (200, 30, 60)).max() < 6
    palette = decode(encoded(colour.quantize(4)))
    np.testing.assert_array_equal(palette, np.asarray(colour))


def test_transparent_pixels_lie_on_white():
    layers = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    assert decode(encoded(layers)).tolist() == expected
    grey = Image.fromarray(layers).convert("LA")
    assert decode(encoded(grey)).tolist() == [[[18], [255], [204]]]
    named = encoded(np.array([[7, 9]], np.uint8), transparency=7)
    assert decode(named).tolist() == [[[255], [9]]]


def test_orientation_is_applied():
    image = Image.fromarray(noise(4, 6))
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned clockwise
    turned = decode(encoded(image, exif=tags))
    np.testing.assert_array_equal(turned[..., 0], np.rot90(np.asarray(image), -1))


def test_an_animation_gives_its_first_frame():
    frames = [Image.fromarray(noise(4, 4, seed=seed)) for seed in range(3)]
    raw = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(raw)[..., 0], np.asarray(frames[0]))


def png_of_size(width, height):
    """A PNG whose header is right and whose pixels are missing."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + check.to_bytes(4)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000, 2**31 - 1])
def test_many_pixels_are_refused_from_the_header(side):
    with pytest.raises(BrokenImageError, match="over the limit of 64000000") as caught:
        decode(png_of_size(side, side))
    one_line(caught)


def test_the_limit_of_pixels_is_inclusive():
    image = encoded(noise(10, 10))
    assert decode(image, pixel_limit=100).shape == (10, 10, 1)
    with pytest.raises(BrokenImageError, match="10x10 pixels are over the limit of 99"):
        decode(image, pixel_limit=99)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty"),
        (b"a text", "not an image"),
        (encoded(noise(64, 64))[:200], "broken image file"),
        (encoded(noise(64, 64), "JPEG")[:400], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_broken_content_has_a_reason(raw, says):
    with pytest.raises(BrokenImageError, match=says) as caught:
        decode(raw)
    one_line(caught)


def test_paths_that_are_no_files_have_a_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name, says in [("absent.png", "not exist"), ("pipe.png", "not a file")]:
        with pytest.raises(BrokenImageError, match=says):
            decode(tmp_path / name)
    with pytest.raises(BrokenImageError, match="not a file"):
        decode(tmp_path)
    with pytest.raises(BrokenImageError):
        decode(tmp_path / "a\0b.png")


def test_pillow_warnings_stay_inside_threads():
    # As bomb-sized as Pillow warns of but does not refuse, below the limit given.
    raw = png_of_size(10_000, 10_000)

    def attempt(_):
        with pytest.raises(BrokenImageError):
            decode(raw, pixel_limit=10**9 // 11)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(attempt, range(40)))


def mutated(raw, draw):
    raw = bytearray(raw)
    kind = draw.integers(4)
    if kind == 0:
        return bytes(raw[: draw.integers(len(raw))])
    if kind == 1:
        start = int(draw.integers(len(raw)))
        del raw[start : start + int(draw.integers(1, 40))]
        return bytes(raw)
    for _ in range(int(draw.integers(1, 8))):
        # Headers are where the decisions are taken.
        end = len(raw) if kind == 2 else min(len(raw), 64)
        raw[draw.integers(end)] = draw.integers(256)
    return with_right_checks(raw) if raw[:4] == b"\x89PNG" else bytes(raw)


def with_right_checks(raw):
    """Mend the checksums of a PNG, so that what lies behind them is reached."""
    at = 8
    while at + 12 <= len(raw):
        end = at + 8 + int.from_bytes(raw[at : at + 4])
        if end + 4 > len(raw):
            break
        raw[end : end + 4] = zlib.crc32(raw[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(raw)


def fuzz(count, seed):
    draw = np.random.default_rng(seed)
    colour = Image.fromarray(noise(24, 20, 3))
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010E] = "words"
    originals = [
        encoded(colour, exif=tags),
        encoded(colour.quantize(16), transparency=3),
        encoded(noise(16, 16).astype(np.uint16) * 200),
        encoded(colour, "JPEG", exif=tags),
        encoded(colour, "JPEG", progressive=True),
        encoded(colour, "GIF"),
        encoded(colour, "TIFF", compression="tiff_lzw"),
        encoded(colour, "BMP"),
        encoded(colour, "WEBP"),
        encoded(colour, "DDS"),
        encoded(colour, "SGI"),
        encoded(colour, "PCX"),
        encoded(colour, "TGA"),
        encoded(colour, "JPEG2000"),
    ]
    outcomes = {"decoded": 0, "refused": 0}
    for index in range(count):
        raw = mutated(originals[index % len(originals)], draw)
        try:
            image = decode(raw, pixel_limit=100_000)
        except BrokenImageError as error:
            outcomes["refused"] += 1
            assert str(error).isprintable() and len(str(error)) < 200
        else:
            outcomes["decoded"] += 1
            assert image.dtype == np.uint8 and image.shape[2] in (1, 3)
    assert min(outcomes.values()) > count // 10, outcomes


def test_mutated_files_give_an_image_or_a_reason():
    fuzz(500, seed=0)


@pytest.mark.slow
def test_many_mutated_files_give_an_image_or_a_reason():
    fuzz(5_000, seed=1)


# Fitting


def test_an_image_of_the_size_is_untouched():
    image = noise(16, 16, 3)
    np.testing.assert_array_equal(crop_and_resize(image, 16), image)


def test_the_centre_is_cropped_first():
    image = noise(10, 14, 1)
    np.testing.assert_array_equal(crop_and_resize(image, 10), image[:, 2:12])
    np.testing.assert_array_equal(crop_and_resize(image, 4, crop=4), image[3:7, 5:9])
    with pytest.raises(BrokenImageError, match="14x10 is smaller than the crop of 11"):
        crop_and_resize(image, 4, crop=11)
    for size, crop in [(0, 0), (-1, 0), (4, -1)]:
        with pytest.raises(InputError, match=r"data\.(size|crop)"):
            crop_and_resize(image, size, crop)


def test_28_pixels_are_padded_to_32_with_their_border():
    image = noise(28, 28, 1)
    padded = crop_and_resize(image, 32)
    np.testing.assert_array_equal(padded[2:30, 2:30], image)
    np.testing.assert_array_equal(padded[0, 2:30], image[0])
    np.testing.assert_array_equal(padded[2:30, 31], image[:, 27])


def test_resizing_does_not_alias():
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 255
    small = crop_and_resize(stripes, 16).astype(int)
    assert np.abs(small[:, 2:-2] - 127.5).max() < 8
    assert crop_and_resize(noise(8, 8, 3), 20).shape == (20, 20, 3)


# What all sources share


def lazy(source):
    return LazySource(
        source.name,
        source.shape,
        len(source),
        lambda indices: [source[index] for index in indices],
        source.classes,
    )


def labelled(count=600, size=3):
    labels = np.arange(count) % 3
    return ArraySource("x", noise(count, size, size, 1), labels, ("a", "b", "c"))


def test_lazy_and_in_memory_are_the_same():
    source = labelled()
    other = lazy(source)
    assert isinstance(source, Source) and isinstance(other, Source)
    assert in_memory(source) is source
    loaded = in_memory(other)
    np.testing.assert_array_equal(loaded.images, source.images)
    np.testing.assert_array_equal(loaded.labels, source.labels)
    assert loaded.labels.dtype == np.int32
    assert fingerprint(source) == fingerprint(other) == fingerprint(loaded)


def test_a_source_is_indexed_as_a_sequence_is():
    for source in (labelled(), lazy(labelled())):
        assert source[-1].label == source[599].label
        with pytest.raises(IndexError):
            source[600]
        assert len(list(iter(source[index] for index in range(len(source))))) == 600


def test_select_takes_a_subset_in_order():
    source = labelled()
    indices = np.array([5, 2, 599, 2])
    for whole in (source, lazy(source)):
        part = select(select(whole, np.arange(600)[::-1]), 599 - indices)
        assert isinstance(part, type(whole)) and len(part) == 4
        np.testing.assert_array_equal(in_memory(part).images, source.images[indices])
        np.testing.assert_array_equal(in_memory(part).labels, indices % 3)
        assert part.classes == source.classes
        assert part[-1].label == 2
        with pytest.raises(IndexError):
            part[4]


def test_the_fingerprint_sees_shape_images_labels_and_order():
    source = labelled(12)
    changed = source.images.copy()
    changed[7, 1, 1] ^= 1
    others = [
        source,
        ArraySource("x", changed, source.labels, source.classes),
        ArraySource("x", source.images, source.labels[::-1], source.classes),
        ArraySource("x", source.images),
        ArraySource("x", source.images.reshape(12, 9, 1, 1), source.labels),
        select(source, np.arange(11)),
        select(source, np.arange(12)[::-1]),
    ]
    assert len({fingerprint(other) for other in others}) == len(others)
    assert fingerprint(source) == fingerprint(labelled(12))


def test_large_images_are_read_fewer_at_a_time(monkeypatch):
    monkeypatch.setattr(dataset, "_CHUNK_BYTES", 30)
    source, counts = labelled(20), []

    def read(indices):
        counts.append(len(indices))
        return [source[index] for index in indices]

    other = LazySource("x", source.shape, 20, read, source.classes)
    assert fingerprint(other) == fingerprint(source)
    assert max(counts) == 30 // 9 and sum(counts) == 20


def test_in_memory_passes_errors_on():
    def read(indices):
        raise InputError("gone")

    with pytest.raises(InputError, match="gone"):
        in_memory(LazySource("x", (2, 2, 1), 2_000, read))


# Embedded sets


@pytest.mark.parametrize("size", [16, 28, 32, 64])
def test_digits_are_white_on_black_and_centred(size):
    train, test, *_ = digits(size)
    assert test is None and len(train) == 1797 and train.shape == (size, size, 1)
    assert len(train.classes) == 10 and train.labels[:12].tolist() == [*range(10), 0, 1]
    mean = train.images.mean(axis=(0, 3))
    border = size // 10
    assert mean[:border].max() < 2 and mean[:, -border:].max() < 2
    assert train.images.max(axis=(1, 2, 3)).min() > 200
    rows = mean.mean(axis=1)
    centre = (rows * np.arange(size)).sum() / rows.sum()
    assert abs(centre - (size - 1) / 2) < 0.5
    assert fingerprint(train) == fingerprint(digits(size).train)


def test_digits_at_32_are_those_at_28_padded():
    small, large = digits(28).train.images, digits(32).train.images
    np.testing.assert_array_equal(large[:, 2:30, 2:30], small)


def test_digits_need_some_pixels():
    with pytest.raises(InputError, match="too small"):
        digits(4)


def test_photos_never_overlap_and_stay_the_same():
    train, test, *_ = photos(64, 50)
    assert train.shape == (64, 64, 3) and (len(train), len(test)) == (50, 10)
    assert train.labels is None and train.classes == ()
    assert train.images.std(axis=(1, 2)).mean(axis=1).min() > 15
    assert fingerprint(train) == fingerprint(photos(64, 50).train)
    assert photos(200, 3).train.shape == (200, 200, 3)
    assert len(photos(16, 3).test) == 1
    with pytest.raises(InputError):
        photos(64, 0)


# Folders


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)


def test_a_folder_of_grey_images_is_grey(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png", noise(8, 8, seed=index))
    save(tmp_path / "3.png", noise(8, 8).astype(np.uint16) * 257)
    train, test, *_ = read_folder(str(tmp_path), 8)
    assert test is None and train.shape == (8, 8, 1) and train.name == tmp_path.name
    assert isinstance(train, ArraySource) and train.labels is None
    np.testing.assert_array_equal(train.images[1, ..., 0], noise(8, 8, seed=1))
    np.testing.assert_array_equal(train.images[3, ..., 0], noise(8, 8))


def test_one_colour_image_makes_all_rgb(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "b.bmp", noise(8, 8, 3))
    for limit in (10**6, 1):
        train, _, *_ = read_folder(str(tmp_path), 8, memory_limit=limit)
        assert isinstance(train, ArraySource if limit > 1 else LazySource)
        assert train.shape == (8, 8, 3)
        np.testing.assert_array_equal(train[0].image, np.dstack([noise(8, 8)] * 3))


def test_sub_folders_are_classes(tmp_path):
    for index, name in enumerate(["dog", "cat", "dog/puppies", "emu"]):
        save(tmp_path / name / f"{index}.png", noise(8, 8, seed=index))
    train, _, *_ = read_folder(str(tmp_path), 8)
    assert train.classes == ("cat", "dog", "emu")
    assert train.labels.tolist() == [0, 1, 1, 2]
    save(tmp_path / "beside.png", noise(8, 8))
    assert read_folder(str(tmp_path), 8).train.labels is None


def test_folders_around_all_images_are_no_class(tmp_path):
    save(tmp_path / "images" / "all" / "a.png", noise(8, 8))
    save(tmp_path / "images" / "all" / "b.png", noise(8, 8))
    train, _, *_ = read_folder(str(tmp_path), 8)
    assert train.classes == () and train.labels is None and len(train) == 2


@pytest.mark.parametrize("name", ["test", "validation", "valid", "val"])
def test_train_and_test_folders_are_official(tmp_path, name):
    save(tmp_path / "train" / "cat" / "0.png", noise(8, 8))
    save(tmp_path / name / "cat" / "1.png", noise(8, 8))
    save(tmp_path / name / "dog" / "2.png", noise(8, 8, 3))
    if name == "test":
        save(tmp_path / "val" / "cat" / "3.png", noise(8, 8))
    (tmp_path / name / "dog" / "broken.png").write_bytes(b"")
    train, test, *_ = read_folder(str(tmp_path), 8)
    assert train.classes == test.classes == ("cat", "dog")
    assert train.labels.tolist() == [0] and test.labels.tolist() == [0, 1]
    assert train.shape == test.shape == (8, 8, 3)
    assert not train.skipped and len(test.skipped) == 1


def test_a_class_called_train_is_a_class(tmp_path):
    for name in ("car", "train"):
        save(tmp_path / name / "0.png", noise(8, 8))
    assert read_folder(str(tmp_path), 8).train.classes == ("car", "train")


def test_broken_files_are_skipped_with_a_reason(tmp_path):
    save(tmp_path / "good.jpg", noise(20, 30, 3))
    save(tmp_path / "UPPER.PNG", noise(20, 30, 3))
    save(tmp_path / "small.png", noise(4, 30, 3))
    save(tmp_path / "large.png", noise(100, 101))
    (tmp_path / "cut.jpg").write_bytes(encoded(noise(64, 64, 3), "JPEG")[:500])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    for name in ("notes.txt", ".DS_Store", "._good.jpg", "labels.csv"):
        (tmp_path / name).write_text("beside")
    train, _, *_ = read_folder(str(tmp_path), 16, crop=16, pixel_limit=10_000)
    assert len(train) == 2
    reasons = {Path(path).name: reason for path, reason in train.skipped}
    expected = {
        "cut.jpg": "runcated",
        "empty.png": "empty",
        "large.png": "101x100 pixels are over the limit of 10000",
        "lost.png": "does not exist",
        "small.png": "30x4 is smaller than the crop of 16",
        "text.png": "not an image",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name] and "\n" not in reasons[name]


def test_a_folder_without_a_usable_image_says_why(tmp_path):
    with pytest.raises(InputError, match="holds no image files"):
        read_folder(str(tmp_path), 8)
    for index in range(5):
        (tmp_path / f"{index}.png").touch()
    with pytest.raises(
        InputError, match=r"0.png: the file is empty;.*2 more"
    ) as caught:
        read_folder(str(tmp_path), 8)
    one_line(caught)
    with pytest.raises(InputError, match="does not exist"):
        read_folder(str(tmp_path / "absent"), 8)


@needs_permissions
def test_forbidden_files_and_folders_are_named(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "b.png", noise(8, 8))
    (tmp_path / "b.png").chmod(0)
    train, _, *_ = read_folder(str(tmp_path), 8)
    assert [reason for _, reason in train.skipped] == ["Permission denied"]
    (tmp_path / "inside").mkdir(0)
    with pytest.raises(InputError, match="inside cannot be read"):
        read_folder(str(tmp_path), 8)


def test_links_do_not_loop(tmp_path):
    save(tmp_path / "photographs" / "a.png", noise(8, 8))
    (tmp_path / "photographs" / "back").symlink_to(tmp_path)
    (tmp_path / "photographs" / "self.png").symlink_to("self.png")
    elsewhere = tmp_path.with_name(tmp_path.name + "_elsewhere")
    save(elsewhere / "b.png", noise(8, 8))
    (tmp_path / "linked").symlink_to(elsewhere)
    train, _, *_ = read_folder(str(tmp_path), 8)
    assert train.classes == ("linked", "photographs") and len(train) == 2
    assert len(train.skipped) == 1


def test_a_file_that_vanishes_is_named(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "b.png", noise(8, 8))
    train, _, *_ = read_folder(str(tmp_path), 8, memory_limit=0)
    (tmp_path / "b.png").unlink()
    train[0]
    with pytest.raises(InputError, match=r"b\.png can no longer be read") as caught:
        in_memory(train)
    one_line(caught)


def test_a_lazy_folder_equals_one_in_memory(tmp_path):
    for index in range(120):
        name = "ab"[index % 2]
        save(tmp_path / name / f"{index}.png", noise(9, 11, 3, seed=index))
    kept, *_ = read_folder(str(tmp_path), 8)
    again, _, *_ = read_folder(str(tmp_path), 8, memory_limit=1000)
    assert isinstance(again, LazySource)
    assert fingerprint(kept) == fingerprint(again)


@needs_data
def test_a_folder_of_faces():
    train, test, *_ = read_folder(str(DATA / "celeba_sample"), 64, crop=108)
    assert test is None and train.shape == (64, 64, 3) and len(train) == 3000
    assert train.skipped == () and train.classes == ()
    assert 40 < train.images.std() < 90


# Arrays


def test_npz_with_labels(tmp_path):
    images = noise(6, 8, 8, 3)
    np.savez(tmp_path / "train.npz", image=images, label=np.arange(6) % 2)
    np.savez(tmp_path / "test.npz", image=images[:2], label=np.array([3, -1]))
    train, test, *_ = read_arrays(str(tmp_path), 8)
    np.testing.assert_array_equal(train.images, images)
    assert train.classes == test.classes == ("0", "1", "2", "3")
    assert train.labels.tolist() == [0, 1, 0, 1, 0, 1] and test[1].label == -1
    assert train.name == tmp_path.name
    alone = read_arrays(str(tmp_path / "train.npz"), 4, crop=4)
    np.testing.assert_array_equal(alone.train.images, images[:, 2:6, 2:6])
    assert alone.test is None and alone.train.name == "train"


def test_npy_files(tmp_path):
    np.save(tmp_path / "train.npy", noise(5, 8, 8))
    train, test, *_ = read_arrays(str(tmp_path), 8)
    assert train.shape == (8, 8, 1) and train.labels is None and test is None
    np.save(tmp_path / "test.npy", noise(2, 9, 9))
    assert read_arrays(str(tmp_path), 8).test.shape == (8, 8, 1)
    assert len(read_arrays(str(tmp_path / "test.npy"), 8).train) == 2


def test_floats_are_scaled_by_one_rule(tmp_path):
    image = np.array([0, 0.5, 1, 0.2]).reshape(1, 2, 2)
    np.save(tmp_path / "train.npy", image)
    assert read_arrays(str(tmp_path), 2).train.images.ravel().tolist() == [
        0,
        128,
        255,
        51,
    ]
    np.save(tmp_path / "train.npy", (image * 2 - 1).astype(np.float32))
    np.save(tmp_path / "test.npy", image[:, :1, :1])
    signed = read_arrays(str(tmp_path), 2)
    assert signed.train.images.ravel().tolist() == [0, 128, 255, 51]
    # The test part has no negative value, but is of the same set.
    assert signed.test.images.max() == 128


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((3, 4)), "shape"),
        (np.zeros((3, 4, 4, 2)), "shape"),
        (np.zeros((3, 3, 4, 4), np.uint8), "moveaxis"),
        (np.zeros((0, 4, 4)), "shape"),
        (np.full((3, 4, 4), -1), "levels from -1 to -1"),
        (np.full((3, 4, 4), 70_000), "data.levels=a:b"),
        (np.full((3, 4, 4), 255.0), "levels from 255 to 255"),
        (np.full((3, 4, 4), np.nan), "not numbers"),
        (np.zeros((3, 4, 4), complex), "complex"),
        (np.full((3, 4, 4), "a"), "<U1"),
    ],
)
def test_other_arrays_are_refused(tmp_path, image, says):
    np.save(tmp_path / "train.npy", image)
    with pytest.raises(InputError, match=says) as caught:
        read_arrays(str(tmp_path), 4)
    assert "train.npy" in one_line(caught)


@pytest.mark.parametrize(
    "label",
    [np.zeros(2, int), np.zeros(3), np.zeros((3, 1), int), np.full(3, 10**7)],
)
def test_other_labels_are_refused(tmp_path, label):
    np.savez(tmp_path / "train.npz", image=noise(3, 4, 4), label=label)
    with pytest.raises(InputError, match="label") as caught:
        read_arrays(str(tmp_path), 4)
    one_line(caught)


def test_nothing_is_unpickled(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "train.npy", objects, allow_pickle=True)
    with pytest.raises(InputError, match="never loaded"):
        read_arrays(str(tmp_path), 4)
    (tmp_path / "train.npy").unlink()
    np.savez(tmp_path / "train.npz", image=objects, allow_pickle=True)
    with pytest.raises(InputError, match="never loaded"):
        read_arrays(str(tmp_path), 4)
    (tmp_path / "train.npz").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError, match="cannot be read"):
        read_arrays(str(tmp_path), 4)


def test_broken_array_files_have_a_reason(tmp_path):
    file = tmp_path / "train.npz"
    np.savez(file, image=noise(6, 8, 8), label=np.arange(6))
    raw = file.read_bytes()
    draw = np.random.default_rng(0)
    for _ in range(100):
        file.write_bytes(mutated(raw, draw))
        try:
            read_arrays(str(tmp_path), 8)
        except InputError as error:
            assert "\n" not in str(error) and str(file) in str(error)
    np.savez(file, pictures=noise(6, 8, 8))
    with pytest.raises(InputError, match=r"no array 'image' \(it has pictures\)"):
        read_arrays(str(tmp_path), 8)
    with pytest.raises(InputError, match="holds no"):
        read_arrays(str(tmp_path / "nothing"), 8)


def test_parts_must_have_the_same_channels(tmp_path):
    np.save(tmp_path / "train.npy", noise(5, 8, 8))
    np.save(tmp_path / "test.npy", noise(5, 8, 8, 3))
    with pytest.raises(InputError, match="channels"):
        read_arrays(str(tmp_path), 8)
    with pytest.raises(InputError, match="smaller than the crop"):
        read_arrays(str(tmp_path / "train.npy"), 8, crop=9)


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    return header + values.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path, suffix):
    pack = gzip.compress if suffix else bytes
    images, labels = noise(4, 28, 28), noise(4, highest=9)
    for stem in ("train", "t10k"):
        (tmp_path / f"{stem}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (tmp_path / f"{stem}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    assert recognise(str(tmp_path)) == "arrays"
    for part in read_arrays(str(tmp_path), 28).parts:
        np.testing.assert_array_equal(part.images[..., 0], images)
        np.testing.assert_array_equal(part.labels, labels)
    (tmp_path / f"t10k-images-idx3-ubyte{suffix}").write_bytes(idx(images)[:-1])
    with pytest.raises(InputError, match="do not fill an array"):
        read_arrays(str(tmp_path), 28)


# Prepared TFDS sets


@needs_data
def test_tfds_and_idx_hold_the_same_mnist():
    _, test, *_ = read_tfds("mnist", str(DATA / "tfds"), 28)
    train, none, *_ = read_arrays(str(DATA / "mnist_idx"), 28)
    assert none is None and len(train) == len(test) == 10_000
    loaded = in_memory(test)
    assert loaded.classes == train.classes

    def rows(source):
        return sorted(
            np.column_stack([source.labels, source.images.reshape(10_000, -1)]).tolist()
        )

    assert rows(loaded) == rows(train)  # TFDS shuffles


@needs_data
def test_a_prepared_set_is_read_without_tensorflow(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(DATA / "tfds"))
    dataset = read_tfds("fashion_mnist", "", 32)
    train, test, *_ = dataset
    assert (len(train), len(test)) == (60_000, 10_000)
    assert dataset.reading.shapes == {(28, 28, 1): 70_000}  # as stored
    assert train.shape == (32, 32, 1) and train.classes[0] == "T-shirt/top"
    part = select(test, np.arange(700))
    loaded = in_memory(part)
    assert len(np.unique(loaded.labels)) == 10
    np.testing.assert_array_equal(loaded.images[600], test[600].image)
    assert fingerprint(part) == fingerprint(loaded)
    assert "tensorflow" not in sys.modules


@needs_data
@pytest.mark.parametrize("place", ["tfds/mnist", "tfds/mnist/3.0.1"])
def test_the_directory_of_one_set_needs_no_name(place):
    assert recognise(str(DATA / place)) == "tfds"
    assert read_tfds("", str(DATA / place), 28).train.name == "mnist"


@needs_data
def test_a_missing_set_comes_with_the_command():
    for name, says in [
        ("cifar10", "tfds build cifar10 --file_format=array_record --data_dir="),
        ("cifar10", "--config.data.download=True"),
        ("cifar10", "holds fashion_mnist, mnist"),
        ("fashionmnist", "did you mean fashion_mnist"),
        ("", "holds fashion_mnist, mnist"),
    ]:
        with pytest.raises(InputError, match=says) as caught:
            read_tfds(name, str(DATA / "tfds"), 32)
        one_line(caught)
    with pytest.raises(InputError, match="no prepared set"):
        read_tfds("mnist", "/nowhere", 32)


def test_a_failed_download_is_one_line(monkeypatch, tmp_path):
    def unreachable(*_):
        raise OSError("no network")

    monkeypatch.setattr(tfds.socket, "getaddrinfo", unreachable)
    with pytest.raises(InputError, match="cannot be downloaded") as caught:
        read_tfds("mnist", str(tmp_path), 28, download=True)
    one_line(caught)


@pytest.mark.parametrize("name", ["mine", "huggingface:mnist", "somebody:mnist"])
def test_only_sets_of_tfds_itself_are_downloaded(monkeypatch, tmp_path, name):
    import tensorflow_datasets

    def unwanted(*_, **__):
        pytest.fail("it was opened")

    monkeypatch.setattr(tfds.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(tfds.socket, "getaddrinfo", lambda *_: None)
    monkeypatch.setattr(tensorflow_datasets, "builder", unwanted)
    monkeypatch.setattr(tensorflow_datasets, "builder_cls", unwanted)
    with pytest.raises(InputError, match="TFDS has no set"):
        read_tfds(name, str(tmp_path), 28, download=True)
    # Files in the place are checked before the code of TFDS looks at them.
    description = tmp_path / "mnist" / "3.0.1" / "features.json"
    description.parent.mkdir(parents=True)
    description.write_text(json.dumps({"pythonClassName": "evil.Picture"}))
    with pytest.raises(InputError, match="is refused"):
        read_tfds("mnist", str(tmp_path), 28, download=True)


def test_a_command_quotes_the_names_of_a_stranger():
    words = shlex.split(tfds._command("$(touch x);", Path("it's here")))
    assert words[-3:] == [
        *("$(touch x);", "--file_format=array_record", "--data_dir=it's here")
    ]


FOREIGN = "foreign_features.Picture"
OWN = "tensorflow_datasets.core.features.{}"


def in_protobuf(name):
    return {"pythonClassName": name, "image": {"dtype": "uint8"}}


def described(root):
    """Return the folder of a set `mine`, which lacks the description of features."""
    place = root / "mine" / "1.0.0"
    place.mkdir(parents=True)
    info = {"name": "mine", "version": "1.0.0", "fileFormat": "array_record"}
    (place / "dataset_info.json").write_text(json.dumps(info))
    return place


@pytest.mark.parametrize(
    "features",
    [
        in_protobuf(FOREIGN),
        {"python_class_name": FOREIGN, "image": {}},
        {"type": FOREIGN, "content": {}},
        {
            "pythonClassName": OWN.format("features_dict.FeaturesDict"),
            "featuresDict": {"features": {"image": in_protobuf(FOREIGN)}},
        },
        {
            "type": OWN.format("features_dict.FeaturesDict"),
            "content": {"type": {"type": FOREIGN, "content": {}}},
        },
        {
            "pythonClassName": OWN.format("features_dict.FeaturesDict"),
            "jsonFeature": {"json": json.dumps({"": {"type": FOREIGN, "content": {}}})},
        },
        {
            "type": OWN.format("sequence_feature.Sequence"),
            "proto_cls": "tensorflow_datasets.Sequence",
            "content": json.dumps({"feature": in_protobuf(FOREIGN)}),
        },
        in_protobuf("tensorflow_datasets_evil.core.features.Picture"),
        in_protobuf("tensorflow_datasets.testing.Picture"),
    ],
)
def test_a_set_that_names_a_module_runs_nothing(monkeypatch, tmp_path, features):
    ran = tmp_path / "ran"
    program = f"from pathlib import Path\nPath({str(ran)!r}).touch()"
    (tmp_path / "foreign_features.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "foreign_features", raising=False)
    place = described(tmp_path)
    (place / "features.json").write_text(json.dumps(features))
    with pytest.raises(InputError, match="is refused") as caught:
        read_tfds("mine", str(tmp_path), 28)
    one_line(caught)
    assert not ran.exists()


@pytest.mark.parametrize("text", ["[" * 10**5, '"' + "[" * 10**5 + '"', "[", "\udce9"])
def test_a_description_that_is_no_json_has_a_reason(tmp_path, text):
    place = described(tmp_path)
    (place / "features.json").write_bytes(os.fsencode(text))
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_tfds("mine", str(tmp_path), 28)
    one_line(caught)
    (place / "dataset_info.json").write_bytes(os.fsencode(text))
    assert prepared_sets(tmp_path) == []
    for wrong in ({}, {"version": 3}, {"version": ""}, []):
        (place / "dataset_info.json").write_text(json.dumps(wrong))
        assert prepared_sets(tmp_path) == []


@pytest.fixture
def copied(tmp_path):
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    shutil.copytree(DATA / "tfds" / "mnist", tmp_path / "mnist")
    return tmp_path


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "features"])
def test_a_broken_prepared_set_has_a_reason(copied, damage):
    place = copied / "mnist" / "3.0.1"
    file = place / "mnist-train.array_record-00000-of-00001"
    if damage == "missing":
        file.unlink()
    elif damage == "features":
        (place / "features.json").write_text("{}")
    else:
        raw = file.read_bytes()
        file.write_bytes(raw[: len(raw) // 2 if damage == "half" else 0])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_tfds("mnist", str(copied), 28)
    one_line(caught)


def test_other_formats_and_splits(copied):
    file = copied / "mnist" / "3.0.1" / "dataset_info.json"
    info = file.read_text()
    file.write_text(info.replace('"array_record"', '"tfrecord"'))
    with pytest.raises(InputError, match="prepared as tfrecord"):
        read_tfds("mnist", str(copied), 28)
    file.write_text(info.replace('"name": "test"', '"name": "validation"'))
    with pytest.raises(InputError, match="cannot be read"):  # its files are not there
        read_tfds("mnist", str(copied), 28)
    for shard in (copied / "mnist" / "3.0.1").glob("mnist-test*"):
        shard.rename(shard.with_name(shard.name.replace("test", "validation")))
    assert len(read_tfds("mnist", str(copied), 28).test) == 10_000


def test_a_set_without_declared_shape_or_label(copied):
    file = copied / "mnist" / "3.0.1" / "features.json"
    features = json.loads(file.read_text())
    fields = features["featuresDict"]["features"]
    fields["image"]["image"]["shape"]["dimensions"] = ["-1", "-1", "-1"]
    del fields["label"]  # still in the records, as other features of other sets are
    file.write_text(json.dumps(features))
    train, _, *_ = read_tfds("mnist", str(copied), 20, crop=20)
    assert train.shape == (20, 20, 1) and train.classes == ()
    assert (
        train[0].label == -1 and in_memory(select(train, np.arange(3))).labels is None
    )
    with pytest.raises(InputError, match="smaller than the crop of 29") as caught:
        read_tfds("mnist", str(copied), 28, crop=29)
    one_line(caught)


def test_a_set_without_images(copied):
    file = copied / "mnist" / "3.0.1" / "features.json"
    file.write_text(file.read_text().replace('"image": {', '"picture": {', 1))
    with pytest.raises(InputError, match="has no feature 'image'"):
        read_tfds("mnist", str(copied), 28)


def test_the_newest_version_is_taken(copied):
    new = copied / "mnist" / "3.0.10"
    shutil.copytree(copied / "mnist" / "3.0.1", new)
    info = (new / "dataset_info.json").read_text()
    (new / "dataset_info.json").write_text(info.replace("3.0.1", "3.0.10"))
    sets = prepared_sets(copied)
    assert len(sets) == 2
    assert tfds._newest("mnist", sets).place == new


# Recognition


def test_a_path_is_recognised(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        recognise(str(tmp_path / "absent"))
    with pytest.raises(InputError, match="holds no images"):
        recognise(str(tmp_path))
    (tmp_path / "notes.bin").write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"neither an array .* 250 250 1 \| 1 \| f"):
        recognise(str(tmp_path / "notes.bin"))
    save(tmp_path / "deep" / "er" / "a.jpeg", noise(4, 4))
    assert recognise(str(tmp_path)) == "folder"
    np.save(tmp_path / "train.npy", noise(2, 4, 4))
    assert recognise(str(tmp_path)) == "arrays"
    assert recognise(str(tmp_path / "train.npy")) == "arrays"


@needs_data
@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("tfds", "tfds"),
        ("svhn", "arrays"),
        ("cifar10/test.npz", "arrays"),
        ("mnist_idx", "arrays"),
        ("bsds500", "folder"),
    ],
)
def test_real_paths_are_recognised(place, kind):
    assert recognise(str(DATA / place)) == kind


def test_threads_decode_side_by_side(tmp_path):
    """Warnings' filters are as they were, whatever threads decode at once."""
    save(tmp_path / "a.png", noise(8, 8))
    raw = (tmp_path / "a.png").read_bytes()
    workers = [threading.Thread(target=decode, args=(raw,)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with pytest.warns(UserWarning, match="still seen"):
        warnings.warn("still seen", UserWarning, stacklevel=1)
    assert "EPS" not in pillow.formats() and ".jpeg" in pillow.image_suffixes()


@pytest.mark.parametrize(
    "name", ["digits", "photos", "channels", "training_image", "gaussians8"]
)
def test_what_is_made_here_is_foreseen(tmp_path, name):
    data = smoke("gan").data.copy_and_resolve_references()
    with data.unlocked():
        data.name, data.size = name, 8
        if name == "training_image":
            data.path = str(tmp_path / "grid.gslib")
            cells = "\n".join(map(str, np.arange(60 * 40) % 2))
            Path(data.path).write_text(f"60 40 1\n1\nfacies\n{cells}\n")
    train, test, *_ = datasets.source(data)
    count, channels = datasets.foreseen(data)
    total = len(train) + (0 if test is None else len(test))
    assert (total, train.shape[-1]) == (count, channels)
