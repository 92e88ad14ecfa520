"""Training images, wells, variograms: what geostatistics asks of the pixel GAN."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import chisquare

from gan_jax.build import tasks
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.training_images import (
    Choices,
    read_crops,
    read_training_image,
)
from gan_jax.data.masks import NUMBERS, random_pixels
from gan_jax.evaluation.fields.variogram import variogram_error, variograms
from gan_jax.evaluation.image import honoured
from tests.programs import run, summary
from tests.runs import smoke


def write_grid(path, values, head="2", layers=""):
    """Write a grid as SGeMS does: x fastest, from the lower left corner."""
    height, width = values.shape
    lines = [f"{width} {height}{layers}", head, *["name"] * int(head)]
    lines += [" ".join([str(v)] * int(head)) for v in values[::-1].reshape(-1)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def channels(height=120, width=160):
    """Some winding bands, brighter than their ground."""
    y, x = np.mgrid[:height, :width]
    return ((y + 6 * np.sin(x / 9)) % 30 < 8).astype(int) * 3 - 1


def test_a_grid_is_read_as_it_is_seen(tmp_path):
    grid = channels()
    for head, layers in (("1", " 1"), ("2", "")):
        path = write_grid(tmp_path / "grid.sgems", grid, head, layers)
        found = read_training_image(path, Choices(variable="name"))
        np.testing.assert_array_equal(found.values, grid)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("two by two\n1\nname\n1\n2\n3\n4\n", "states no numbers of cells"),
        ("2 2 3\n1\nname\n" + "1\n" * 12, "has 3 layers"),
        ("2 2\n1\nname\n1\n1\n1\n", "states 4 rows .* and at most 3 values"),
        ("2 2\n1\nname\n1\n1\n1\nnan\n", "same value in all cells, but for"),
        ("0 0\n1\nname\n", "line 1 has '0' as a number of cells"),
        ("inf 2\n1\nname\n1\n1\n", "line 1 has 'inf' as a number of cells"),
        ("2 2\n1\nname\n1\n0\n1\n-9966699\n", "too small"),
        ("2 2\n1\nname\n1\n1\n1\n1\n", "same value in all cells"),
        ("9 8\n1\nname\n" + "0\n1\n" * 36, r"8x9 cells \(height x width\), too small"),
        ("2 2\n1\nname\n" + "nan\n" * 4, "no cell has a value"),
    ],
)
def test_what_is_no_training_image_is_refused(tmp_path, text, reason):
    path = tmp_path / "grid.sgems"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_crops(str(path), 16)


def test_training_and_test_crops_never_overlap(tmp_path):
    numbers = np.arange(100 * 140).reshape(100, 140)
    path = write_grid(tmp_path / "grid.gslib", numbers, "1")
    train, test, *_ = read_crops(path, 24, count=200)
    assert train.images.shape == (200, 24, 24, 1) and len(test) == 50
    levels = [
        set(np.unique(np.diff(part.images.astype(int), axis=2)))
        for part in (train, test)
    ]
    assert levels[0] | levels[1] <= {0, 1}
    again, _, *_ = read_crops(path, 24, count=200)
    np.testing.assert_array_equal(train.images, again.images)
    # A column's number tells from where a crop was taken.
    columns = np.tile(np.arange(140), (100, 1))
    path = write_grid(tmp_path / "columns.gslib", columns, "1")
    train, test, *_ = read_crops(path, 24, count=200)
    assert train.images.max() < test.images.min()


def test_a_variogram_of_stripes_is_known():
    stripes = np.tile([1.0, -1.0], (2, 8, 4))[..., None]
    found = variograms(stripes, 4)
    np.testing.assert_allclose(found[:, 0], [[2, 0, 2, 0]] * 2)
    np.testing.assert_allclose(found[:, 1], 0)
    assert variogram_error(stripes, stripes, 4) == 0
    assert variogram_error(0 * stripes, stripes, 4) == pytest.approx(1)
    with pytest.raises(ValueError, match="flat"):
        variogram_error(stripes, 0 * stripes, 4)
    with pytest.raises(ValueError, match="no lag of 8"):
        variograms(stripes, 8)


def test_white_noise_has_its_variance_as_variogram():
    noise = np.random.default_rng(0).normal(0, 0.5, (20, 64, 64, 1))
    np.testing.assert_allclose(variograms(noise, 8).mean(axis=0), 0.25, rtol=0.02)


@given(
    st.integers(0, 20),
    st.integers(0, 30),
    st.integers(0, 1000),
    st.sampled_from([*NUMBERS]),
)
@settings(deadline=None, max_examples=20)
def test_as_many_pixels_are_known_as_were_asked_for(count, more, seed, numbers):
    most = count + more if more else 0
    draw = NUMBERS[numbers]
    mask = random_pixels(jax.random.key(seed), 40, 8, count, most, draw)
    numbers = np.asarray(mask).sum(axis=(1, 2, 3))
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert numbers.min() >= count and numbers.max() <= max(count, most)
    if more > 5:
        assert len(set(numbers.tolist())) > 1


@pytest.mark.parametrize(("least", "most"), [(0, 100), (0, 1), (3, 20)])
def test_numbers_of_wells_are_uniform_in_their_logarithm(least, most):
    draws = 50_000
    found = NUMBERS["log"](jax.random.key(3), draws, least, most)
    numbers = np.arange(least, most + 1)
    counts = np.bincount(found, minlength=most + 1)[least:]
    wanted = np.log((numbers + 2) / (numbers + 1)) / np.log((most + 2) / (least + 1))
    assert len(counts) == len(numbers)
    assert chisquare(counts, draws * wanted).pvalue > 1e-3


def test_a_share_of_the_wells_is_honoured():
    values = np.zeros((2, 4, 4, 1))
    mask = np.zeros((2, 4, 4, 1))
    mask[:, 0] = 1
    made = values.copy()
    made[0, 0, 0] = 0.2  # as far off as may be
    made[1, 0, :3] = 0.21
    made[:, 1] = 1  # nothing is known there
    assert honoured(made, values, mask) == 5 / 8
    with pytest.raises(ValueError, match="no pixel"):
        honoured(made, values, 0 * mask)


def wells(**changes):
    """Return the example's config with changes by dotted key, `_` for dots."""
    path = Path(__file__).parents[1] / "configs" / "geostatistics.py"
    config = defaults.sibling(str(path), "geostatistics", "")
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("_", "."): value})
    return config


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mask_count": 20, "mask_most": 19}, "mask.most 19 .* the 20 pixels"),
        ({"mask_most": 0}, "mask.count is 0 and .*mask.fraction 0"),
        ({"mask_numbers": "lots"}, "mask.numbers 'lots' .* uniform, log"),
        ({"mask_most": 64**2 + 1}, "and the 4096 of an image"),
        ({"mask_pattern": "wells.png"}, "mask.pattern always knows the same pixels"),
    ],
)
def test_numbers_of_wells_that_make_no_sense_are_refused(changes, reason):
    with pytest.raises(InputError, match=reason):
        tasks.task(wells(**changes))


def test_wells_are_of_grey_images():
    task = tasks.task(wells())
    assert task.channels(1) == 1
    with pytest.raises(InputError, match="grey"):
        task.channels(3)


@pytest.mark.slow
def test_realisations_are_drawn_under_wells(tmp_path):
    path = write_grid(tmp_path / "grid.sgems", channels(), "1")
    finished = run(
        tmp_path / "run",
        f"--config.data.path={path}",
        "--config.data.size=32",
        "--config.network.depth=3",
        "--config.network.critic_depth=3",
        "--config.steps=20",
        "--config.packing=2",
        "--config.evaluation.every=0",
        "--config.evaluation.classifier.epochs=0",
        config="--config=configs/geostatistics.py:smoke",
    )
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path / "run")
    data = found["dataset"]
    assert data["name"] == "grid"
    assert data["units"] == {"scale": "codes", "knots": [-1.0, 2.0], "whole": True}
    assert data["grid"] == [120, 160] and data["origin"] == [0.5, 0.5]
    assert sum(data["proportions"]) == pytest.approx(1)
    assert data["variable"] == "name"
    assert "grid: facies by code: -1" in finished.stdout
    metrics = found["metrics"]
    assert 0 <= metrics["honoured"] <= 1 and metrics["variogram_error"] > 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["packing"] == 2
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Variograms" in page and "realisations" in page
    with Image.open(tmp_path / "run" / "samples" / "best.png") as plate:
        assert plate.size[0] > 8 * 140
    refused = run(
        tmp_path / "refined",
        f"--config.prior={tmp_path / 'run'}",
        config="--config=configs/collaborate.py:smoke",
    )
    assert refused.returncode == 2
    assert "scores 2 images at once" in refused.stderr


def test_the_variogram_counts_when_the_best_epoch_is_chosen():
    evaluation = tasks.task(smoke("geostatistics")).evaluation
    assert evaluation.criterion == ("fid", "variogram_error")
    assert "variogram_error" in evaluation.measures
