"""Collaborative sampling and inpainting, as a user runs them."""

import shutil
import signal
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.collaborate import run as collaborate
from gan_jax.apps.collaborate.lessons import searched_lessons
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.train.setup import prepare
from gan_jax.config.errors import InputError
from gan_jax.data import holes
from gan_jax.data.feed import read, to_float
from gan_jax.runs.signals import Signals
from tests.programs import (
    KILLED,
    STOPPED,
    assert_names_are_own,
    command,
    losses,
    results,
    run,
    signal_once,
    start_run,
    summary,
)
from tests.runs import kept, smoke

CONFIG = "--config=configs/collaborate.py:smoke"
INPAINTING = "--config=configs/collaborate.py:inpainting,smoke"


def found(images):
    """Return what a search that has not moved would find."""
    return SimpleNamespace(latent=np.zeros((len(images.sources), 2), np.float32))


def train(workdir, config, steps=20):
    flags = (f"--config.steps={steps}", "--config.evaluation.every=0")
    finished = run(workdir, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    return workdir


@pytest.fixture(scope="module")
def prior(gan):
    return gan.workdir


@pytest.fixture(scope="module")
def sampled(prior, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sampling")
    finished = start_run(workdir, f"--config.prior={prior}", config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    return workdir


def test_samples_of_every_stage_are_measured(sampled):
    assert_names_are_own(sampled)
    found = summary(sampled)
    stages = {name.partition("/")[0] for name in found["metrics"]}
    assert {"proposals", "refined", "refined, 0.5 epochs", "refined, 1 epochs"} < stages
    assert {"proposals, rejection", "refined and shaped, Metropolis-Hastings"} < stages
    assert found["metrics"]["refined, 1 epochs/fid"] > 0 and found["complete"]
    measured = {name.partition("/")[2] for name in found["metrics"]}
    assert {"fid", "classes", "diversity", "diversity_real", "collapsed"} < measured
    assert np.asarray(Image.open(sampled / "samples" / "samples.png")).std() > 5
    page = (sampled / "report.html").read_text()
    assert ">classes</th>" in page and ">fid_count</th>" not in page
    assert "Acceptance" in page and page.count("<img") >= 2
    rows = losses(sampled)
    assert rows[0]["refinement/refined"] < rows[0]["refinement/proposed"]


def snapshots(workdir):
    return sorted(int(path.name) for path in (workdir / "snapshots").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, KILLED), (signal.SIGTERM, STOPPED)]
)
def test_shaping_goes_on_where_it_was_stopped(prior, sampled, tmp_path, number, code):
    """It comes to the same critics and figures as without the stop."""
    flags = (f"--config.prior={prior}",)
    first = tmp_path / "checkpoints" / "5"
    arguments = command(tmp_path, *flags, config=CONFIG)
    assert signal_once(first, number, arguments) == code
    assert not (tmp_path / "summary.json").exists()
    finished = start_run(tmp_path, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "continues at step" in finished.stdout
    assert summary(tmp_path)["metrics"] == summary(sampled)["metrics"]
    assert snapshots(tmp_path) == snapshots(sampled)
    hashes = [summary(each)["parameters_sha256"] for each in (tmp_path, sampled)]
    assert hashes[0] == hashes[1] != summary(prior)["parameters_sha256"]


def test_another_prior_in_the_same_place_is_noticed(prior, sampled, tmp_path):
    shutil.copytree(sampled, tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(prior), str(tmp_path / "prior")))
    kept(tmp_path / "prior", smoke("gan"), seed=1)
    flag = f"--config.prior={tmp_path / 'prior'}"
    finished = run(tmp_path / "run", flag, config=CONFIG)
    assert finished.returncode == 2 and "another prior" in finished.stderr


@pytest.mark.slow
def test_a_critic_that_was_shaped_on_several_devices_refines(prior, tmp_path):
    flags = (
        f"--config.prior={prior}",
        "--config.shaping.epochs=0.1",
        "--config.shaping.snapshots=",
        "--config.acceptance.count=0",
        "--config.count=100",
    )
    finished = run(tmp_path, *flags, config=CONFIG, devices=4)
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path)
    assert found["environment"]["count"] == 4
    assert "refined/fid" in found["metrics"]
    assert np.asarray(Image.open(tmp_path / "samples" / "samples.png")).std() > 5


@pytest.fixture(scope="module")
def completed(prior, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("inpainting")
    finished = run(
        workdir, f"--config.prior={prior}", "--config.count=20", config=INPAINTING
    )
    assert finished.returncode == 0, finished.stderr
    return workdir, finished.stdout


@pytest.mark.slow
def test_completions_are_refined_and_kept_where_trusted(completed):
    workdir, _ = completed
    assert_names_are_own(workdir)
    found = summary(workdir)["metrics"]
    names = {name.partition("/")[0] for name in found}
    assert {"proposals", "refined", "refined, 1 epochs, kept where trusted"} < names
    kept = found["refined, 1 epochs, kept where trusted/kept"]
    lines = results(workdir)
    assert len(lines) == 20 and all(line["done"] for line in lines)
    assert np.mean([line["refined"] for line in lines]) == pytest.approx(kept)
    for line in lines:
        assert (line["psnr_composite"] == line["proposal_psnr_composite"]) or line[
            "refined"
        ]
        assert np.asarray(Image.open(workdir / line["output"])).shape == (28, 28)
    for name in ("completions", "through_shaping"):
        assert np.asarray(Image.open(workdir / "samples" / f"{name}.png")).std() > 5
    assert "Mortiniera" in (workdir / "report.html").read_text()


@pytest.mark.slow
def test_latents_are_searched_once_for_all_collaborations(completed, prior, tmp_path):
    flags = (
        f"--config.prior={prior}",
        "--config.count=20",
        "--config.refinement.layer=2",
    )
    finished = run(tmp_path, *flags, config=INPAINTING)
    assert finished.returncode == 0, finished.stderr
    assert "searched before" not in completed[1]
    assert finished.stdout.count("searched before") == 2


def test_lessons_of_searched_latents_are_not_mirrored(tmp_path):
    values = {"data.name": "digits", "data.flip": "horizontal", "batch_size": 16}
    config = smoke("gan", **values)
    training = prepare(config, tmp_path)
    prior = kept(tmp_path / "prior", config)
    search = object.__new__(LatentSearch)
    search.run = lambda images, *_: (found(images), 0.0)
    own = smoke("collaborate", "inpainting,smoke", **{"shaping.images": 16})
    given = searched_lessons(own, prior, training, holes.centre, search, Signals())
    lesson = given.lesson(given.arrays(0), jnp.int32(0))
    known = np.asarray(lesson.known.mask)
    real = {image.tobytes() for image in np.asarray(lesson.batch.real)}
    part = read(training.parts["train"]["real"], np.arange(16)).image
    assert real == {image.tobytes() for image in np.asarray(to_float(part))}
    assert known.mean() == pytest.approx(0.75)


@pytest.mark.slow
def test_a_users_images_keep_their_known_pixels(prior, tmp_path):
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    image, mask = (
        random.integers(0, 256, (50, 70), np.uint8),
        np.full((50, 70), 255, np.uint8),
    )
    mask[10:20, 24:30] = 0
    Image.fromarray(image).save(tmp_path / "images" / "one.png")
    Image.fromarray(mask).save(tmp_path / "masks" / "one.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    finished = run(
        tmp_path / "run",
        f"--config.prior={prior}",
        f"--config.images={tmp_path / 'images'}",
        f"--config.masks={tmp_path / 'masks'}",
        "--config.shaping.masks=squares:2",
        config=CONFIG,
    )
    assert finished.returncode == 0, finished.stderr
    assert summary(tmp_path / "run")["inputs"] == {"done": 1, "failed": 1}
    done = [line for line in results(tmp_path / "run") if line["done"]]
    found = np.asarray(Image.open(tmp_path / "run" / done[0]["output"]))
    np.testing.assert_array_equal(found[mask > 0], image[mask > 0])


@pytest.mark.slow
def test_energies_are_refined_downhill(tmp_path):
    workdir = kept(tmp_path / "prior", smoke("ebgan")).workdir
    flags = (f"--config.prior={workdir}", "--config.refinement.unlikely=trained")
    more = ("--config.acceptance.count=0", "--config.shaping.epochs=0.2")
    others = (
        "--config.shaping.snapshots=",
        # To a critic without training all it makes is likelier than real images.
        "--config.shaping.stopping=probabilistic",
    )
    finished = run(tmp_path / "run", *flags, *more, *others, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    rows = losses(tmp_path / "run")
    assert rows[0]["refinement/refined"] < rows[0]["refinement/proposed"]


@pytest.mark.slow
def test_points_and_conditions_are_refined_too(tmp_path):
    points = smoke("gan", "gaussians8,smoke")
    workdir = kept(tmp_path / "points", points, channels=2).workdir
    finished = run(
        tmp_path / "a",
        f"--config.prior={workdir}",
        "--config.shaping.epochs=0.1",
        "--config.shaping.snapshots=",
        config="--config=configs/collaborate.py:points,smoke",
    )
    assert finished.returncode == 0, finished.stderr
    assert "refined/balance" in summary(tmp_path / "a")["metrics"]
    assert (tmp_path / "a" / "samples" / "points.png").exists()
    workdir = kept(tmp_path / "pixels", smoke("pixelcgan")).workdir
    finished = run(tmp_path / "b", f"--config.prior={workdir}", config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "refined/pixel_mse" in summary(tmp_path / "b")["metrics"]
    finished = run(tmp_path / "c", f"--config.prior={workdir}", config=INPAINTING)
    assert finished.returncode == 2 and "under conditions" in finished.stderr


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "draws no latents"),
        (
            {"network.generator": "latent_unet", "latent.prior": "normal"},
            "makes 2 of 3 channels",
        ),
    ],
)
def test_a_prior_of_colours_is_refused(tmp_path, values, says):
    kept(tmp_path / "run", smoke("colorize", program="train", **values), channels=3)
    config = smoke("collaborate", prior=str(tmp_path / "run"))
    with pytest.raises(InputError, match=says):
        collaborate.run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "flag", "says"),
    [
        (CONFIG, None, "--config=configs/gan.py"),
        (CONFIG, "refinement.layer=4", "has 3 stages"),
        (CONFIG, "refinement.stopping=so", "known: deterministic, best"),
        (CONFIG, "refinement.unlikely=so", "known: trained"),
        (CONFIG, "shaping.start=so", "known: trained"),
        (CONFIG, "shaping.snapshots=7", "between 0 and"),
        (CONFIG, "shaping.batch_size=99999", "batch_size"),
        (CONFIG, "refinement.rate=0", "above 0"),
        (CONFIG, "refinement.unlikely=energy", "does not fit the objective"),
        (CONFIG, "images=tests", "--config.masks"),
        (INPAINTING, "losses.yeh.weights=so", "known: near"),
        (INPAINTING, "shaping.images=3", "shaping.batch_size"),
        (INPAINTING, "masks=center,left", "one kind"),
        (INPAINTING, "masks=tests", "shaping.masks"),
        (INPAINTING, "masks=none", "no image"),
        (INPAINTING, "shaping.masks=top:30", "masks 'top:30': a hole of 30x28 pixels"),
        ("--config=configs/collaborate.py:narow", "seed=0", "did you mean narrow"),
    ],
)
def test_what_cannot_be_refined_is_refused(prior, tmp_path, config, flag, says):
    given = [f"--config.prior={prior}", f"--config.{flag}"] if flag else []
    finished = run(tmp_path / "no", *given, config=config)
    assert finished.returncode == 2 and "Traceback" not in finished.stderr
    assert says in finished.stderr
    assert not (tmp_path / "no").exists()
