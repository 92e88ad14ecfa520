"""The main job as its user runs it: whole, stopped, killed, resumed, misused."""

import json
import os
import re
import signal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.programs import (
    KILLED,
    STOPPED,
    assert_names_are_own,
    command,
    losses,
    results,
    run,
    signal_once,
    start,
    start_run,
    summary,
)

STEPS = 30
LENGTHS = (
    f"--config.steps={STEPS}",
    "--config.checkpoint_every=10",
    "--config.evaluation.every=20",
    "--config.sample_every=20",
)


def train(workdir, *flags, how=run, **changes):
    finished = how(workdir, *LENGTHS, *flags, **changes)
    assert finished.returncode == 0, finished.stderr
    return finished, summary(workdir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return an uninterrupted run, in a process of its own."""
    workdir = tmp_path_factory.mktemp("whole")
    train(workdir, how=start_run)
    return workdir


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Return the same run on four devices."""
    workdir = tmp_path_factory.mktemp("four")
    train(workdir, devices=4)
    return workdir


def test_leaves_what_the_contract_says(whole):
    assert_names_are_own(whole)
    found = summary(whole)
    assert found["complete"] is True
    assert found["program"] == "train" and found["config_name"] == "pixelcgan"
    assert found["dataset"]["name"] == "digits"
    assert found["dataset"]["count"] == 1166 + 291
    assert re.fullmatch("[0-9a-f]{64}", found["dataset"]["sha256"])
    assert re.fullmatch("[0-9a-f]{64}", found["parameters_sha256"])
    assert {*found["timing"]} == {
        "compile_seconds",
        "steps_per_second",
        "images_per_second",
        "host_share",
        "total_seconds",
    }
    assert 0 < found["timing"]["host_share"] < 1
    metrics = found["metrics"]
    assert found["metrics_failed"] == {}
    for name in ("pixel_mse", "diversity", "diversity_within", "diversity_real"):
        assert 0 < metrics[name] < 4
    assert metrics["fid"] > 0 and 0 <= metrics["precision"] <= 1
    assert metrics["fid_count"] == 200 and 1 <= metrics["classes"] <= 10
    assert metrics["fid_features"]["accuracy"] > 0.5
    assert re.fullmatch("[0-9a-f]{64}", metrics["fid_features"]["sha256"])
    share = metrics["diversity"] / metrics["diversity_real"]
    assert metrics["collapsed"] is (share < 0.2)
    rows = losses(whole)
    assert [row["step"] for row in rows][:20] == list(range(1, 21))
    assert {
        "critic/adversarial",
        "generator/adversarial",
        "generator/pixel_fidelity",
    } <= {*rows[0]}
    total = rows[0]["generator/adversarial"] + rows[0]["generator/pixel_fidelity"]
    assert rows[0]["generator/loss"] == pytest.approx(total, rel=1e-5)
    assert "validation/pixel_mse" in rows[19]
    assert any((whole / "tensorboard").iterdir())
    assert json.loads((whole / "config.json").read_text())["pixel_weight"] > 0


def test_the_best_epoch_is_chosen_on_validation_and_reported(whole):
    found = summary(whole)
    epochs = [row for row in losses(whole) if "validation/fid" in row]
    assert [row["step"] for row in epochs] == [20, STEPS]
    values = np.array(
        [[row["validation/fid"], row["validation/pixel_mse"]] for row in epochs]
    )
    scaled = (values - values.min(0)) / np.ptp(values, axis=0)
    best = epochs[int((scaled**2).sum(1).argmin())]["step"]
    assert found["best"] == {"step": best, "criterion": ["fid", "pixel_mse"]}
    assert (whole / "epochs" / str(best)).is_dir()
    assert found["last"]["step"] == STEPS
    assert (found["last"]["metrics"] == found["metrics"]) is (best == STEPS)
    text = (whole / "report.html").read_text()
    assert f"best, step {best}" in text and "FID against Pixel mse" in text


def test_draws_pictures_and_a_page_that_needs_nothing_else(whole):
    assert (whole / "samples" / "best.png").exists()
    plates = sorted((whole / "samples").glob("0*.png"))
    assert [int(plate.stem) for plate in plates] == [20, 30]
    pixels = np.asarray(Image.open(plates[-1]))
    assert pixels.std() > 10
    text = (whole / "report.html").read_text()
    HTMLParser().feed(text)
    assert "data:image/png;base64," in text and "<script" not in text
    assert not re.search(r"(src|href)=.https?:", text)


def test_a_complete_run_is_evaluated_again_without_training(whole):
    before = summary(whole)
    finished, after = train(whole, how=start_run)
    assert f"trained to step {STEPS}" in finished.stdout
    assert after["metrics"] == before["metrics"]
    assert after["parameters_sha256"] == before["parameters_sha256"]
    assert after["timing"] == before["timing"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, STOPPED, marks=pytest.mark.slow),
        (signal.SIGKILL, KILLED),
    ],
)
def test_a_stopped_run_continues_to_identical_parameters(whole, tmp_path, number, code):
    first = tmp_path / "checkpoints" / "10"
    assert signal_once(first, number, command(tmp_path, *LENGTHS)) == code
    assert not (tmp_path / "summary.json").exists()
    finished, found = train(tmp_path, how=start_run)
    assert "continues at step" in finished.stdout
    assert found["parameters_sha256"] == summary(whole)["parameters_sha256"]
    steps = [row["step"] for row in losses(tmp_path)]
    assert steps == [row["step"] for row in losses(whole)]


@pytest.mark.slow
def test_an_unreadable_checkpoint_is_set_aside(four, tmp_path):
    # Two whole checkpoints, 20 and 30; the newest loses half of every file.
    train(tmp_path, devices=4)
    for file in (tmp_path / "checkpoints" / str(STEPS)).rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    finished, found = train(tmp_path, devices=4)
    assert f"checkpoint {STEPS} cannot be read" in finished.stdout
    assert "continues at step 20" in finished.stdout
    assert found["parameters_sha256"] == summary(four)["parameters_sha256"]
    assert any((tmp_path / "unreadable").iterdir())


@pytest.mark.slow
def test_streamed_and_resident_training_are_the_same(four, tmp_path):
    _, found = train(tmp_path, "--config.data.feed=streamed", devices=4)
    assert found["parameters_sha256"] == summary(four)["parameters_sha256"]


@pytest.mark.slow
def test_four_devices_train_as_one(whole, four):
    counts = [summary(workdir)["environment"]["count"] for workdir in (whole, four)]
    assert counts == [1, 4]
    for one, other in zip(losses(whole)[:20], losses(four)[:20], strict=True):
        for name, value in one.items():
            if name.startswith(("critic/", "generator/")):
                assert other[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


@pytest.mark.slow
def test_a_disk_that_fails_is_one_line_and_the_run_continues(whole, tmp_path):
    limited = ["bash", "-c", 'ulimit -f 64 && exec "$@"', "-"]  # KiB of any one file
    failed = start([*limited, *command(tmp_path, *LENGTHS)])
    assert failed.returncode == 2
    # Orbax's threads may still be failing, each with a word of its own.
    (said,) = re.findall("^gan_jax: .*", failed.stderr, re.MULTILINE)
    assert "File too large: raise the limit on the size of files" in said
    assert not (tmp_path / "summary.json").exists()
    _, found = train(tmp_path, how=start_run)
    assert found["parameters_sha256"] == summary(whole)["parameters_sha256"]


@pytest.mark.slow
def test_history_keeps_both_networks(tmp_path):
    train(tmp_path, "--config.history.every=15")
    assert {path.name for path in (tmp_path / "history").iterdir()} == {"15", "30"}


@pytest.mark.slow
def test_a_folder_of_the_users_own_images(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw = np.random.default_rng(0)
    for index in range(220):
        noise = draw.integers(0, 256, (33, 40, 3), np.uint8)
        Image.fromarray(noise).save(pictures / f"{index}.png")
    (pictures / "broken.png").write_bytes(b"\x89PNG")
    finished, found = train(
        tmp_path / "run",
        f"--config.data.path={pictures}",
        "--config.data.size=16",
        "--config.condition_critic=True",
        "--config.evaluation.classifier.epochs=1",
    )
    assert "broken.png" in finished.stdout
    listed = results(tmp_path / "run")
    assert [Path(line["input"]).name for line in listed] == ["broken.png"]
    assert listed[0]["done"] is False and listed[0]["reason"]
    assert found["metrics"]["fid"] is None  # 22 test images for 32 features
    assert "too few" in found["metrics_failed"]["fid"]
    assert found["metrics_failed"]["classes"].endswith("no labels")
    assert "quarter turns" in found["metrics"]["fid_features"]["network"]
    assert found["dataset"]["name"] == "pictures"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--config.stepz=3"], "unknown key --config.stepz (did you mean steps?)"),
        (["--config.steps=many"], "invalid literal"),
        (["--config.objective=nope"], "known: minimax, nonsaturating"),
        (["--config.data.name=no_such_set"], "tfds build no_such_set"),
        (["--config.data.path=nowhere"], "does not exist"),
        (["--config.data.path=configs"], "holds no images"),
        (["--config.data.size=30"], "base * 2^depth"),
        (["--config.batch_size=5000"], "larger than"),
        (["--config.mask.count=900", "--config.mask.fraction=0"], "900 known pixels"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, flags, says):
    finished = run(tmp_path / "run", *flags)
    assert finished.returncode == 2
    assert says in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_variant_lists_the_known_ones(tmp_path):
    finished = run(tmp_path, config="--config=configs/pixelcgan.py:mnits")
    assert finished.returncode == 2
    assert "did you mean mnist?" in finished.stderr
    assert "cgan, packed, sparse, narrow, smoke" in finished.stderr


def test_the_workdir_of_another_config_is_refused(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    finished = run(whole, f"--config.steps={STEPS}", "--config.seed=1")
    assert finished.returncode == 2
    assert "seed: 0 -> 1" in finished.stderr
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before
