"""Completing images, as a user runs it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.observations import ObservedImages
from gan_jax.apps.inpaint.placement import lay_whole
from gan_jax.apps.inpaint.report import along_plate, plates, report
from gan_jax.apps.inpaint.results import Completion
from gan_jax.report.grids import to_uint8
from gan_jax.search.latent import Found, Restarts
from gan_jax.search.observation import Observation
from gan_jax.search.trace import Trace
from tests.programs import assert_names_are_own, results, run, start_run, summary

CONFIG = "--config=configs/inpaint.py:yeh,ballester,smoke"


@pytest.fixture(scope="module")
def prior(gan):
    return gan.workdir


@pytest.fixture(scope="module")
def completed(prior, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("inpaint")
    flags = (
        f"--config.prior={prior}",
        "--config.masks=center,random:0.8",
        "--config.search.iterations=11",
        "--config.sweep.loss=ballester",
        "--config.sweep.key=gradient,prior",
        "--config.sweep.over=0.8:0.5",
    )
    finished = run(workdir, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    return workdir, flags


def test_every_loss_completes_every_image_under_every_hole(completed):
    workdir, _ = completed
    assert_names_are_own(workdir)
    found = summary(workdir)
    assert found["inputs"] == {"done": 8, "failed": 0} and found["complete"]
    for hole, missing in (("center", 0.25), ("random:0.8", 0.8)):
        for loss in ("yeh", "ballester_0.8_0.5"):
            own = {
                name: found["metrics"][f"{hole}/{loss}/{name}"]
                for name in ("mse_hole", "mse_composite", "blended_psnr_hole", "kid")
            }
            assert own["mse_composite"] == pytest.approx(
                own["mse_hole"] * missing, rel=0.01
            )
    lines = results(workdir)
    assert len(lines) == 4 * 8 and all(line["done"] for line in lines)
    plate = np.asarray(Image.open(workdir / "samples" / "center.png"))
    assert plate.std() > 5
    assert "too few" in found["metrics_failed"]["center/yeh/fid"]
    page = (workdir / "report.html").read_text()
    assert "Beside the published figures" in page and page.count("<img") >= 10
    assert page.count("along the search") >= 4 and "gradient, prior" in page
    plate = Image.open(workdir / "samples" / "center-ballester_0.8_0.5-along.png")
    # Eight images: truth, known, after 0, 10 and 11 iterations, result.
    assert plate.size[0] > 6 * 28 and plate.size[1] > 8 * 28
    assert np.asarray(plate).std() > 5


def test_the_same_command_finds_what_was_searched(completed):
    workdir, flags = completed
    before = summary(workdir)
    kept = sorted((workdir / "searches").glob("*.npz"))
    along = sorted((workdir / "searches" / "along").iterdir())
    assert [path.name for path in along] == [path.name for path in kept]
    seen = [path.stat().st_mtime_ns for path in along]
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 4
    whole = [path.read_bytes() for path in kept]
    kept[0].write_bytes(b"")
    kept[1].write_bytes(whole[1][:500])
    kept[2].write_bytes(whole[2][:1000] + b"?" * 1000 + whole[2][2000:])
    finished = run(workdir, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("searching anew") == 3
    assert finished.stdout.count("searched before") == 1
    assert summary(workdir)["metrics"] == before["metrics"]
    assert kept[3].stat().st_mtime_ns == stamps[3]
    # What was found anew is the same, and so is the way to it.
    assert [path.stat().st_mtime_ns for path in along] == seen


def test_a_result_lies_on_the_way_that_is_drawn(completed):
    """Where the best latent was visited when it was looked at, both are the same."""
    workdir, _ = completed
    for path in (workdir / "searches" / "along").iterdir():
        with np.load(path) as seen, np.load(workdir / "searches" / path.name) as found:
            assert seen["steps"].tolist() == [0, 10, 11]
            met = found["best_step"] == 10
            assert met.any() and (seen["ends"] == 11).all()
            np.testing.assert_array_equal(seen["latent"][met, 1], found["latent"][met])


@pytest.mark.slow
def test_more_settings_and_no_drawing_need_no_new_search(completed):
    workdir, flags = completed
    before = {path: path.stat().st_mtime_ns for path in workdir.glob("searches/*.npz")}
    more = ("--config.sweep.over=0.8:0.5,0:1", "--config.along=0")
    finished = run(workdir, *flags, *more, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("searched before") == 4
    after = {path: path.stat().st_mtime_ns for path in workdir.glob("searches/*.npz")}
    assert len(after) == 6 and before.items() <= after.items()
    assert "along the search" not in (workdir / "report.html").read_text()
    assert "center/ballester_0_1/psnr_hole" in summary(workdir)["metrics"]


@pytest.mark.parametrize("blend", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_users_images_come_back_whole_but_for_their_holes(prior, tmp_path, blend):
    random = np.random.default_rng(0)
    given = {}
    for name, shape in (("small", (28, 28)), ("large", (50, 70))):
        image = random.integers(0, 256, shape, np.uint8)
        mask = np.full(shape, 255, np.uint8)
        mask[10:20, 24:30] = 0
        for folder, array in (("images", image), ("masks", mask)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{name}.png")
        given[name] = image, mask
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    finished = start_run(
        tmp_path / "run",
        f"--config.prior={prior}",
        f"--config.images={tmp_path / 'images'}",
        f"--config.masks={tmp_path / 'masks'}",
        f"--config.blend={blend}",
        config="--config=configs/inpaint.py:smoke",
    )
    assert finished.returncode == 0, finished.stderr
    assert summary(tmp_path / "run")["inputs"] == {"done": 2, "failed": 1}
    lines = {
        line["input"].rpartition("/")[2]: line for line in results(tmp_path / "run")
    }
    assert "not an image" in lines["broken.png"]["reason"]
    assert lines["large.png"]["missing"] == pytest.approx(60 / 3500)
    assert "small.png: 5.1% missing" in finished.stdout
    assert "warning" not in finished.stdout
    assert "Missing under" in (tmp_path / "run" / "report.html").read_text()
    for name, (image, mask) in given.items():
        path = tmp_path / "run" / lines[f"{name}.png"]["output"]
        assert path.name == f"{name}.png" and path.parent.name == "images"
        found = np.asarray(Image.open(path))
        np.testing.assert_array_equal(found[mask > 0], image[mask > 0])
        assert (found[mask == 0] != image[mask == 0]).any()
        others = sorted((path.parent / "others").glob(f"{name}-*.png"))
        assert len(others) == 2  # as many as there are restarts
        for other in others:
            again = np.asarray(Image.open(other))
            np.testing.assert_array_equal(again[mask > 0], image[mask > 0])
        spread = np.asarray(Image.open(path.parent / "spread" / f"{name}.png"))
        assert spread.shape == image.shape
        assert spread[mask == 0].max() > 0 and not spread[mask > 0].any()


def test_equal_names_in_sub_folders_are_completed(prior, tmp_path):
    images, draw = tmp_path / "images", np.random.default_rng(0)
    for place in ("x", "a/x", "a/b/x", "others/x-1", "others/y"):
        (images / place).parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(draw.integers(0, 256, (28, 28), np.uint8))
        grey.save(images / f"{place}.png")
    flags = (f"--config.prior={prior}", f"--config.images={images}")
    finished = run(tmp_path / "run", *flags, config="--config=configs/inpaint.py:smoke")
    assert finished.returncode == 0, finished.stderr
    assert_names_are_own(tmp_path / "run")
    lines = {
        Path(line["input"]).relative_to(images).as_posix(): line
        for line in results(tmp_path / "run")
    }
    for place in ("x.png", "a/x.png", "a/b/x.png", "others/y.png"):
        assert lines[place]["output"] == f"images/{place}"
        made, given = (
            np.asarray(Image.open(path))
            for path in (tmp_path / "run" / "images" / place, images / place)
        )
        assert (made[:7] == given[:7]).all()
    for folder in ("others/a/b/x-1.png", "others/a/x-1.png", "spread/a/x.png"):
        assert (tmp_path / "run" / "images" / folder).exists()
    # `images/others/x-1.png` is an alternative of `x.png`.
    assert not lines["others/x-1.png"]["done"]
    assert "another output has its name" in lines["others/x-1.png"]["reason"]
    assert summary(tmp_path / "run")["inputs"] == {"done": 4, "failed": 1}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--config=configs/wgan_gp.py"),
        (["--config.prior=nowhere"], "is neither a run's workdir nor a packaged prior"),
        (["--config.prior={}", "--config.masks=centre"], "known: none, center"),
        (["--config.prior={}", "--config.masks=random:7"], "makes no sense"),
        (["--config.prior={}", "--config.masks=random:1"], "nothing is known"),
        (["--config.prior={}", "--config.masks=none:5"], "takes no number"),
        (["--config.prior={}", "--config.masks=center:0"], "0 is not above 0"),
        (
            ["--config.prior={}", "--config.masks=center,left:28"],
            "masks 'left:28': a hole of 28x28 pixels leaves no known pixel",
        ),
        (["--config.prior={}", "--config.masks=random:"], "makes no sense"),
        (["--config.prior={}", "--config.degradation=blur:inf"], "makes no sense"),
        (["--config.prior={}", "--config.degradation=noise:nan"], "makes no sense"),
        (["--config.prior={}", "--config.degradation=fog"], "known: grey"),
        (["--config.prior={}", "--config.images=nowhere"], "is no such folder"),
        (["--config.prior={}", "--config.masks=nowhere"], "no such folder or file"),
        (
            ["--config.prior={}", "--config.masks_white=black"],
            "'black' is unknown; known: known, missing",
        ),
        (["--config.prior={}", "--config.masks="], "masks is empty"),
        (["--config.prior={}", "--config.masks=tests"], "--config.images"),
        (
            ["--config.prior={}", "--config.degradation=downsample:3"],
            "downsampled by 3",
        ),
        (
            [
                "--config.prior={}",
                "--config.degradation=grey",
                "--config.losses.yeh.composite=True",
            ],
            "losses.yeh.composite=False",
        ),
        (["--config.prior={}", "--config.losses.yeh.prior=-1"], "at least 0"),
        (["--config.prior={}", "--config.search.slots=0"], "at least 1"),
        (["--config.prior={}", "--config.sweep.over=1"], "sweep.loss is empty"),
        (["--config.prior={}", "--config.along=-1"], "at least 0"),
        (["--config.prior={}", "--config.losses.yeh.unlikely=so"], "known: trained"),
    ],
)
def test_what_cannot_be_searched_is_refused(prior, tmp_path, flags, says):
    given = [flag.format(prior) for flag in flags]
    finished = run(tmp_path / "no", *given, config=CONFIG)
    assert finished.returncode == 2 and "Traceback" not in finished.stderr
    assert says in finished.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_a_degradation_is_undone_in_the_whole_image(prior, tmp_path):
    finished = run(
        tmp_path,
        f"--config.prior={prior}",
        "--config.degradation=downsample:2,noise:0.05",
        "--config.masks=random:0.2",
        config="--config=configs/inpaint.py:smoke",
    )
    assert finished.returncode == 0, finished.stderr
    metrics = summary(tmp_path)["metrics"]
    assert metrics["psnr_hole"] == pytest.approx(metrics["psnr_composite"])


def test_a_users_measurements_are_searched_as_they_are(prior, tmp_path):
    """Small images come back at the prior's size; noise is not added once more."""
    (tmp_path / "small").mkdir()
    random = np.random.default_rng(0)
    for name in "ab":
        small = random.integers(0, 256, (14, 14), np.uint8)
        Image.fromarray(small).save(tmp_path / "small" / f"{name}.png")
    finished = run(
        tmp_path / "run",
        f"--config.prior={prior}",
        f"--config.images={tmp_path / 'small'}",
        "--config.degradation=downsample:2",
        "--config.masks=none",
        config="--config=configs/inpaint.py:yeh,smoke",
    )
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path / "run")
    assert found["inputs"] == {"done": 2, "failed": 0}
    assert "psnr_hole" not in found["metrics"]
    for line in results(tmp_path / "run"):
        image = Image.open(tmp_path / "run" / line["output"])
        assert image.size == (28, 28)
        # The residual is that of the image written: its means against what was given.
        whole = np.asarray(image, float) / 127.5 - 1
        small = np.asarray(Image.open(line["input"]))
        means = whole.reshape(14, 2, 14, 2).mean(axis=(1, 3))
        error = np.abs(means - (small / 127.5 - 1)).mean()
        assert error == pytest.approx(line["residual"], abs=0.01)
        assert line["residual"] > 0


@pytest.mark.slow
def test_a_prior_that_changed_is_searched_anew(prior, tmp_path):
    flags = (f"--config.prior={prior}", "--config.count=2")
    config = "--config=configs/inpaint.py:smoke"
    assert run(tmp_path / "run", *flags, config=config).returncode == 0
    (path,) = (tmp_path / "run" / "searches").glob("*.npz")
    with np.load(path) as kept:
        arrays = dict(kept)
    np.savez(path, **arrays | {"identity": np.array("another")})
    finished = run(tmp_path / "run", *flags, config=config)
    assert finished.returncode == 0
    assert "of another prior or of other images" in finished.stdout
    with np.load(path) as kept:
        np.testing.assert_array_equal(kept["latent"], arrays["latent"])


def completion(loss, iterations):
    """Return a completion of random images whose searches made so many iterations."""
    random = np.random.default_rng(iterations)
    images = random.uniform(-1, 1, (3, 8, 8, 1))
    masks = (random.random((3, 8, 8, 1)) < 0.5).astype(float)
    known = Observation(images * masks, masks, masks)
    three = np.zeros(3)
    history = np.broadcast_to(np.linspace(2, 1, iterations), (3, iterations))
    restarts = Restarts(np.zeros((3, 1, 2)), np.zeros((3, 1)), np.zeros((3, 1)), three)
    found = Found(np.zeros((3, 2)), three, three, three, three, history, restarts)
    sources = lay_whole(
        [
            MaskedImage(f"{number}", f"{number}", image, mask[..., 0] > 0)
            for number, (image, mask) in enumerate(
                zip(to_uint8(images), masks, strict=True)
            )
        ]
    )
    observed = ObservedImages("center", sources, images, masks, known)
    return Completion(observed, loss, found, images[:, None], images, images, None)


def page_of(*completions):
    metrics = [{"psnr_hole": 20.0}] * len(completions)
    return report("inpaint", {}, completions, metrics, "any", 1, "command")


def test_searches_of_unequal_length_are_one_report():
    """The first may be the shortest, or the longest."""
    for lengths in ((3, 9, 5, 4), (9, 3, 4, 5)):
        some = [completion(f"loss_{at}", length) for at, length in enumerate(lengths)]
        page = page_of(*some)
        assert "Loss" in page and "along the search" not in page
        # More losses than one plate can show have another one.
        assert len(plates(some)) == page.count('alt="Under center"') == 2


def test_a_way_is_drawn_from_its_start_to_the_result():
    generated = np.broadcast_to(
        np.array([-1.0, 0.0, 1.0]).reshape(1, 3, 1, 1, 1), (2, 3, 8, 8, 1)
    )
    trace = Trace(np.array([0, 3, 10]), np.zeros((2, 3, 2)), np.array([5, 10]))
    this = completion("yeh", 10)._replace(trace=trace, traced=generated)
    best = this.found._replace(best_step=np.array([4, 9, 9]))
    this = this._replace(found=best)
    drawn = along_plate(this)
    unknown = this.images._replace(truth=None)
    narrow = along_plate(this._replace(images=unknown))
    assert drawn.shape[0] == narrow.shape[0]
    cell = 104 + 6
    assert drawn.shape[1] == narrow.shape[1] + cell
    # From the right: result, after 10, 3 and 0 iterations.
    middle = drawn[drawn.shape[0] // 4, :, 0]
    right = drawn.shape[1] - 12 - 52
    found = [int(middle[right - place * cell]) for place in (1, 2, 3)]
    assert found == [255, 128, 0]
    assert "yeh: along the search" in page_of(this)
