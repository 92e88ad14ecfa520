"""Colorization, as a user runs it: training, his own images, the comparison."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from gan_jax.apps.colorize import run as colorize
from gan_jax.apps.colorize.colorizer import Colorizer, in_strips
from gan_jax.config.errors import InputError
from gan_jax.data.color import split
from gan_jax.runs.feature_network import read_classifier, write_classifier
from gan_jax.runs.prior import open_colorizer
from tests import runs
from tests.jobs import assert_a_batch_job_does_the_same
from tests.programs import (
    assert_names_are_own,
    losses,
    results,
    run,
    start_run,
    summary,
)

CONFIG = "--config=configs/colorize.py:smoke"
PHOTO = load_sample_images().images[0]  # 427 x 640


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("colorize")
    few = ("--config.steps=80", "--config.evaluation.every=80")
    finished = start_run(workdir, *few, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    return workdir


def test_a_colorizer_is_trained_and_measured(trained):
    found = summary(trained)
    metrics = found["metrics"]
    assert found["complete"] and found["program"] == "colorize"
    assert set(found["baselines"]) == {"grey", "mean colour"}
    for name in ("psnr", "psnr_pooled", "ssim", "ab_error", "colourfulness", "fid"):
        assert np.isfinite(metrics[name])
        assert np.isfinite(found["baselines"]["grey"][name])
    assert found["baselines"]["grey"]["colourfulness"] < 0.1
    assert metrics["colourfulness_real"] > 10
    assert metrics["fid_count"] == 200
    assert found["best"]["criterion"] == ["fid"]
    first, *_, last = [
        row["generator/reconstruction"]
        for row in losses(trained)
        if row.get("generator/reconstruction") is not None
    ]
    assert last < first
    page = (trained / "report.html").read_text()
    assert "mean colour" in page and "naturalness" in page


def versions(folder):
    """Write what cameras and programs leave: one photograph in many forms."""
    folder.mkdir()
    photo = Image.fromarray(PHOTO)
    photo.save(folder / "colour.png")
    photo.convert("L").save(folder / "grey.png")
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("P").save(folder / "palette.png")
    deep = (np.asarray(photo.convert("L")).astype(np.uint16) * 257)[:100, :80]
    Image.fromarray(deep).save(folder / "deep.png")
    clear = photo.convert("RGBA")
    clear.putalpha(0)
    clear.save(folder / "clear.png")
    photo.resize((40, 300)).save(folder / "narrow.bmp")
    photo.crop((0, 0, 1, 1)).save(folder / "pixel.png")
    dark = np.zeros((40, 40, 3), np.uint8)
    dark[0, 0, 0] = 1  # hardly a colour, which may be hit exactly
    Image.fromarray(dark).save(folder / "dark.png")
    (folder / "broken.png").write_bytes((folder / "grey.png").read_bytes()[:1000])
    (folder / "empty.jpg").touch()
    photo.convert("L").save(folder / "grey.tif")  # of a name that another has
    return folder


@pytest.fixture(scope="module")
def colorized(trained, tmp_path_factory):
    folder = versions(tmp_path_factory.mktemp("given") / "images")
    workdir = tmp_path_factory.mktemp("colorized")
    flags = (f"--config.prior={trained}", f"--config.images={folder}")
    finished = run(workdir, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    return workdir


def test_images_of_all_kinds_are_done_or_refused(colorized):
    assert_names_are_own(colorized)
    found = summary(colorized)
    assert found["inputs"] == {"done": 10, "failed": 2}
    lines = {line["input"].rpartition("/")[2]: line for line in results(colorized)}
    assert len(lines) == 12
    reasons = {name: line["reason"] for name, line in lines.items() if not line["done"]}
    assert set(reasons) == {"broken.png", "empty.jpg"}
    assert "empty" in reasons["empty.jpg"]
    assert lines["grey.tif"]["output"] == "images/grey.tif.png"
    page = (colorized / "report.html").read_text()
    assert "Change of lightness" in page and "<img" in page


def test_a_batch_job_does_the_same(trained, colorized, tmp_path):
    images = Path(results(colorized)[0]["input"]).parent
    flags = (f"--config.prior={trained}", f"--config.images={images}")
    assert_a_batch_job_does_the_same(colorized, tmp_path / "job", CONFIG, *flags)


def test_an_output_has_the_size_and_the_lightness_of_its_input(colorized):
    for line in results(colorized):
        if not line["done"]:
            continue
        with Image.open(colorized / line["output"]) as image:
            assert list(image.size) == line["size"]
            assert image.mode == "RGB"
        assert line["lightness_change"] < 1
    with Image.open(colorized / "images" / "colour.png") as image:
        made = np.asarray(image)
    assert made.shape == PHOTO.shape
    before, after = (np.asarray(split(x / 127.5 - 1)[0]) for x in (PHOTO, made))
    assert 50 * np.abs(before - after).mean() < 1


def test_a_transparent_image_is_white(colorized):
    with Image.open(colorized / "images" / "clear.png") as image:
        assert np.asarray(image).min() > 250


def test_what_colours_an_image_had_does_not_matter(colorized):
    """But for the rounding of its grey levels; they are compared with, though."""
    grey, colour = (
        np.asarray(Image.open(colorized / "images" / f"{name}.png"), np.float64)
        for name in ("grey", "colour")
    )
    # The grey photograph's luma is another lightness than the colours'.
    ab = [np.asarray(split(image / 127.5 - 1)[1]) * 110 for image in (grey, colour)]
    assert np.abs(ab[0] - ab[1]).mean() < 3
    lines = {line["input"].rpartition("/")[2]: line for line in results(colorized)}
    assert "psnr" in lines["colour.png"] and "psnr" not in lines["grey.png"]
    assert summary(colorized)["metrics"]["psnr"] > 5


def test_an_image_is_colorized_the_same_in_strips(trained, monkeypatch):
    colorizer = Colorizer(open_colorizer(str(trained), ""))
    for height, width in ((40, 61), (61, 40), (5, 90), (90, 5), (32, 50)):
        image = PHOTO[:height, :width]
        whole = colorizer(image)(slice(None))
        with monkeypatch.context() as patch:
            patch.setattr("gan_jax.apps.colorize.colorizer._STRIP", 7 * height)
            strips = in_strips(colorizer(image), height, width)
        assert len(strips) == -(-width // 7)
        for name, wanted in whole._asdict().items():
            parts = [getattr(strip, name) for strip in strips]
            np.testing.assert_array_equal(np.concatenate(parts, axis=1), wanted)


smoke = partial(runs.smoke, "colorize", "smoke")


def test_the_same_picture_at_two_sizes_gets_the_same_colours(trained, tmp_path):
    folder = tmp_path / "sizes"
    folder.mkdir()
    photo = Image.fromarray(PHOTO[:, :320])
    photo.save(folder / "whole.png")
    small = (160, 213)
    photo.resize(small, Image.Resampling.LANCZOS).save(folder / "half.png")
    colorize.run(smoke(prior=trained, images=folder), tmp_path / "out")
    ab = []
    for name in ("whole", "half"):
        with Image.open(tmp_path / "out" / "images" / f"{name}.png") as image:
            # To one size, at which the two are compared.
            image = np.asarray(image.resize((32, 32), Image.Resampling.BOX))
        ab.append(np.asarray(split(image / 127.5 - 1)[1]) * 110)
    assert np.linalg.norm(ab[0] - ab[1], axis=-1).mean() < 1


def test_what_a_user_may_get_wrong(trained, colorized, tmp_path):
    empty = tmp_path / "empty"
    for folder in (empty, tmp_path / "out" / "mine"):
        folder.mkdir(parents=True)
    for values, reason in (
        ({"images": empty}, "prior is empty: name a run.*Train one:"),
        ({"prior": tmp_path / "none", "images": empty}, "no run's workdir"),
        ({"prior": trained}, "images is empty"),
        ({"prior": trained, "images": tmp_path / "none"}, "is no such folder"),
        ({"prior": trained, "images": empty}, "holds no image files"),
        ({"prior": colorized, "images": empty}, "to images: name that run"),
        # Results would lie over the images, or be taken for some.
        ({"prior": trained, "images": tmp_path}, "lie in each other"),
        ({"prior": trained, "images": tmp_path / "out" / "mine"}, "in each other"),
    ):
        with pytest.raises(InputError, match=reason):
            colorize.run(smoke(**values), tmp_path / "out")
    with pytest.raises(InputError, match="choose another --workdir"):
        colorize.run(smoke(prior=trained, images=empty), trained)


def test_an_older_summary_does_not_outlive_its_results(trained, tmp_path):
    folder, workdir = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(PHOTO[:40, :50]).save(folder / "photo.png")
    config = smoke(prior=trained, images=folder)
    colorize.run(config, workdir)
    assert summary(workdir)["inputs"] == {"done": 1, "failed": 0}
    (folder / "photo.png").write_bytes(b"not any more")
    with pytest.raises(InputError, match="no image to colorize"):
        colorize.run(config, workdir)
    assert not (workdir / "summary.json").exists()
    assert not results(workdir)[0]["done"]


def labelled(folder, count):
    """Write arrays with labels: bright reds and dark blues under noise."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for part, number in (("train", count), ("test", count // 4)):
        label = np.arange(number) % 2
        base = np.where(label[:, None] == 0, [200, 60, 60], [20, 40, 120])
        noise = draw.integers(-20, 20, (number, 32, 32, 1))
        image = (base[:, None, None] + noise).clip(0, 255).astype(np.uint8)
        np.savez(folder / f"{part}.npz", image=image, label=label)
    return folder


TINY = (
    "--config.steps=20",
    "--config.evaluation.every=0",
    "--config.evaluation.classifier.epochs=0",
    "--config.teacher.classifier.width=4",
    "--config.teacher.classifier.features=8",
)


@pytest.mark.slow
def test_chromagan_has_a_teacher_and_keeps_it(tmp_path):
    data = labelled(tmp_path / "data", 400)
    config = "--config=configs/colorize.py:chromagan,smoke"
    flags = (f"--config.data.path={data}", *TINY)
    first = tmp_path / "first"
    finished = run(first, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    found = summary(first)
    assert found["teacher"]["classes"] == 2 and found["teacher"]["accuracy"] > 0.9
    assert "to teach" in finished.stdout
    rows = [row["generator/class_distribution"] for row in losses(first)]
    assert rows and all(row > 0 for row in rows)
    # The next run has the same teacher from its file, and comes to the same networks.
    file = first / "teacher.msgpack"
    again = run(
        tmp_path / "again", *flags, f"--config.teacher.path={file}", config=config
    )
    assert again.returncode == 0, again.stderr
    other = summary(tmp_path / "again")
    assert other["parameters_sha256"] == found["parameters_sha256"]
    assert other["teacher"] == found["teacher"]
    # Another one is another lesson.
    kept = dict(read_classifier(file))
    assert kept["sha256"] == found["teacher"]["sha256"]
    damaged = tmp_path / "damaged.msgpack"
    write_classifier(damaged, kept | {"sha256": "0"})
    refused = run(
        tmp_path / "damaged", *flags, f"--config.teacher.path={damaged}", config=config
    )
    assert refused.returncode == 2
    assert "cannot be used" in refused.stderr
    assert "teacher.msgpack of a run" in refused.stderr


def test_chromagan_needs_labels(tmp_path):
    finished = run(tmp_path, config="--config=configs/colorize.py:chromagan,smoke")
    assert finished.returncode == 2
    assert "photos has no labels to train a teacher on" in finished.stderr


@pytest.mark.slow
def test_methods_are_compared_side_by_side(tmp_path):
    config = "--config=configs/compare_colorization.py:smoke"
    flags = (
        "--config.only=regression,lsgan,chromagan",
        "--config.seeds=1",
        "--config.shared.steps=20",
    )
    finished = run(tmp_path, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    # These photographs have no labels.
    assert "without chromagan: photos has no labels" in finished.stdout
    for word in ("regression", "lsgan", "grey", "mean colour", "real images"):
        assert word in finished.stdout
    found = summary(tmp_path)
    assert set(found["arms"]) == {"regression", "lsgan"}
    assert set(found["baselines"]) == {"grey", "mean colour", "real images"}
    assert found["metrics"]["regression/psnr"] > 5
    with Image.open(tmp_path / "samples" / "comparison.png") as plate:
        assert plate.size[0] > 4 * 96
    assert "Side by side" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["seeds"] == 1
