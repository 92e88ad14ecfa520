"""A trained run applied to a folder of images: here one that inverts them."""

import dataclasses
import errno
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.config.errors import InputError, Interrupted
from gan_jax.data import user_images
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.files.levels import Range, Scaling
from gan_jax.evaluation.measure import Measured
from gan_jax.runs.apply import (
    Application,
    Conclusion,
    TrainedLevels,
    apply_to_folder,
    trained_levels,
)
from tests.programs import assert_names_are_own, results, summary
from tests.runs import smoke

PRIOR = {"workdir": "runs/any", "parameters_sha256": "0" * 64}


def prepare(file, image):
    if image.shape[-1] != 1:
        raise BrokenImageError("it is a colour image, and only grey ones are inverted")
    return image


def invert(images):
    for image in images:
        yield 255 - image, float(image.mean())


def conclude(done):
    measured = Measured({"mean": float(np.mean([mean for _, mean in done]))}, {})
    return Conclusion(measured, "Inverted images.", (), (), ())


def application(apply=invert):
    return Application(
        PRIOR, prepare, 2, apply, lambda mean: {"mean": mean}, {"mean": float}, conclude
    )


def apply_to(folder, workdir, apply=invert):
    config = smoke("colorize", images=folder)
    return apply_to_folder(config, workdir, "invert", lambda *_: application(apply))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for level in (10, 20, 30):
        grey = np.full((5, 4), level, np.uint8)
        Image.fromarray(grey).save(folder / f"{level}.png")
    return folder


def test_every_image_has_an_output_and_a_line(images, tmp_path):
    found = apply_to(images, tmp_path / "out")
    assert found == summary(tmp_path / "out")
    assert found["complete"] and found["inputs"] == {"done": 3, "failed": 0}
    assert found["metrics"] == {"mean": 20.0} and found["prior"] == PRIOR
    lines = results(tmp_path / "out")
    assert [line["mean"] for line in lines] == [10.0, 20.0, 30.0]
    for line in lines:
        made = np.asarray(Image.open(tmp_path / "out" / line["output"]))
        np.testing.assert_array_equal(made, 255 - np.asarray(Image.open(line["input"])))


def test_what_cannot_be_used_has_a_line_with_the_reason(images, tmp_path):
    (images / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(images / "colour.png")
    found = apply_to(images, tmp_path / "out")
    assert found["inputs"] == {"done": 3, "failed": 2}
    listed = results(tmp_path / "out")
    lines = {line["input"].rpartition("/")[2]: line for line in listed}
    assert "only grey ones" in lines["colour.png"]["reason"]
    assert not lines["broken.png"]["done"]


def test_equal_names_in_different_folders_and_with_other_suffixes_are_done(
    images, tmp_path
):
    given = {
        "10.webp": 40,
        "good/10.png": 50,
        "crack/10.png": 60,
        "crack/deep/10.bmp": 70,
        "10.png/10.png": 80,  # a folder that is called like an output
    }
    (images / "10.png").rename(images / "10.jpeg")
    for place, level in given.items():
        (images / place).parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(np.full((5, 4), level, np.uint8))
        grey.save(images / place, format="png")
    found = apply_to(images, tmp_path / "out")
    lines = {
        str(Path(line["input"]).relative_to(images)): line
        for line in results(tmp_path / "out")
    }
    assert lines.keys() == given.keys() | {"10.jpeg", "20.png", "30.png"}
    assert {place: line.get("output") for place, line in lines.items()} == {
        "10.jpeg": "images/10.png",
        "10.webp": "images/10.webp.png",
        "20.png": "images/20.png",
        "30.png": "images/30.png",
        "good/10.png": "images/good/10.png",
        "crack/10.png": "images/crack/10.png",
        "crack/deep/10.bmp": "images/crack/deep/10.png",
        "10.png/10.png": None,
    }
    assert lines["10.png/10.png"]["reason"] == (
        "its output images/10.png/10.png cannot be written: File exists"
    )
    assert found["inputs"] == {"done": 7, "failed": 1}
    for place in ("10.webp", "good/10.png", "crack/10.png"):
        made = np.asarray(Image.open(tmp_path / "out" / lines[place]["output"]))
        assert (made == 255 - given[place]).all()
    assert_names_are_own(tmp_path / "out")


def test_a_file_or_a_link_in_the_place_of_a_folder_costs_that_folder_alone(
    images, tmp_path
):
    for folder in ("good", "crack"):
        (images / folder).mkdir()
        (images / folder / "10.png").write_bytes((images / "10.png").read_bytes())
    apply_to(images, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "images" / "good")
    (tmp_path / "out" / "images" / "good").write_text("mine")
    shutil.rmtree(tmp_path / "out" / "images" / "crack")
    (tmp_path / "out" / "images" / "crack").symlink_to(tmp_path)
    found = apply_to(images, tmp_path / "out")
    assert found["inputs"] == {"done": 3, "failed": 2}
    reasons = [line["reason"] for line in results(tmp_path / "out")[:2]]
    assert "its folder is a link" in reasons[0] and "File exists" in reasons[1]
    assert (tmp_path / "out" / "images" / "good").read_text() == "mine"
    assert not (tmp_path / "10.png").exists()


def test_paths_that_are_too_long_are_lines(images, tmp_path):
    """The inputs' paths are legal, and the outputs' are longer."""
    deep = images.joinpath(*["d" * 200] * ((4000 - len(str(images))) // 201))
    out = tmp_path / ("o" * 200)
    deep.mkdir(parents=True)
    (deep / "10.png").write_bytes((images / "10.png").read_bytes())
    found = apply_to(images, out)
    assert found["inputs"] == {"done": 3, "failed": 1}
    assert "File name too long" in results(out)[0]["reason"]


def test_what_cannot_be_written_has_a_line_and_the_rest_is_done(images, tmp_path):
    out = tmp_path / "out"
    longest = "a" * 252  # an output's suffix has one letter more
    for name in (f"{longest}.bw", f"{longest[1:]}.png", "taken.png"):
        grey = Image.fromarray(np.zeros((5, 4), np.uint8))
        grey.save(images / name, format="png")
    apply_to(images, out)
    (out / "images" / "taken.png").unlink()
    (out / "images" / "taken.png").mkdir()
    (images / "mine.png").write_bytes((images / "10.png").read_bytes())
    mine = (images / "20.png").read_bytes()
    (out / "images" / "mine.png").write_bytes(mine)
    found = apply_to(images, out)
    assert found["inputs"] == {"done": 4, "failed": 3} and found["complete"]
    lines = {Path(line["input"]).name: line for line in results(out)}
    assert {name: line["done"] for name, line in lines.items()} == {
        **{f"{level}.png": True for level in (10, 20, 30)},
        f"{longest[1:]}.png": True,
        **dict.fromkeys((f"{longest}.bw", "taken.png", "mine.png"), False),
    }
    assert "File name too long" in lines[f"{longest}.bw"]["reason"]
    for name in ("taken.png", "mine.png"):
        assert lines[name]["reason"] == (
            f"its output images/{name} cannot be written: something that no run wrote "
            "is there"
        )
    assert (out / "images" / "mine.png").read_bytes() == mine
    assert (out / "images" / "taken.png").is_dir()


def test_a_disk_that_fails_ends_it(images, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def filling(given):
        monkeypatch.setattr(os, "fsync", full)
        return invert(given)

    with pytest.raises(OSError, match="No space left"):
        apply_to(images, tmp_path / "out", filling)
    monkeypatch.undo()
    assert not [*(tmp_path / "out" / "images").iterdir()]
    assert apply_to(images, tmp_path / "out")["complete"]


def scans(folder, highest, count=2):
    """12-bit levels in 16-bit files, as microscopes write them."""
    folder.mkdir()
    ramp = np.linspace(0, highest, 20).astype(np.uint16).reshape(5, 4)
    for index in range(count):
        Image.fromarray(ramp).save(folder / f"{index}.tif")
    return ramp


def made_of(workdir):
    return 255 - np.asarray(Image.open(workdir / "images" / "0.png"))


def test_levels_of_scans_are_stretched_and_said(tmp_path, capfd):
    ramp = scans(tmp_path / "scans", 3000)
    (tmp_path / "scans" / "photo.HEIC").write_bytes(b"unread")
    found = apply_to(tmp_path / "scans", tmp_path / "out")
    np.testing.assert_array_equal(made_of(tmp_path / "out"), np.rint(ramp / 4095 * 255))
    said = capfd.readouterr().out
    assert "scans: levels of 16-bit TIFF are stretched: 0:4095 becomes 0 to" in said
    assert "scans: left 1 .HEIC: not read" in said
    read = found["dataset"]["read"]
    assert read["levels"]["16-bit TIFF"]["taken"] == [0, 4095]
    assert read["left"] == {"not read": {".HEIC": 1}}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "0:4095 becomes 0 to 255" in page and "1 .HEIC" in page


@pytest.mark.parametrize(
    ("own", "trained", "taken"),
    [
        ("full", TrainedLevels("0:4095"), 65_535),
        ("auto", TrainedLevels("0:3000"), 3000),
        ("auto", TrainedLevels("full"), 65_535),
        ("auto", TrainedLevels(ranges={"16-bit TIFF": Range(0, 4095)}), 4095),
        ("auto", TrainedLevels(ranges={"16-bit PNG": Range(0, 4095)}), 1023),
        ("0:2000", TrainedLevels("full"), 2000),
    ],
)
def test_levels_are_those_of_the_command_or_of_the_run(tmp_path, own, trained, taken):
    ramp = scans(tmp_path / "scans", 900)
    config = smoke("colorize", images=tmp_path / "scans")
    config.data.levels = own
    of_run = dataclasses.replace(application(), levels=trained)
    apply_to_folder(config, tmp_path / "out", "invert", lambda *_: of_run)
    np.testing.assert_array_equal(
        made_of(tmp_path / "out"), np.rint(ramp / taken * 255)
    )


def test_images_of_8_bits_are_not_decoded_to_be_described(images, monkeypatch):
    (images / "broken.png").write_bytes(b"no image")
    known = {"8-bit PNG": Range(0, 255)}
    with monkeypatch.context() as patch:
        patch.setattr(user_images, "decode_stored", None)
        found = user_images.open_folder(str(images), "auto", known)
    assert len(found.files) == 4 and found.reading.shapes == {(5, 4, 1): 3}
    assert found.reading.scaling == Scaling()
    stretched = {"8-bit PNG": Range(0, 1)}
    scaling = user_images.open_folder(str(images), "auto", stretched).reading.scaling
    assert scaling.of("8-bit PNG") == Range(0, 255)


def test_the_levels_of_a_run_are_in_its_summary():
    config = smoke("colorize")
    config.data.levels = "0:99"
    levels = {"16-bit TIFF": {"taken": [0, 4095]}}
    found = trained_levels(config, {"dataset": {"read": {"levels": levels}}})
    assert found == TrainedLevels("0:99", {"16-bit TIFF": Range(0, 4095)})
    assert found.scaling.of("16-bit TIFF") == Range(0, 99)
    assert found._replace(choice="auto").scaling.of("16-bit TIFF") == Range(0, 4095)
    assert trained_levels(config, {"dataset": None}) == TrainedLevels("0:99", {})


def test_images_that_stood_there_before_are_left_alone(images, tmp_path):
    mine = tmp_path / "out" / "images" / "10.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"a user's")
    with pytest.raises(InputError, match="holds images but no config"):
        apply_to(images, tmp_path / "out")
    assert mine.read_bytes() == b"a user's"


def test_the_hash_is_that_of_the_files_that_were_used(images, tmp_path):
    hashes = [apply_to(images, tmp_path / "a")["dataset"]["sha256"]]
    (images / "broken.png").write_bytes(b"no image")
    hashes += [apply_to(images, tmp_path / "b")["dataset"]["sha256"]]
    Image.fromarray(np.zeros((5, 4), np.uint8)).save(images / "10.png")
    hashes += [apply_to(images, tmp_path / "c")["dataset"]["sha256"]]
    assert hashes[0] == hashes[1] != hashes[2]


def test_where_nothing_can_be_used_there_is_no_summary(images, tmp_path):
    apply_to(images, tmp_path / "out")
    for path in images.iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="there is no image to invert in"):
        apply_to(images, tmp_path / "out")
    assert not (tmp_path / "out" / "summary.json").exists()
    assert [line["done"] for line in results(tmp_path / "out")] == 3 * [False]


def test_a_signal_ends_it_after_some_images(images, tmp_path):
    def stopping(given):
        signal.raise_signal(signal.SIGTERM)
        return invert(given)

    with pytest.raises(Interrupted, match="the same command begins anew"):
        apply_to(images, tmp_path / "out", stopping)
    assert len([*(tmp_path / "out" / "images").iterdir()]) == 2
    assert not (tmp_path / "out" / "summary.json").exists()
