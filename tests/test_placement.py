"""How images are laid under a prior, and what is said where it does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_jax.apps.inpaint import fit as fits
from gan_jax.apps.inpaint.composites import restored
from gan_jax.apps.inpaint.fit import Fit, best_windows
from gan_jax.apps.inpaint.masked_images import MaskedImage, masker
from gan_jax.apps.inpaint.observations import Observer
from gan_jax.apps.inpaint.placement import (
    Placement,
    lay_all,
    reduced,
    training_sizes,
)
from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data import holes, windows
from gan_jax.data.decode import BrokenImageError, crop_and_resize, to_float_numpy
from gan_jax.data.mask_files import Layers
from gan_jax.data.user_images import InputFile
from gan_jax.data.windows import Window
from gan_jax.report import files
from gan_jax.runs.prior import open_prior
from tests.jobs import assert_a_batch_job_does_the_same
from tests.programs import results, run, start_run, summary
from tests.runs import kept, smoke
from tests.test_windows import holed

SIZE = Size(32, 24)
FACES = frozenset([Size(218, 178)])


def image(height, width, *missing):
    draw = np.random.default_rng(0)
    known = np.ones((height, width), bool)
    for place in missing:
        known[place] = False
    levels = draw.integers(0, 256, (height, width, 1), np.uint8)
    return MaskedImage("x", "x", levels, known)


def laid(place, masked, crop=0, trained_on=FACES, size=SIZE):
    return Placement(place, size, crop, trained_on).lay(masked)


def test_the_trained_crop_is_what_training_images_went_through():
    face = image(218, 178, np.s_[90:120, 80:100])
    (placed,) = laid("trained", face, crop=108)
    whole = face._replace(known=face.known | True)
    (unmasked,) = laid("trained", whole, crop=108)
    seen = reduced(unmasked, SIZE)
    prepared = to_float_numpy(crop_and_resize(face.image, SIZE, 108))
    np.testing.assert_array_equal(seen.image, prepared)
    np.testing.assert_array_equal(seen.truth, prepared)
    assert placed.window == Window(55, 48, 108, 81) and placed.place == "trained"


@pytest.mark.parametrize(
    ("masked", "crop", "place"),
    [
        (image(218, 178, np.s_[90:120, 80:100]), 108, "trained"),
        (image(218, 178, np.s_[150:170, 80:100]), 108, "hole"),  # outside of the crop
        (image(218, 178, np.s_[150:170, 80:100]), 0, "trained"),
        (image(178, 218, np.s_[90:120, 80:100]), 108, "hole"),
        (image(218, 178, np.s_[90:120, 80:100]), 300, "hole"),  # no crop fits
    ],
)
def test_by_default_images_like_the_training_images_go_the_same_way(
    masked, crop, place
):
    (placed,) = laid("auto", masked, crop)
    assert placed.place == place
    assert placed.missing.sum() == (~masked.known).sum()


@pytest.mark.parametrize(
    ("place", "masked", "says"),
    [
        ("square", image(60, 30, np.s_[0:12, 5:9]), "40 missing pixels lie outside"),
        ("trained", image(60, 60, np.s_[0:12, 5:9]), "place=hole"),
        ("trained", image(20, 20, np.s_[0:12, 5:9]), "smaller than the crop of 40"),
        ("hole", image(60, 60, np.s_[10:20]), "a hole extends over 10x60 pixels"),
        ("search", image(60, 60, np.s_[10:20]), "largest window .* is 60x45 of 60x60"),
        ("square", image(64, 24, np.s_[16:48]), "nothing is known of the window"),
    ],
)
def test_what_cannot_be_laid_is_a_row_of_its_image(place, masked, says):
    placement = Placement(place, SIZE, 40, FACES)
    other = image(60, 45, np.s_[30:34, 20:24])._replace(source="other")
    placed, (skipped,) = lay_all(placement, [masked, other])
    assert [each.masked.source for each in placed] == ["other"]
    assert skipped.path == "x" and "\n" not in skipped.reason
    with pytest.raises(BrokenImageError, match=says):
        placement.lay(masked)


def test_a_hole_by_name_is_cut_where_the_prior_is_laid():
    for place, missing in (("trained", 54), ("auto", 54), ("square", 89)):
        placement = Placement(place, Size(64, 64), 108, FACES)
        mask = masker(holes.centre, Size(64, 64), 1, hole_window=placement.hole_window)
        masked = mask(
            InputFile(Path("face.png"), "face"), Layers(image(218, 178).image, None)
        )
        (placed,) = placement.lay(masked)
        rows, columns = np.nonzero(~masked.known)
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == missing
        assert placed.window.size == Size(2 * missing, 2 * missing)


@given(holed(), st.sampled_from(["hole", "square"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_what_lies_outside_of_holes_is_untouched(known, place, blend):
    masked = image(*known.shape)._replace(known=known)
    placement = Placement(place, SIZE, 0, FACES)
    placed, _ = lay_all(placement, [masked])
    if not placed:
        return
    made = np.random.default_rng(1).integers(0, 256, (len(placed), *SIZE, 1), np.uint8)
    whole = restored(placed, [*made], blend and known.size < 900)
    np.testing.assert_array_equal(whole[known], masked.image[known])
    constant = restored(placed, [np.full((*SIZE, 1), 77, np.uint8)] * len(placed))
    assert (constant[~known] == 77).all()


def test_sizes_of_training_images_are_those_that_a_run_states(tmp_path):
    prior = kept(tmp_path / "run", smoke("gan"))
    assert training_sizes(prior) == frozenset()
    read = {"shapes": {"218x178x3": 10, "30x40x1": 2, "others": 5}}
    stated = prior._replace(summary={"dataset": {"read": read}})
    assert training_sizes(stated) == {Size(218, 178), Size(30, 40)}


# The fit


def test_an_image_far_above_validation_images_is_called_out():
    fit = Fit(np.array([0.2, 0.3, 0.4, 0.3]))
    assert fit.note(0.42) == ""
    assert "does not fit this image: its residual is 0.600" in fit.note(0.6)
    assert fit.note_of_all(np.full(6, 0.3)) == ""
    assert "does not fit 1 of 2 images" in fit.note_of_all(np.array([0.3, 0.7]))
    # Each is within the range of validation images, all are not.
    assert "does not fit 0 of 24" in fit.note_of_all(np.linspace(0.38, 0.44, 24))


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """Return an oblong prior whose training images were 90 high and 70 wide."""
    workdir = tmp_path_factory.mktemp("oblong") / "gan"
    kept(workdir, smoke("gan", **{"data.size": str(SIZE), "data.crop": 48}))
    found = json.loads((workdir / "summary.json").read_text())
    found["dataset"]["read"] = {"shapes": {"90x70x1": 10}}
    files.write_json(workdir / "summary.json", found)
    return open_prior(str(workdir), "")


@pytest.mark.parametrize("residual, taken", [(0.1, True), (0.15, False)])
def test_a_window_with_a_clearly_smaller_residual_is_taken(
    prior, monkeypatch, residual, taken
):
    monkeypatch.setattr(fits, "_TOGETHER", 2)
    config = smoke("inpaint", **{"images": "some", "place": "search"})
    observer = Observer(config, prior, "masks", None)
    given = [
        image(90, 70, np.s_[40:50, 30:40])._replace(source=f"{n}", name=f"{n}")
        for n in range(5)
    ]
    observed, _ = observer.observe(given)
    size = Size(90, 70)
    wanted = [windows.alternatives(_hole(each), size, SIZE)[3 * n] for n, each in
              enumerate(observed.sources)]  # fmt: skip

    class Residuals:
        def __init__(self, residual):
            self.residual = residual

    def minimise(images, name):
        right = [
            wanted[int(each.masked.name)] == each.window for each in images.sources
        ]
        return Residuals(np.where(right, residual, 0.2))

    best = best_windows(observer, observed, minimise)
    kept = [each.window for each in observed.sources]
    assert [each.window for each in best.sources] == (wanted if taken else kept)
    assert {each.place for each in best.sources} == {"search"}
    assert all(each.missing.sum() == 100 for each in best.sources)


def _hole(placed):
    return windows.HoleWindow(placed.window, placed.missing)


def test_a_place_that_makes_no_sense_is_refused(prior):
    config = smoke("inpaint", **{"images": "some", "place": "middle"})
    with pytest.raises(InputError, match="place 'middle' is unknown; known: auto, tr"):
        Observer(config, prior, "center", holes.centre).placement()
    config = smoke("inpaint", **{"images": "some", "place": "hole"})
    degraded = Observer(
        config, prior, "none", holes.none, searches.degradation("downsample:2")
    )
    with pytest.raises(InputError, match=r"give --config\.place=square"):
        degraded.placement()


@pytest.fixture(scope="module")
def given_images(tmp_path_factory):
    """Return a folder of images with one of masks, of every kind."""
    folder = tmp_path_factory.mktemp("given")
    draw = np.random.default_rng(0)
    for name, size, missing in (
        ("trained", (90, 70), [np.s_[40:50, 30:40]]),
        ("lower", (90, 70), [np.s_[70:88, 20:40]]),
        ("apart", (200, 160), [np.s_[10:20, 10:20], np.s_[170:180, 140:150]]),
        ("across", (90, 70), [np.s_[40:50]]),
        ("small", (20, 15), [np.s_[8:12, 6:9]]),
    ):
        mask = np.full(size, 255, np.uint8)
        for place in missing:
            mask[place] = 0
        for kind, array in (
            ("images", draw.integers(0, 256, size, np.uint8)),
            ("masks", mask),
        ):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(array).save(folder / kind / f"{name}.png")
    return folder


@pytest.mark.parametrize("place", ["", pytest.param("search", marks=pytest.mark.slow)])
def test_images_of_any_shape_are_completed(prior, given_images, tmp_path, place):
    flags = (
        f"--config.prior={prior.workdir}",
        f"--config.images={given_images / 'images'}",
        f"--config.masks={given_images / 'masks'}",
        f"--config.place={place}",
    )
    config = "--config=configs/inpaint.py:yeh,smoke"
    finished = start_run(tmp_path / "run", *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    made = tmp_path / "run"
    lines = {Path(line["input"]).stem: line for line in results(made)}
    assert "a hole extends over 10x70" in lines.pop("across")["reason"]
    if not place:
        places = {name: line["place"] for name, line in lines.items()}
        assert places == {"trained": "trained"} | dict.fromkeys(
            ("lower", "apart", "small"), "hole"
        )
    assert [len(lines[name]["windows"]) for name in ("apart", "lower")] == [8, 4]
    for name, line in lines.items():
        before, after, mask = (
            np.asarray(Image.open(path))
            for path in (
                given_images / "images" / f"{name}.png",
                made / line["output"],
                given_images / "masks" / f"{name}.png",
            )
        )
        np.testing.assert_array_equal(after[mask > 0], before[mask > 0])
        assert (after[mask == 0] != before[mask == 0]).any()
        assert line["residual_validation"] > 0 and isinstance(line["fits"], bool)
    found = summary(made)
    assert found["inputs"] == {"done": 4, "failed": 1}
    assert found["metrics"]["residual_validation"] == line["residual_validation"]
    assert "How the prior fits" in (made / "report.html").read_text()
    assert_a_batch_job_does_the_same(made, tmp_path / "job", config, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["inpaint.py", "collaborate.py:inpainting,"])
def test_a_prior_of_oblong_images_completes_its_own(prior, config, tmp_path):
    name, _, variants = config.partition(":")
    finished = run(
        tmp_path,
        f"--config.prior={prior.workdir}",
        "--config.count=8",
        config=f"--config=configs/{name}:{variants}smoke",
    )
    assert finished.returncode == 0, finished.stderr
    assert summary(tmp_path)["inputs"] == {"done": 8, "failed": 0}
    assert "windows" not in results(tmp_path)[0]
