"""Detection of anomalies, as a user runs it."""

import json
import shutil
import signal
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.detect import run as detect
from gan_jax.apps.detect.detector import open_detector_run
from gan_jax.apps.detect.history import open_snapshots
from gan_jax.apps.detect.total_variation import Scale
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.report.formats import format_number
from gan_jax.runs.prior import open_prior
from gan_jax.runs.signals import Signals
from launch.anomalies import figures, table
from tests import runs
from tests.jobs import assert_a_batch_job_does_the_same
from tests.programs import (
    KILLED,
    assert_names_are_own,
    command,
    losses,
    results,
    run,
    signal_once,
    start_run,
    summary,
)

CONFIG = "--config=configs/detect.py:smoke"


smoke = partial(runs.smoke, "detect", "smoke")


@pytest.fixture(scope="module")
def detected(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("detect")
    finished = start_run(workdir, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "snapshots of both networks" in finished.stdout
    return workdir


def test_the_detector_is_measured_beside_its_baselines(detected):
    for workdir in (detected, detected / "gan"):
        assert_names_are_own(workdir)
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
    assert found["validation"]["count"] == 145  # a tenth of those to train on
    assert found["complete"] and found["history"]["snapshots"] == 10
    rows = [row for row in losses(detected) if "validation/total_variation" in row]
    assert [row["step"] for row in rows] == [20, 40, 60]
    looks = [row["validation/total_variation"] for row in rows]
    assert max(0, *looks) <= metrics["total_variation"] <= 1
    for name in ("extremes.png", "scores_of_test_images.svg", "noise.svg"):
        assert (detected / "samples" / name).stat().st_size > 1000
    page = (detected / "report.html").read_text()
    assert "isolation forest" in page and page.count("<img") >= 7
    assert "no longer shape" in page
    assert page.count(format_number(metrics["total_variation"])) >= 2


def test_the_gan_has_not_seen_the_anomalies(detected):
    config = json.loads((detected / "gan" / "config.json").read_text())
    assert config["program"] == "train" and config["data.without"] == "0"
    count = summary(detected / "gan")["dataset"]["count"]
    assert count == summary(detected)["dataset"]["count"] < 0.9 * 0.9 * 1797


@pytest.mark.slow
def test_it_goes_on_where_it_was_killed(detected, tmp_path):
    """It comes to the same detector and figures as without."""
    flags = (f"--config.history_run={detected / 'gan'}",)
    first = tmp_path / "checkpoints" / "20"
    arguments = command(tmp_path, *flags, config=CONFIG)
    assert signal_once(first, signal.SIGKILL, arguments) == KILLED
    assert not (tmp_path / "summary.json").exists()
    finished = start_run(tmp_path, *flags, config=CONFIG)
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
    assert_names_are_own(tmp_path / "run")
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
    assert_a_batch_job_does_the_same(tmp_path / "run", tmp_path / "job", CONFIG, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["holdout", "other"])
def test_the_other_protocols(protocol, tmp_path):
    flags = ["--config.steps=20", "--config.baselines.searched=0"]
    if protocol == "other":
        folder = tmp_path / "others"
        folder.mkdir()
        for index in range(3):
            ramp = np.linspace(0, 40 * index, 784).reshape(28, 28).astype(np.uint8)
            Image.fromarray(ramp).save(folder / f"{index}.png")
        (folder / "broken.png").write_bytes(b"no image")
        flags += [f"--config.anomaly.others=photos:0.001,{folder},noise"]
    config = f"--config=configs/detect.py:{protocol},smoke"
    finished = run(tmp_path / "run", *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path / "run")
    if protocol == "other":
        assert {"photos/auprc", "noise/auroc"} < set(found["metrics"])
        assert found["metrics"]["others/base_rate"] == pytest.approx(3 / 183, rel=0.02)
        (line,) = results(tmp_path / "run")
        assert line["input"].endswith("broken.png") and not line["done"]
        rows = figures({("", 0): tmp_path / "run"}, "auroc")
        assert {"photos", "others", "noise"} == set(rows)
        assert rows["noise"]["D_TV"] == [found["metrics"]["noise/auroc"]]
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
        ("anomaly.others", "a/normal,noise", "called normal"),
        ("anomaly.others", "noise,noise", "called noise"),
        ("history.every", 0, "keeps no snapshot"),
        ("history.every", 101, "keeps no snapshot"),
        ("search.optimizer.name", "bogus", "known: adam"),
        ("detector.start", "middle", "known: mean, last, scratch, components"),
        ("detector.start", "components", "makes no dense_autoencoder"),
        ("detector.critic", "linear_autoencoder", "start from scratch or components"),
        ("detector.critic", "nothing", "known: dcgan"),
        ("detector.groups", 7, "do not divide batch_size"),
        ("detector.rescale", False, "dense_autoencoder has energies"),
        ("history_run", "nowhere", "is no run's workdir"),
        ("prior", "nowhere", "is no run's workdir"),
        ("images", "nowhere", "--config.prior is empty"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(tmp_path, key, value, words):
    with pytest.raises(InputError, match=words):
        detect.run(smoke(**{key: value}), tmp_path / "run")
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
        metrics = {
            "total_variation": value / 2,
            "auprc": value,
            "base_rate": 0.1,
            "last critic/auprc": 0.2,
        }
        (place / "summary.json").write_text(json.dumps({"metrics": metrics}))
    places = {("3", seed): tmp_path / str(seed) for seed in range(3)}
    text = table(figures(places, "auprc"))
    assert "| class | D_TV | base rate | total variation | last critic |" in text
    row = "| 3 | 0.500 ± 0.141 | 0.100 ± 0.000 | 0.250 ± 0.071 | 0.200 ± 0.000 |"
    assert row in text
    assert "| mean | 0.500 | 0.100 | 0.250 | 0.200 |" in text


def test_every_kind_of_a_run_has_its_total_variation(tmp_path):
    metrics = {"total_variation": 0.8, "noise_rank_correlation": 1.0}
    for kind, value in (("noise", 0.9), ("photos", 0.7)):
        metrics |= {f"{kind}/auroc": value, f"{kind}/base_rate": 0.3}
        metrics |= {f"{kind}/last critic/auroc": None}
    (tmp_path / "summary.json").write_text(json.dumps({"metrics": metrics}))
    beside = {"base rate": [0.3], "total variation": [0.8]}
    assert figures({("", 0): tmp_path}, "auroc") == {
        "noise": {"D_TV": [0.9], **beside},
        "photos": {"D_TV": [0.7], **beside},
    }


def test_a_detectors_history_does_not_grow_under_it(detected):
    with pytest.raises(InputError, match="history of 100 steps"):
        detect.run(smoke(steps=120), detected)
    assert summary(detected / "gan")["complete"]
    assert json.loads((detected / "config.json").read_text())["steps"] == 100


def test_scores_do_not_go_where_the_detector_lies(detected, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "one.png").write_bytes(b"no image")
    config = smoke(prior=detected, images=tmp_path / "images")
    with pytest.raises(InputError, match="another --workdir"):
        detect.run(config, detected)
    with pytest.raises(InputError, match="no image to score"):
        detect.run(config, tmp_path / "run")
    (line,) = results(tmp_path / "run")
    assert not line["done"]


def test_a_signal_between_the_gan_and_its_detector_is_obeyed(tmp_path, monkeypatch):
    def trained(config, workdir, prepared):
        with Signals():
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(detect.train, "run", trained)
    with pytest.raises(Interrupted, match="the same command continues"):
        detect.run(smoke(), tmp_path)


def test_a_history_with_a_gap_is_refused(detected, tmp_path):
    shutil.copytree(detected / "gan", tmp_path / "gan")
    shutil.rmtree(tmp_path / "gan" / "history" / "30")
    with pytest.raises(InputError, match="lacks steps 30"):
        detect.run(smoke(history_run=tmp_path / "gan"), tmp_path / "run")


@pytest.mark.slow
def test_a_new_critic_begins_between_principal_components(detected, tmp_path):
    values = {
        "history_run": detected / "gan",
        "detector.critic": "linear_autoencoder",
        "detector.start": "components",
        "detector.learning_rate": 1e-9,
        "network.code": 100,
        "baselines.searched": 0,
    }
    metrics = detect.run(smoke(**values), tmp_path / "run")["metrics"]
    components = metrics["100 principal components/auroc"]
    assert metrics["auroc"] == pytest.approx(components, abs=1e-3)
    assert metrics["auroc"] != metrics["last critic/auroc"]
    with pytest.raises(InputError, match="784 at most"):
        detect.run(smoke(**values | {"network.code": 785}), tmp_path / "large")


@pytest.mark.slow
def test_the_papers_critic_starts_as_the_mean_of_all_from_the_first_epoch_on(tmp_path):
    """And with the scores that it has."""
    values = {
        "network.generator": "perceptron",
        "network.critic": "perceptron",
        "network.critic_width": 8,
        "steps": 20,
        "critic_steps": 1,
        "history.every": 5,
        "batch_size": 256,
        "detector.learning_rate": 1e-9,
        "detector.steps": 20,
        "baselines.searched": 0,
        "baselines.shallow": False,
    }
    config = runs.smoke("detect", "published,smoke", **values)
    run = detect.run(config, tmp_path / "run")
    (look,) = (
        row["validation/total_variation"]
        for row in losses(tmp_path / "run")
        if "validation/total_variation" in row
    )
    estimate = pytest.approx(max(0, look), abs=1e-5)
    assert run["metrics"]["total_variation"] == estimate
    prior = open_prior(str(tmp_path / "run" / "gan"), "")
    snapshots = open_snapshots(prior, run["dataset"]["count"])
    assert snapshots.epoch == -(-run["dataset"]["count"] // 256) == 6
    weights = snapshots.critic_weights(1.0)
    wanted = np.exp([-0.5, -0.75, -1.0])
    np.testing.assert_allclose(weights, [0, *wanted / wanted.sum()], rtol=1e-12)
    opened = open_detector_run(str(tmp_path / "run"), "")
    assert opened.detector.scale == Scale(0.0, 1.0)
    jax.tree.map(
        lambda found, leaf: np.testing.assert_allclose(
            found, np.tensordot(weights, leaf, 1), atol=1e-5
        ),
        opened.detector.critic,
        snapshots.critics,
    )


def test_a_history_under_conditions_is_refused(tmp_path):
    config = runs.smoke("pixelcgan")
    place = tmp_path / "pixels"
    place.mkdir()
    runs.written(place, config, channels=1)
    with pytest.raises(InputError, match="generates under conditions"):
        detect.run(smoke(history_run=place), tmp_path / "run")


def test_a_damaged_detector_is_named(detected, tmp_path):
    place = tmp_path / "copy"
    shutil.copytree(detected, place, ignore=shutil.ignore_patterns("gan"))
    config = smoke(prior=place, images=tmp_path / "images")
    for text in ("{}", "[]", "no json"):
        (place / "gan.json").write_text(text)
        with pytest.raises(InputError, match=r"is damaged.*run its command again"):
            detect.run(config, tmp_path / "run")
    shutil.copy(detected / "gan.json", place)
    shutil.rmtree(place / "detector")
    with pytest.raises(InputError, match="holds no detector"):
        detect.run(config, tmp_path / "run")
