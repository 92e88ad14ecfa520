"""Labels, masks and maps of images whose folders say which are normal."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from gan_jax.apps.detect import run as detect
from gan_jax.apps.detect.classes import roles, with_classes
from gan_jax.apps.detect.detector import Detector, anomaly_scores
from gan_jax.apps.detect.scoring import maps
from gan_jax.apps.detect.scoring.labels import read_labels
from gan_jax.apps.detect.scoring.maps import map_kind, pixel_measures, pixel_scores
from gan_jax.apps.detect.total_variation import Scale
from gan_jax.build import datasets, methods, tasks
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data.decode import BrokenImageError
from tests.defects import DEFECTS, write_tree
from tests.jobs import assert_a_batch_job_does_the_same
from tests.programs import results, run, summary
from tests.runs import drawn, kept_detector, smoke


def touch(root, *places, levels=(0, 255)):
    """Write small images, of two levels where their folders are called like masks."""
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((8, 8), levels[0], np.uint8)
        image[2:4, 2:4] = levels[1]
        Image.fromarray(image).save(path)


LAYOUTS = {
    "MVTec AD": (
        [
            *("train/good/000.png", "train/good/001.png", "test/good/000.png"),
            *("test/crack/000.png", "test/cut/000.png"),
        ],
        ["ground_truth/crack/000_mask.png", "ground_truth/cut/000_mask.png"],
    ),
    "BTAD": (
        ["train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "test/ko/3.bmp"],
        ["ground_truth/ko/2.png", "ground_truth/ko/3.png"],
    ),
    "VisA": (
        ["Images/Normal/0.png", "Images/Normal/1.png", "Images/Anomaly/0.png"],
        ["Masks/Anomaly/0.png"],
    ),
    "a folder for each": (
        ["good/0.png", "good/1.png", "good/2.png", "NG/0.png", "NG/1.png"],
        ["mask/0.png", "mask/1.png"],
    ),
    "masks by class": (
        ["0_good/0.png", "0_good/1.png", "crack/0.png", "cut/0.png"],
        ["Ground Truth/crack/0.png", "Ground Truth/cut/0.png"],
    ),
}
CLASSES = {
    "MVTec AD": {"crack": 1, "cut": 1, "good": 3},
    "BTAD": {"ko": 2, "ok": 2},
    "VisA": {"Anomaly": 1, "Normal": 2},
    "a folder for each": {"NG": 2, "good": 3},
    "masks by class": {"0_good": 2, "crack": 1, "cut": 1},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_data_sets_of_defects_are_read(layout, tmp_path):
    images, masks = LAYOUTS[layout]
    touch(tmp_path, *images, *masks)
    found = read_labels(str(tmp_path))
    assert {*found.images} == {tmp_path / place for place in images}
    assert {*found.masks} == {tmp_path / place for place in masks}
    assert found.classes == CLASSES[layout]
    known = roles("it", found.classes, "auto", "0")
    anomalous = [
        file for file, place in found.images.items() if place.kind in known.anomalous
    ]
    pairs = found.masks_of(anomalous)
    assert {*pairs.values()} == {*found.masks} and len(pairs) == len(masks)
    for image, mask in pairs.items():
        assert mask.stem.removesuffix("_mask") == image.stem


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_detector_is_not_trained_on_anomalies_and_masks(layout, tmp_path):
    images, masks = LAYOUTS[layout]
    touch(tmp_path, *images, *masks)
    config, known = with_classes(smoke("detect", **{"data.path": tmp_path}))
    assert config.anomaly.label == ",".join(known.roles.anomalous) != "0"
    source = datasets.source(detect._gan_config(config).data)
    labels = {source.train.classes[label] for label in source.train.labels.tolist()}
    assert labels == {*known.roles.normal} and len(labels) == 1
    # The same command comes to the same config.
    assert with_classes(config)[0] == config


def test_masks_lie_beside_the_images_too(tmp_path):
    images, masks = LAYOUTS["MVTec AD"]
    touch(tmp_path, *images, *masks)
    found = read_labels(str(tmp_path / "test"))
    assert found.classes == {"crack": 1, "cut": 1, "good": 1}
    assert found.mask_folder == tmp_path / "ground_truth" and len(found.masks) == 2
    crack = tmp_path / "test" / "crack" / "000.png"
    mask = tmp_path / "ground_truth" / "crack" / "000_mask.png"
    assert found.masks_of([crack]) == {crack: mask}


@pytest.mark.parametrize("name", ["000", "000_mask", "000_gt", "000-label1"])
def test_masks_are_called_by_several_words(name, tmp_path):
    touch(tmp_path, "good/000.png", "crack/000.png", f"gt/crack/{name}.png")
    found = read_labels(str(tmp_path))
    crack = tmp_path / "crack" / "000.png"
    assert found.masks_of([crack]) == {crack: found.masks[0]}


def test_what_is_only_called_like_masks_is_a_class(tmp_path):
    touch(tmp_path, "mask/anna.png", "plain/otto.png")
    assert read_labels(str(tmp_path)).classes == {"mask": 1, "plain": 1}
    touch(tmp_path, "plain/anna.png")  # as if it were the image of that mask
    assert read_labels(str(tmp_path)).masks == [tmp_path / "mask" / "anna.png"]
    assert read_labels(str(tmp_path), ["mask"]).classes == {"mask": 1, "plain": 2}


def test_masks_among_the_images_of_a_class_are_refused(tmp_path):
    touch(tmp_path, "good/0.png", "cut/0.png", "cut/mask/0.png")
    with pytest.raises(InputError, match="class 'cut' has masks among its images"):
        with_classes(smoke("detect", **{"data.path": tmp_path}))


def test_what_is_left_out_is_not_looked_for(tmp_path):
    images, masks = LAYOUTS["MVTec AD"]
    touch(tmp_path, *images, *masks)
    values = {"data.path": tmp_path, "data.without": "cut"}
    config, _ = with_classes(smoke("detect", **values))
    assert config.anomaly.label == "crack" and config.data.without == "cut"
    assert with_classes(config)[0] == config


@pytest.mark.parametrize(
    ("normal", "label", "found"),
    [
        ("auto", "0", (["good"], ["crack", "cut"], [])),
        ("auto", "", (["good"], ["crack", "cut"], [])),
        ("auto", "cut", (["good"], ["cut"], ["crack"])),
        ("crack,good", "0", (["crack", "good"], ["cut"], [])),
        ("", "cut", None),
    ],
)
def test_classes_have_roles(normal, label, found):
    assert roles("it", ["crack", "cut", "good"], normal, label) == found


@pytest.mark.parametrize(
    ("normal", "label", "words"),
    [
        ("auto", "crak", "it has no class 'crak'; known: crack, good"),
        ("fine", "0", "it has no class 'fine'"),
        ("auto", "good", "class 'good' of it is normal, and an anomaly"),
    ],
)
def test_roles_that_make_no_sense_are_refused(normal, label, words):
    with pytest.raises(InputError, match=words):
        roles("it", ["crack", "good"], normal, label)


def test_normal_classes_of_any_data_can_be_named():
    values = {"anomaly.normal": "1,2", "anomaly.label": ""}
    config, known = with_classes(smoke("detect", **values))
    assert config.anomaly.label == "0,3,4,5,6,7,8,9" and known.folder is None
    config, _ = with_classes(smoke("detect", **values | {"anomaly.label": "0"}))
    assert config.anomaly.label == "0" and config.data.without == "3,4,5,6,7,8,9"
    config, _ = with_classes(smoke("detect"))
    assert config == smoke("detect")
    with pytest.raises(InputError, match="has no labels"):
        with_classes(smoke("detect", **{"anomaly.normal": "1", "data.name": "photos"}))


# Maps


def critic(name, **values):
    """Return the method, the detector and the config of a drawn critic."""
    config = smoke("detect", **{"network.critic": name, "data.size": 16} | values)
    config.objective = "ebgan" if "autoencoder" in name else "wgan"
    method = methods.method(config, tasks.task(config), 1)
    blank = jax.eval_shape(
        lambda: method.critic.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    )
    blank.pop("codes", None)
    return method, Detector(drawn(blank), Scale(0.3, -0.7), np.zeros(3)), config


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("autoencoder", {"network.critic_depth": 2}),
        ("dense_autoencoder", {}),
        ("linear_autoencoder", {}),
        ("patch", {"network.critic_depth": 2}),
    ],
)
def test_the_mean_of_a_map_is_the_score(name, values):
    method, detector, config = critic(name, **values)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1))
    values = jnp.asarray(images, jnp.float32)
    scores = anomaly_scores(method, detector.scale, detector.critic, values)
    drawn_maps = map_kind(config).of(method, detector.scale, detector.critic, values)
    assert drawn_maps.shape == (3, 16, 16)
    means = drawn_maps.mean(axis=(1, 2))
    if name != "patch":
        means = -detector.scale(means)
    np.testing.assert_allclose(means, scores, rtol=1e-4, atol=1e-5)


def test_other_critics_have_slopes():
    method, detector, config = critic("perceptron", **{"network.critic_depth": 1})
    kind = map_kind(config)
    assert kind.name == "slope of the score"
    images = jnp.zeros((1, 16, 16, 1)).at[0, 3, 4].set(0.2)

    def score(images):
        return anomaly_scores(method, detector.scale, detector.critic, images)[0]

    slopes = kind.of(method, detector.scale, detector.critic, images)
    step = 1e-2
    ends = [score(images.at[0, 3, 4, 0].add(sign * step)) for sign in (1, -1)]
    np.testing.assert_allclose(
        slopes[0, 3, 4], abs(ends[0] - ends[1]) / (2 * step), rtol=0.02
    )


def test_pixels_are_measured_over_all_images(monkeypatch):
    draw = np.random.default_rng(0)
    truths = draw.random((4, 12, 12)) < 0.2
    scores = draw.normal(size=truths.shape) + truths

    def measured():
        pairs = zip(scores, truths, strict=True)
        return pixel_measures([pixel_scores(*pair, 4) for pair in pairs]).metrics

    found = measured()
    wanted = roc_auc_score(truths.ravel(), scores.ravel())
    assert found["pixel_auroc"] == pytest.approx(wanted)
    assert found["pixel_base_rate"] == pytest.approx(truths.mean())
    monkeypatch.setattr(maps, "MOST_PIXELS", 200)
    some = [
        np.concatenate([each.ravel()[::3] for each in part])
        for part in (scores, truths)
    ]
    wanted = roc_auc_score(some[1], some[0])
    assert measured()["pixel_auroc"] == pytest.approx(wanted)
    assert "no mask" in pixel_measures([]).failed["pixel_auroc"]


def test_a_mask_is_seen_as_its_image_is(tmp_path):
    path = tmp_path / "mask.png"
    mask = np.zeros((20, 30), np.uint8)
    mask[4:12, 9:15] = 1  # as VisA has them
    Image.fromarray(mask).save(path)
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    wanted = np.zeros((10, 10), bool)
    wanted[2:6, 2:5] = True  # of the central square, half as large
    np.testing.assert_array_equal(
        maps.reduced_mask(path, image, Size(10, 10), 0), wanted
    )
    Image.fromarray(0 * mask).save(path)
    with pytest.raises(BrokenImageError, match="none of its pixels is white"):
        maps.reduced_mask(path, image, Size(10, 10), 0)


# Whole runs


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Return a tree as MVTec AD has them, in grey."""
    root = tmp_path_factory.mktemp("tree")
    flower, china = (np.asarray(image) for image in load_sample_images().images)
    write_tree(root, [flower, china], train=60, test=4, size=40, mode="L")
    return root


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("detector")
    kept_detector(workdir)
    return workdir


CONFIG = "--config=configs/detect.py:smoke"


def test_a_tree_of_defects_is_scored_in_full(detector, tree, tmp_path):
    flags = (f"--config.prior={detector}", f"--config.images={tree / 'test'}")
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "normal: good (4); anomalous: patch (4), scratch (4)" in finished.stdout
    assert "12 masks, not scored (12 used)" in finished.stdout
    lines = results(tmp_path / "run")
    by_class = {kind: [] for kind in ("good", *DEFECTS)}
    for line in lines:
        place = Path(line["input"]).relative_to(tree / "test")
        assert line["output"] == f"images/{place}" and line["done"]
        assert (tmp_path / "run" / line["output"]).exists()
        assert line["class"] == place.parts[0]
        assert line["normal"] == (line["class"] == "good")
        by_class[line["class"]].append(line["score"])
    assert [len(scores) for scores in by_class.values()] == [4, 4, 4, 4]
    told = summary(tmp_path / "run")
    assert told["inputs"] == {"done": 16, "failed": 0}
    assert told["classes"]["normal"] == {"good": 4} and told["classes"]["masks"] == 12
    truth = [not line["normal"] for line in lines]
    scores = [line["score"] for line in lines]
    metrics = told["metrics"]
    assert metrics["auroc"] == pytest.approx(roc_auc_score(truth, scores))
    for kind in DEFECTS:
        both = [*by_class["good"], *by_class[kind]]
        wanted = roc_auc_score([0] * 4 + [1] * 4, both)
        assert metrics[f"class {kind}/auroc"] == pytest.approx(wanted)
    assert 0 < metrics["pixel_base_rate"] < 0.06 and 0 <= metrics["pixel_auroc"] <= 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Pixel AUROC" in page and "reconstruction error" in page
    assert_a_batch_job_does_the_same(tmp_path / "run", tmp_path / "job", CONFIG, *flags)


def test_of_a_whole_tree_the_test_part_is_measured(detector, tree, tmp_path):
    flags = (f"--config.prior={detector}", f"--config.images={tree}")
    assert run(tmp_path / "run", *flags, config=CONFIG).returncode == 0
    told = summary(tmp_path / "run")
    assert told["inputs"] == {"done": 60 + 16, "failed": 0}  # no mask among them
    lines = results(tmp_path / "run")
    test = [line for line in lines if "/test/" in line["input"]]
    wanted = roc_auc_score(
        [not line["normal"] for line in test], [line["score"] for line in test]
    )
    assert told["metrics"]["auroc"] == pytest.approx(wanted)


def test_without_a_normal_class_nothing_is_measured_until_it_is_named(
    detector, tmp_path
):
    touch(tmp_path / "images", "a/0.png", "b/0.png", "c/0.png", levels=(9, 200))
    touch(tmp_path / "images", "a/1.png", "b/1.png", levels=(90, 100))
    flags = (f"--config.prior={detector}", f"--config.images={tmp_path / 'images'}")
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "unlabelled: a (2), b (2), c (1); no class is known" in finished.stdout
    assert "auroc" not in summary(tmp_path / "run")["metrics"]
    assert all("normal" not in line for line in results(tmp_path / "run"))
    named = "--config.anomaly.normal=a,c"
    finished = run(tmp_path / "named", *flags, named, config=CONFIG)
    assert "normal: a (2), c (1); anomalous: b (2)" in finished.stdout
    assert "auroc" in summary(tmp_path / "named")["metrics"]
    assert "class b/auroc" not in summary(tmp_path / "named")["metrics"]


def test_a_broken_mask_costs_its_pixels_alone(detector, tree, tmp_path):
    images = tmp_path / "tree"
    touch(images, "good/0.png", "NG/0.png", "NG/1.png", levels=(9, 200))
    touch(images, "mask/0.png")
    (images / "mask" / "1.png").write_bytes(b"no image")
    flags = (f"--config.prior={detector}", f"--config.images={images}")
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "NG/1.png are not measured: its mask" in finished.stdout
    told = summary(tmp_path / "run")
    assert told["inputs"] == {"done": 3, "failed": 0}
    assert told["metrics"]["pixel_base_rate"] == pytest.approx(4 / 128, abs=0.01)


@pytest.mark.slow
def test_a_detector_is_trained_on_a_tree_of_defects(tree, tmp_path):
    flags = (
        f"--config.data.path={tree}",
        *("--config.steps=4", "--config.history.every=2", "--config.batch_size=16"),
        *("--config.detector.steps=4", "--config.detector.every=2"),
        *("--config.baselines.searched=0", "--config.baselines.shallow=False"),
    )
    finished = run(tmp_path / "run", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    said = "normal: good (64); anomalous: patch (4), scratch (4), stain (4); 12 masks"
    assert said in finished.stdout
    assert finished.stdout.count("(height x width): ") == 1
    told = summary(tmp_path / "run")
    assert told["dataset"]["count"] == 54  # 90% of those to train on
    assert told["classes"]["anomalous"] == dict.fromkeys(DEFECTS, 4)
    metrics = told["metrics"]
    assert {"auroc", "pixel_auroc", "class stain/auroc"} < metrics.keys()
    assert metrics["base_rate"] == pytest.approx(12 / 16)
    gan = json.loads((tmp_path / "run" / "gan" / "config.json").read_text())
    assert gan["data.without"] == "patch,scratch,stain"
    again = run(tmp_path / "run", *flags, config=CONFIG)
    assert again.returncode == 0 and summary(tmp_path / "run")["metrics"] == metrics
    flags = (f"--config.prior={tmp_path / 'run'}", f"--config.images={tree / 'test'}")
    assert run(tmp_path / "scored", *flags, config=CONFIG).returncode == 0
    scored = summary(tmp_path / "scored")["metrics"]
    for name in ("auroc", "pixel_auroc", "pixel_auprc"):
        assert scored[name] == pytest.approx(metrics[name], abs=1e-5)
