"""Plain GANs and the study that compares them, as their user runs them."""

import json

import numpy as np
import pytest
from PIL import Image

import configs.geostatistics as configs_of_geostatistics
import configs.study_pixelcgan as configs_of_study
from gan_jax.apps.study.arms import check_arm, study_arms
from gan_jax.apps.study.named_lines import comparison
from gan_jax.apps.study.sweep_report import Sweep, blocks, table
from gan_jax.build import datasets
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from tests.programs import assert_names_are_own, run, start_run, summary

ARMS = ("ebgan", "hinge")
TINY = ("--config.shared.steps=20", "--config.shared.batch_size=16")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two objectives on points, two seeds each, a few steps."""
    workdir = tmp_path_factory.mktemp("study")
    config = "--config=configs/compare_objectives.py:gaussians8,smoke"
    flags = (*TINY, "--config.seeds=2", f"--config.only={','.join(ARMS)}")
    finished = start_run(workdir, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    return workdir, config, flags


def test_a_study_compares_its_arms(study):
    workdir, *_ = study
    for place in (workdir, workdir / "runs" / ARMS[0] / "0"):
        assert_names_are_own(place)
    found = summary(workdir)
    assert list(found["arms"]) == list(ARMS)
    assert found["complete"] and not found["metrics_failed"]
    for arm in found["arms"].values():
        assert arm["runs"] == arm["finished"] == 2
        assert len(arm["values"]["fid"]) == 2
        assert arm["values"]["fid"][0] != arm["values"]["fid"][1]
        assert len(arm["values"]["quality"]) == 2
    page = (workdir / "report.html").read_text()
    assert all(name in page for name in ARMS)
    assert page.count("<img") >= len(ARMS) + 2
    for name in ARMS:
        config = json.loads((workdir / "runs" / name / "1" / "config.json").read_text())
        assert config["steps"] == 20 and config["seed"] == 1


def test_a_study_goes_on_where_it_stopped(study):
    workdir, config, flags = study
    before = summary(workdir)
    lost = workdir / "runs" / "hinge" / "1" / "summary.json"
    lost.unlink()
    kept = workdir / "runs" / "ebgan" / "0" / "summary.json"
    stamp = kept.stat().st_mtime_ns
    finished = run(workdir, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    assert lost.exists() and kept.stat().st_mtime_ns == stamp
    after = summary(workdir)
    assert after["runs"] == before["runs"]
    assert after["arms"]["hinge"]["values"]["fid"] == pytest.approx(
        before["arms"]["hinge"]["values"]["fid"]
    )


@pytest.mark.slow
def test_a_run_that_diverges_is_reported_and_ends_nothing_else(tmp_path):
    finished = run(
        tmp_path,
        *TINY,
        "--config.seeds=1",
        "--config.only=lsgan,hinge",
        "--config.arms.lsgan.optimizer.learning_rate=1e30",
        config="--config=configs/compare_objectives.py:gaussians8,smoke",
    )
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path)
    assert "not finite at step" in found["metrics_failed"]["lsgan/fid"]
    assert found["arms"]["lsgan"]["finished"] == 0
    assert found["arms"]["hinge"]["finished"] == 1
    assert "Runs that stopped" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ("gan.py:smoke", "fid"),
        ("wgan_gp.py:smoke", "fid"),
        ("r3gan.py:gaussians25,smoke", "modes"),
    ],
)
def test_a_plain_gan_trains_and_reports(tmp_path, config, metric):
    finished = run(tmp_path, "--config.steps=20", config=f"--config=configs/{config}")
    assert finished.returncode == 0, finished.stderr
    metrics = summary(tmp_path)["metrics"]
    assert metrics[metric] is not None
    assert "diversity_within" not in metrics
    plate = np.asarray(Image.open(tmp_path / "samples" / "best.png"))
    assert plate.std() > 5


def test_a_study_does_not_grow_shorter(study):
    workdir, config, given = study
    before = (workdir / "summary.json").read_text()
    finished = run(workdir, *given, "--config.shared.steps=10", config=config)
    assert finished.returncode == 2
    assert "is trained to step 20 already" in finished.stderr
    assert (workdir / "summary.json").read_text() == before


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("shared.steps=0", "with --config.shared.steps"),
        ("arms.hinge.batch_size=8", "unknown key"),
        ("arms.wgan_gp.objective=foo", "arm wgan_gp: objective 'foo'"),
        ("arms.hinge.critic_steps=0", "with --config.arms.hinge.critic_steps"),
        ("arms.hinge.data.size=2", "arm hinge: its data are not those of arm ebgan"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    tmp_path, flag, says
):
    config = "--config=configs/compare_objectives.py:gaussians8,smoke"
    finished = run(tmp_path / "no", f"--config.{flag}", config=config)
    assert finished.returncode == 2 and "Traceback" not in finished.stderr
    assert says in finished.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_what_stops_the_second_run_leaves_the_first_its_figures(tmp_path, monkeypatch):
    from configs import gan
    from gan_jax.apps.train import run as train
    from gan_jax.config.errors import Interrupted

    configs = []
    for seed in (0, 1):
        config = gan.get_config("gaussians8,smoke")
        config.steps, config.seed = 20, seed
        configs.append(config)
    calls, inner = [], train.train

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Interrupted(15, "stopped")
        return inner(*arguments)

    monkeypatch.setattr(train, "train", stopped)
    monkeypatch.setattr(train, "_groups", lambda states, alone: [[0], [1]])
    with pytest.raises(Interrupted):
        train.run_together(configs, [tmp_path / "0", tmp_path / "1"])
    assert summary(tmp_path / "0")["timing"]["steps_per_second"] > 0
    assert not (tmp_path / "1" / "summary.json").exists()


def test_a_gradient_penalty_with_batch_normalisation_is_refused(tmp_path):
    flag = "--config.network.critic_normalisation=batch"
    finished = run(tmp_path / "no", flag, config="--config=configs/wgan_gp.py:smoke")
    assert finished.returncode == 2
    assert "sees each image alone" in finished.stderr
    assert not (tmp_path / "no").exists()


def test_an_unknown_arm_is_refused(tmp_path):
    config = "--config=configs/compare_objectives.py:gaussians8,smoke"
    finished = run(tmp_path / "no", "--config.only=lsgan,wgam", config=config)
    assert finished.returncode == 2
    assert "no arm 'wgam'" in finished.stderr and "wgan_gp" in finished.stderr
    assert not (tmp_path / "no").exists()


def test_a_comparison_draws_more_methods_than_there_are_colours():
    steps = np.arange(1.0, 6)
    lines = {f"method {n}": [(steps, steps[::-1] * (n + 1))] for n in range(9)}
    picture = comparison(lines, "updates", "FID").decode()
    assert picture.startswith("<?xml") and "stroke-dasharray" in picture


@pytest.mark.slow
def test_a_sweep_has_a_run_for_every_value(tmp_path):
    finished = run(
        tmp_path,
        *TINY,
        "--config.shared.evaluation.every=10",
        "--config.seeds=1",
        "--config.only=pixelcgan",
        "--config.sweep.over=10,0.5",
        config="--config=configs/study_pixelcgan.py:digits,smoke",
    )
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path)
    assert list(found["arms"]) == ["pixelcgan_0.5", "pixelcgan_10"]
    for arm, weight in (("pixelcgan_0.5", 0.5), ("pixelcgan_10", 10)):
        run_of = tmp_path / "runs" / arm / "0" / "config.json"
        assert json.loads(run_of.read_text())["pixel_weight"] == weight
    page = (tmp_path / "report.html").read_text()
    assert "Along pixel_weight" in page and "Trade-off" in page
    with Image.open(tmp_path / "samples" / "comparison.png") as plate:
        assert plate.size[0] > 4 * 28


def wells_study(name="digits"):
    """A study of two weights of wells, on grey images or on images in colour."""
    arms = {}
    for weight in (1.0, 20.0):
        arm = configs_of_geostatistics.get_config("smoke")
        arm.data.name, arm.pixel_weight = name, weight
        arms[f"weight_{weight:g}"] = arm
    config = defaults.study("study_wells", arms)
    return config, study_arms(config), lambda: datasets.source(arm.data)


@pytest.mark.slow
def test_a_study_of_wells_is_of_grey_images():
    config, arms, open_data = wells_study()
    for arm in arms:
        check_arm(config, arm, arms[0], open_data)
    config, arms, open_data = wells_study("photos")
    with pytest.raises(InputError, match=r"arm weight_1: the data has 3 channels"):
        check_arm(config, arms[0], arms[0], open_data)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"over": "1,many"}, "'many' is not a number"),
        ({"over": ""}, "sweep.over is empty"),
        ({"arm": "pixelgan"}, "no arm 'pixelgan'; known: "),
        ({"key": "pixel_wieght"}, "'pixel_wieght' is no number of arm pixelcgan"),
        ({"key": "seed"}, "'seed' is no number"),
        ({"key": "batch_size"}, "'batch_size' is no number"),
    ],
)
def test_a_sweep_of_what_is_no_number_is_refused(values, reason):
    config = configs_of_study.get_config("smoke")
    with config.unlocked():
        config.sweep.update(values)
    with pytest.raises(InputError, match=reason):
        study_arms(config)


def test_every_value_of_a_sweep_has_a_folder_of_its_own():
    config = configs_of_study.get_config("smoke")
    config.only, config.sweep.over = "pixelcgan", "1000000,1000001,0.1,10"
    assert [arm.name for arm in study_arms(config)] == [
        "pixelcgan_0.1",
        "pixelcgan_10",
        "pixelcgan_1000000",
        "pixelcgan_1000001",
    ]


def test_a_table_of_a_sweep_has_medians_quartiles_and_what_was_published():
    sweep = Sweep(
        "pixel_weight",
        ("fid", "pixel_mse"),
        {
            1.0: {"fid": [3.0, 1.0, 2.0], "pixel_mse": [0.1, 0.2, 0.3]},
            10.0: {"fid": [4.0], "pixel_mse": [0.01]},
        },
        {"gan": {"fid": [1.0], "pixel_mse": [0.5]}},
        {1.0: {"pixel_mse": 0.055}, 28.0: {"pixel_mse": 0.0056}},
    )
    found = table(sweep)
    assert found.header[-1] == "pixel_mse, published"
    assert [row[0] for row in found.rows] == [1.0, 10.0, 28.0, "gan"]
    assert found.rows[0][1] == "2 (1.5 to 2.5)"
    # Two of the three runs had no such figure, as they failed.
    assert list(found.rows[1][1:]) == ["4, 1 of 3 runs", "0.01, 1 of 3 runs", None]
    assert list(found.rows[2][1:]) == [None, None, 0.0056]
    titles = [block.title for block in blocks(sweep)]
    assert len(titles) == 4 and titles[-1] == "Trade-off"
