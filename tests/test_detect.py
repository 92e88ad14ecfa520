"""Detection of anomalies, as a user runs it."""

import json
import signal

import numpy as np
import pytest
from PIL import Image

import configs.detect as configs_of_detect
from gan_jax.errors import InputError
from gan_jax.programs import detect
from launch.anomalies import figures, table
from tests.test_inpaint import results
from tests.test_main import command, losses, run, signal_once, summary

CONFIG = "--config=configs/detect.py:smoke"


@pytest.fixture(scope="module")
def detected(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("detect")
    finished = run(workdir, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "snapshots of both networks" in finished.stdout
    return workdir


def test_the_detector_is_measured_beside_its_baselines(detected):
    found = summary(detected)
    metrics = found["metrics"]
    methods = {name.rpartition("/")[0] for name in metrics if "/" in name}
    assert methods == {
        "last critic",
        "mean of the critics",
        "20 principal components",
        "100 principal components",
        "isolation forest",
        "latent search (AnoGAN)",
        "D_TV, the same images",
    }
    for name in ("auprc", "auroc", "base_rate", "false_positive_rate"):
        assert 0 <= metrics[name] <= 1
    assert found["complete"] and found["history"]["snapshots"] == 10
    rows = [row for row in losses(detected) if "validation/total_variation" in row]
    assert [row["step"] for row in rows] == [20, 40, 60]
    for name in ("extremes.png", "scores_of_test_images.svg", "noise.svg"):
        assert (detected / "samples" / name).stat().st_size > 1000
    page = (detected / "report.html").read_text()
    assert "isolation forest" in page and page.count("<img") >= 7


def test_the_gan_has_not_seen_the_anomalies(detected):
    config = json.loads((detected / "gan" / "config.json").read_text())
    assert config["program"] == "train" and config["data.without"] == "0"
    count = summary(detected / "gan")["dataset"]["count"]
    assert count == summary(detected)["dataset"]["count"] < 0.9 * 0.9 * 1797


def test_it_goes_on_where_it_was_killed(detected, tmp_path):
    """It comes to the same detector and figures as without."""
    flags = (f"--config.history_run={detected / 'gan'}",)
    first = tmp_path / "checkpoints" / "20"
    killed = signal_once(
        first, signal.SIGKILL, command(tmp_path, *flags, config=CONFIG)
    )
    assert killed == -9
    assert not (tmp_path / "summary.json").exists()
    finished = run(tmp_path, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert not (tmp_path / "gan").exists()
    assert summary(tmp_path)["metrics"] == summary(detected)["metrics"]
    hashes = [summary(each)["parameters_sha256"] for each in (tmp_path, detected)]
    assert hashes[0] == hashes[1]


def test_users_images_are_scored_and_broken_ones_reported(detected, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    draw = np.random.default_rng(0)
    for index in range(7):
        picture = draw.integers(0, 256, (40, 30), np.uint8)
        Image.fromarray(picture).save(images / f"picture{index}.png")
    (images / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(images / "colour.png")
    flags = (f"--config.prior={detected}", f"--config.images={images}")
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "9 images in" in finished.stdout and "images/s" in finished.stdout
    found = summary(tmp_path / "run")
    assert found["inputs"] == {"done": 7, "failed": 2}
    lines = {
        line["input"].rpartition("/")[2]: line for line in results(tmp_path / "run")
    }
    assert not lines["broken.png"]["done"] and "colour" in lines["colour.png"]["reason"]
    threshold = found["metrics"]["threshold"]
    for index in range(7):
        line = lines[f"picture{index}.png"]
        assert 0 <= line["percentile"] <= 100
        assert line["anomalous"] == (line["score"] > threshold)
        assert (line["percentile"] > 95) == line["anomalous"]
        picture = np.asarray(Image.open(tmp_path / "run" / line["output"]))
        assert picture.shape == (28, 56, 3)
    assert np.asarray(Image.open(tmp_path / "run" / "samples" / "sorted.png")).std() > 5


@pytest.mark.parametrize("protocol", ["holdout", "other"])
def test_the_other_protocols(protocol, tmp_path):
    flags = ("--config.steps=20", "--config.baselines.searched=0")
    config = f"--config=configs/detect.py:{protocol},smoke"
    finished = run(tmp_path, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path)
    if protocol == "other":
        assert {"photos/auprc", "noise/auroc"} < set(found["metrics"])
        return
    normal = 1797 - 178
    rate = 178 / (178 + int(normal * 0.2))
    assert found["metrics"]["base_rate"] == pytest.approx(rate)
    assert found["dataset"]["count"] == pytest.approx(normal * 0.8 * 0.9, abs=2)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("anomaly.label", "", "no anomalies are named"),
        ("anomaly.label", "ten", "no class 'ten'"),
        ("anomaly.others", "noise:2", "between 0 and 1"),
        ("anomaly.others", "nowhere", "nowhere"),
        ("detector.start", "middle", "known: mean, last, scratch"),
        ("detector.groups", 7, "do not divide batch_size"),
        ("history_run", "nowhere", "is no run's workdir"),
        ("prior", "nowhere", "is no run's workdir"),
        ("images", "nowhere", "--config.prior is empty"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(tmp_path, key, value, words):
    config = configs_of_detect.get_config("smoke")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=words):
        detect.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_history_of_other_data_is_refused(detected, tmp_path):
    flags = (
        f"--config.history_run={detected / 'gan'}",
        "--config.anomaly.label=1",
    )
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 2 and "data.without: '0' -> '1'" in finished.stderr


def test_classes_and_seeds_are_tabled(tmp_path):
    for seed, value in enumerate((0.4, 0.6)):
        place = tmp_path / str(seed)
        place.mkdir()
        metrics = {"auprc": value, "base_rate": 0.1, "last critic/auprc": 0.2}
        (place / "summary.json").write_text(json.dumps({"metrics": metrics}))
    places = {("3", seed): tmp_path / str(seed) for seed in range(3)}
    text = table(figures(places, "auprc"))
    assert "| 3 | 0.100 ± 0.000 | 0.500 ± 0.141 | 0.200 ± 0.000 |" in text
    assert "| mean | 0.100 | 0.500 | 0.200 |" in text
