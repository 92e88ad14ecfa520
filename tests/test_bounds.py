"""What is read: regular files, arrays that fit into memory, pixels a few at a time."""

import contextlib
import gzip
import io
import os
import struct
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_jax.apps.inpaint import composites
from gan_jax.apps.inpaint.masked_images import MaskedImage, masker, read_files
from gan_jax.apps.inpaint.placement import lay_whole
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import decode as decoding
from gan_jax.data import masks, memory, user_images
from gan_jax.data.datasets import folders
from gan_jax.data.datasets.arrays import read_arrays
from gan_jax.data.datasets.dataset import ArraySource, LazySource, in_memory
from gan_jax.data.datasets.training_images import read_crops, read_training_image
from gan_jax.data.decode import BrokenImageError, crop_and_resize, decode
from gan_jax.data.files import levels, pillow
from gan_jax.data.holes import none
from gan_jax.data.memory import PixelBudget, UnreadableFileError, open_file
from gan_jax.data.user_images import decode_files, named_files
from gan_jax.evaluation.color import (
    colourfulness,
    colourfulness_of_sums,
    opponent_sums,
)
from gan_jax.report import files
from gan_jax.runs.feature_network import read_classifier


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)


# Files


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/stdin", "/proc/kmsg", "pipe"])
def test_only_regular_files_are_opened(pipe, name):
    path = pipe.parent / name  # an absolute name stays as it is
    for read in (open_file, decode, memory.read_file):
        with pytest.raises(
            (UnreadableFileError, BrokenImageError), match=r"not a file|empty|not exist"
        ):
            read(path)


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_classifier(Path(path)),
        lambda path: masks.pattern(path, 8),
        lambda path: read_training_image(path),
        lambda path: read_arrays(path, 8),
    ],
    ids=["teacher", "pattern", "grid", "arrays"],
)
def test_every_reader_of_a_named_file_refuses_others(pipe, read):
    for path in ("/dev/zero", str(pipe)):
        with pytest.raises(InputError, match=r"not a file|holds no") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_file_over_the_limit_is_not_read(tmp_path):
    file = tmp_path / "large"
    with file.open("wb") as stream:
        stream.truncate(memory.FILE_LIMIT + 1)  # sparse
    with pytest.raises(UnreadableFileError, match="over the limit of 1073741824 bytes"):
        memory.read_file(file)
    with pytest.raises(InputError, match="over the limit"):
        read_classifier(file)
    with pytest.raises(BrokenImageError, match="over the limit"):
        decode(file)
    with pytest.raises(InputError, match="over the limit"):
        read_training_image(str(file))


# Declared sizes


def npy_header(shape, dtype="|u1"):
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def bomb(content):
    with zipfile.ZipFile(stream := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", content)
    return stream.getvalue()


IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**30, 28, 28)


@pytest.mark.parametrize(
    ("name", "content", "needed"),
    [
        ("train.npy", npy_header((12_000_000, 28, 28)), "8.8 GiB"),
        ("train.npy", npy_header((12_000_000, 28, 28), "<f8"), "70.1 GiB"),
        ("train.npz", bomb(npy_header((12_000_000, 28, 28))), "8.8 GiB"),
        ("train.npz", bomb(npy_header((1, 8, 8)) + bytes(2**27)), "0.1 GiB"),
        ("train-images-idx3-ubyte", IDX, "784.0 GiB"),
        ("train-images-idx3-ubyte.gz", gzip.compress(IDX, mtime=0), "784.0 GiB"),
    ],
)
def test_arrays_are_refused_by_the_sizes_they_declare(
    little_memory, tmp_path, name, content, needed
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} needs {needed} of memory") as caught:
        read_arrays(str(tmp_path), 28)
    assert "GiB are available: give fewer or smaller images" in str(caught.value)


def test_what_images_become_must_fit_too(little_memory, tmp_path):
    np.save(tmp_path / "train.npy", np.zeros((9, 2, 2), np.uint8))
    assert len(read_arrays(str(tmp_path), 8).train) == 9
    with pytest.raises(
        InputError, match=r"at 999x999 needs.*lower --config\.data\.size"
    ):
        read_arrays(str(tmp_path), 999)


def test_no_more_is_unpacked_than_is_declared(tmp_path):
    file = tmp_path / "train-images-idx3-ubyte.gz"
    content = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 4, 4) + bytes(2**24)
    file.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="more than 16 bytes do not fill an array"):
        read_arrays(str(tmp_path), 4)


def test_a_grid_is_refused_by_its_size(little_memory, tmp_path):
    (tmp_path / "grid.sgems").write_text("2 2\n1\nname\n" + "1\n" * 2**17)
    with pytest.raises(InputError, match=r"needs 0\.0 GiB of memory"):
        read_training_image(str(tmp_path / "grid.sgems"))


def test_what_a_set_becomes_must_fit_before_it_is_read(little_memory):
    lazy = LazySource("large", (40, 40, 1), 700, unread)
    needed = r"large: 700 images of \(40, 40, 1\) needs 0\.0 GiB.*data\.size"
    with pytest.raises(InputError, match=needed):
        in_memory(lazy)


def unread(indices):
    raise AssertionError("nothing is read")


@pytest.mark.parametrize("idx", [False, True])
def test_both_parts_must_fit_together(little_memory, tmp_path, idx):
    images = np.zeros((700, 28, 28), np.uint8)
    for part, stem in (("train", "train"), ("test", "t10k")):
        if idx:
            header = bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape)
            name = f"{stem}-images-idx3-ubyte"
            (tmp_path / name).write_bytes(header + images.tobytes())
        else:
            np.save(tmp_path / f"{part}.npy", images)
    with pytest.raises(InputError, match=r"(test\.npy|t10k.*) needs 0\.0 GiB.*fewer"):
        read_arrays(str(tmp_path), 2)


@pytest.mark.parametrize("low", [-1, 0])
def test_one_large_image_of_floats_is_scaled_in_strips(tmp_path, monkeypatch, low):
    monkeypatch.setattr(levels, "_STRIP", 2**12)
    draw = np.random.default_rng(0)
    image = draw.uniform(low, 1, (1, 1000, 1000)).astype(np.float16)
    np.save(tmp_path / "a.npy", image)
    with holding_at_most(2e6 + 1e6 + 1e6):  # as given, as levels, and some strips
        read = read_arrays(str(tmp_path / "a.npy"), 1000).train
    exact = (image.astype(np.float64) - low) / (1 - low)
    np.testing.assert_array_equal(read.images[..., 0], np.rint(exact * 255))


def test_the_crops_of_a_grid_take_no_more_than_was_checked(tmp_path):
    file = tmp_path / "grid.sgems"
    file.write_text("100 50\n1\nname\n" + "0 1 " * 2_500)
    read_crops(str(file), 32, count=10)  # what is imported counts once
    file.write_text("1000 500\n1\nname\n" + "0 1 " * 250_000)
    with holding_at_most(9 * file.stat().st_size):
        read_crops(str(file), 32, count=10)


@contextlib.contextmanager
def holding_at_most(limit):
    """Fail if more bytes than a limit are held at once inside."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= limit
    finally:
        tracemalloc.stop()


# Formats of images


def iptc(content):
    """Return a file in the format of IPTC, of 32x32 pixels, that holds another."""

    def field(record, number, value):
        return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value

    side = struct.pack(">H", 32)
    head = [(60, b"\1\0"), (20, side), (30, side), (120, b"\5")]
    fields = b"".join(field(3, *each) for each in head)
    return fields + field(8, 10, content) + bytes(5) + b"\x1c"


def icns(content):
    """Return a Mac's icon of 16x16 pixels that holds a PNG file."""
    block = b"icp4" + struct.pack(">I", 8 + len(content)) + content
    return b"icns" + struct.pack(">I", 8 + len(block)) + block


def ico(content):
    """Return an icon of 16x16 pixels that holds a PNG file."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(content), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + content


def png(width, height):
    Image.new("L", (width, height)).save(stream := io.BytesIO(), "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("container", [iptc, icns, ico])
def test_an_image_inside_of_another_is_not_decoded(container):
    with pytest.raises(BrokenImageError, match="not an image of a known format"):
        decode(container(png(50, 40)))


def test_an_image_has_the_pixels_that_its_header_states(monkeypatch):
    monkeypatch.setattr(pillow, "formats", lambda: ("IPTC",))
    with pytest.raises(BrokenImageError, match="not as many as its header states"):
        decode(iptc(png(50, 40)), pixel_limit=32**2)


def test_a_program_is_never_started(monkeypatch):
    monkeypatch.setattr("subprocess.check_call", unread)
    Image.new("L", (9, 9)).save(stream := io.BytesIO(), "EPS")
    for content in (stream.getvalue(), iptc(stream.getvalue())):
        with pytest.raises(BrokenImageError, match="not an image of a known format"):
            decode(content)


def test_a_tile_may_not_be_larger_than_an_image():
    tags = [(256, 32), (257, 32), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 9000), (323, 9000), (324, 0), (325, 0)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    with pytest.raises(BrokenImageError, match="9000x9000 pixels are over the limit"):
        decode(head + entries + bytes(4))


def test_what_becomes_of_an_image_is_at_work_too(monkeypatch):
    held = []

    class Budget(PixelBudget):
        def holding(self, pixels):
            held.append(pixels)
            return super().holding(pixels)

    monkeypatch.setattr(decoding, "AT_WORK", Budget(10))
    crop_and_resize(np.zeros((2, 2, 1), np.uint8), 50)
    assert held == [50**2]


@pytest.mark.parametrize("size, together", [(2, 7), (4, 2), (50, 1)])
def test_a_folder_is_prepared_a_few_bytes_at_a_time(
    tmp_path, monkeypatch, size, together
):
    monkeypatch.setattr(folders, "_CHUNK", 7)
    monkeypatch.setattr(folders, "_CHUNK_BYTES", 100)
    chunks = []

    class Pool(ThreadPoolExecutor):
        def map(self, function, files):
            chunks.append(len(files))
            return super().map(function, files)

    monkeypatch.setattr(folders, "threads", Pool)
    for index in range(8):
        Image.new("L", (2, 2)).save(tmp_path / f"{index}.png")
    assert len(folders.read_folder(str(tmp_path), size).train) == 8
    assert max(chunks) == together and sum(chunks) == 8


def test_a_folder_is_kept_in_memory_if_it_is_a_quarter_of_it(tmp_path, monkeypatch):
    for index in range(8):
        Image.new("L", (2, 2)).save(tmp_path / f"{index}.png")
    for memory_size, kind in ((4 * 32, ArraySource), (4 * 32 - 1, LazySource)):
        monkeypatch.setattr(folders, "available_memory", lambda size=memory_size: size)
        assert isinstance(folders.read_folder(str(tmp_path), 2).train, kind)


def test_images_that_will_not_all_be_kept_are_released(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_CHUNK", 1)
    for index in range(40):
        Image.new("L", (2, 2)).save(tmp_path / f"{index}.png")
    whole = 40 * 200**2
    with holding_at_most(whole // 2):
        dataset = folders.read_folder(str(tmp_path), 200, memory_limit=whole - 1)
    assert len(dataset.train) == 40 and isinstance(dataset.train, LazySource)


def test_folders_that_are_too_deep_are_one_line(tmp_path, monkeypatch):
    def walk(place, **options):
        yield str(place), [], ["a.png"]
        raise RecursionError

    monkeypatch.setattr(folders.os, "walk", walk)
    with pytest.raises(InputError, match="too many folders within each other"):
        list(folders.image_files(tmp_path))


# Pixels at work


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 100),
    st.lists(st.lists(st.integers(0, 150), max_size=8), min_size=1, max_size=6),
)
def test_threads_hold_no_more_pixels_than_there_are_and_all_end(most, blocks):
    budget, lock = PixelBudget(most), threading.Lock()
    held: list[int] = []
    seen: list[int] = []

    def work(block):
        for pixels in block:
            with budget.holding(pixels):
                with lock:
                    held.append(min(pixels, most))
                    seen.append(sum(held))
                with budget.holding(pixels):  # which it has already
                    pass
                with lock:
                    held.remove(min(pixels, most))

    with ThreadPoolExecutor(len(blocks)) as pool:
        jobs = [pool.submit(work, block) for block in blocks]
        for job in jobs:
            job.result(timeout=20)
    assert not held and max(seen, default=0) <= most
    assert len(seen) == sum(map(len, blocks))


def test_pixels_are_given_back_after_an_error():
    budget = PixelBudget(4)
    with pytest.raises(ValueError, match="broken"), budget.holding(4):
        raise ValueError("broken")
    with budget.holding(4):
        pass


def test_a_chunk_has_so_many_pixels_or_is_one_image(tmp_path, monkeypatch):
    monkeypatch.setattr(user_images, "PIXEL_LIMIT", 100)
    # With 6 files in a chunk up to 16 pixels are small.
    sides = (5, 5, 5, 5, 4, 5, 10, 12, 2, 5)
    paths = []
    for index, side in enumerate(sides):
        paths.append(tmp_path / f"{index}.png")
        Image.new("L", (side, side)).save(paths[-1])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = named_files([*paths, broken], tmp_path)
    chunks = list(decode_files(files, lambda file, image: image, 6))
    assert [[file.name for file in chunk.files] for chunk in chunks] == [
        ["0", "1", "2", "3", "4"],
        ["5"],
        ["6"],
        [],
        ["8", "9"],
    ]
    assert "12x12 pixels are over the limit of 100" in chunks[3].skipped[0].reason
    assert chunks[4].skipped[0].path == str(broken)


def test_images_that_do_not_fit_together_are_refused(
    little_memory, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "gan_jax.apps.inpaint.masked_images.available_memory", lambda: 2**20
    )
    for name in ("a", "b", "c"):
        Image.new("L", (500, 500)).save(tmp_path / f"{name}.png")
    paths = user_images.user_images(str(tmp_path))
    mask = masker(none, Size(8, 8), 1)
    assert len(read_files(paths[:2], mask)[0]) == 2
    with pytest.raises(InputError, match=r"3 of 3 images needs.*use python -m launch"):
        read_files(paths, mask)


# Strips


def forms(height=37, width=23):
    """Return one image in every mode that files have."""
    draw = np.random.default_rng(0)
    colour = Image.fromarray(draw.integers(0, 256, (height, width, 3), np.uint8))
    layers = colour.convert("RGBA")
    layers.putalpha(Image.fromarray(draw.integers(0, 256, (height, width), np.uint8)))
    yield colour, "PNG", {}
    yield colour.convert("L"), "PNG", {}
    yield colour.convert("1"), "PNG", {}
    yield colour.convert("CMYK"), "JPEG", {}
    yield colour.quantize(16), "PNG", {"transparency": 3}
    yield colour, "PNG", {"transparency": colour.getpixel((20, 30))}
    yield layers, "PNG", {}
    yield layers.convert("LA"), "PNG", {}
    deep = draw.integers(0, 2**16, (height, width), np.uint16)
    yield Image.fromarray(deep), "PNG", {}
    yield Image.fromarray(draw.random((height, width), np.float32)), "TIFF", {}
    turned = Image.Exif()
    turned[0x0112] = 6
    yield colour, "JPEG", {"exif": turned, "progressive": True}


def test_an_image_is_decoded_the_same_in_strips(monkeypatch):
    for image, form, options in forms():
        image.save(content := io.BytesIO(), form, **options)
        whole = decode(content.getvalue())
        with monkeypatch.context() as patch:
            patch.setattr(pillow, "_STRIP", 60)  # two rows
            np.testing.assert_array_equal(decode(content.getvalue()), whole)


def test_colourfulness_is_that_of_sums_over_parts():
    levels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    whole = colourfulness(levels[None] / np.float32(127.5) - 1)
    sums = opponent_sums(levels[:, :5]) + opponent_sums(levels[:, 5:])
    assert colourfulness_of_sums(sums, 9 * 12) == pytest.approx(whole, rel=1e-6)
    flat = np.full((2, 2, 3), 77, np.uint8)
    assert colourfulness_of_sums(opponent_sums(flat), 4) == 0


def test_large_images_are_compressed_less_and_hold_the_same(monkeypatch):
    image = np.random.default_rng(0).integers(0, 4, (40, 50, 3), np.uint8)
    best = files.encode_png(image)
    monkeypatch.setattr(files, "_SMALL", 40 * 50 - 1)
    quick = files.encode_png(image)
    assert quick != best
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(quick))), image)


# Blending


def masked(side, hole):
    image = np.random.default_rng(0).integers(90, 110, (side, side, 1), np.uint8)
    known = np.ones((side, side), bool)
    known[hole] = False
    return lay_whole([MaskedImage("name", "source", image, known)])


def test_of_a_large_square_the_holes_box_is_blended(monkeypatch):
    target = masked(40, np.s_[0:6, 4:9])
    generated = np.full((40, 40, 1), 200, np.uint8)
    whole = composites.restored(target, [generated], blend=True)
    monkeypatch.setattr(composites, "BLEND_LIMIT", 200)
    box = composites.restored(target, [generated], blend=True)
    assert np.abs(box.astype(int) - whole).max() <= 1
    assert composites.blendable(target) == (target, [])


def test_a_hole_that_is_too_large_to_be_blended_has_a_reason(monkeypatch):
    monkeypatch.setattr(composites, "BLEND_LIMIT", 200)
    fits, refused = composites.blendable(masked(40, np.s_[5:30, 5:30]))
    assert not fits and refused[0].path == "source"
    assert "27x27 pixels, and at most 200 are blended" in refused[0].reason
