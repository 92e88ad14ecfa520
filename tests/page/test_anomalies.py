"""Anomalies behind the page: the scores of `detect`, and where."""

import json
import math

import numpy as np
import pytest

from gan_jax.apps.detect.scoring.apply import open_scoring
from gan_jax.apps.serve.model import Session, described
from gan_jax.apps.serve.models import anomalies
from gan_jax.apps.serve.models.anomalies import open_anomalies
from gan_jax.config.errors import InputError
from gan_jax.data.decode import decode
from gan_jax.report.files import encode_png
from gan_jax.runs.apply import apply_to_files, files_of
from tests.page.asking import asked, file_of, opened
from tests.runs import kept_detector, smoke


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    kept_detector(folder)
    return folder


@pytest.fixture(scope="module")
def model(workdir):
    return open_anomalies(str(workdir), "run")


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_scores_are_those_of_images_in_a_folder(workdir, model, tmp_path):
    image = noise(60, 50, 1)
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "image.png").write_bytes(encode_png(image))
    config = smoke("detect", prior=workdir, images=folder)
    application = open_scoring(config, tmp_path)
    out = tmp_path / "scored"
    (applied,) = apply_to_files(application, files_of(config), out)
    ((_, wanted),) = applied.done

    session = Session()
    opened(model, session, image)
    answer = asked(model, session, "score", image=1)
    assert answer.entries["score"] == pytest.approx(wanted.found.score, abs=1e-5)
    assert answer.entries["percentile"] == pytest.approx(wanted.found.percentile)
    assert answer.entries["anomalous"] == wanted.found.above
    assert answer.entries["threshold"] == pytest.approx(0.9)
    np.testing.assert_array_equal(answer.arrays["seen"], wanted.seen.image)
    beside = decode(out / "images" / "image.png")
    brightest = answer.arrays["map"].sum(axis=-1, dtype=int).argmax()
    assert beside[:, 28:].sum(axis=-1, dtype=int).argmax() == brightest


def test_the_map_has_the_colours_of_its_scale(model):
    session = Session()
    opened(model, session, noise(28, 28, 1))
    answer = asked(model, session, "score", image=1)
    (scale,) = answer.arrays["scale"]
    light = scale.sum(axis=-1, dtype=int)
    assert (np.diff(light) >= -2).all()  # from dark to bright
    colours = {tuple(colour) for colour in answer.arrays["map"].reshape(-1, 3)}
    assert colours <= {tuple(colour) for colour in scale}
    assert tuple(scale[-1]) in colours
    assert answer.entries["map_low"] <= 0 < answer.entries["map_high"]
    assert answer.entries["map_name"] == "reconstruction error"


def test_the_map_is_saved_beside_its_image(model):
    session = Session()
    opened(model, session, noise(28, 28, 1), name="a b.png")
    asked(model, session, "score", image=1)
    name, media, content = file_of(model, session, "map", "png")
    assert (name, media) == ("a b_map.png", "image/png")
    height, width, channels = decode(content).shape
    assert channels == 3
    assert width > 3 * 280
    assert height > 280


def test_the_map_of_any_image_is_saved(model, monkeypatch):
    monkeypatch.setattr(anomalies, "_PIXELS", 2 * 28 * 28)
    session, saved = Session(), []
    for at in range(3):
        opened(model, session, noise(28 + at, 28, 1), name=f"{at}.png")
        asked(model, session, "score", image=at + 1)
        saved.append(file_of(model, session, "map", "png"))
    assert [name for name, _, _ in saved] == ["0_map.png", "1_map.png", "2_map.png"]
    assert file_of(model, session, "map", "png", image=2) == saved[1]
    assert file_of(model, session, "map", "png") == saved[2]
    with pytest.raises(InputError, match="no longer held"):
        file_of(model, session, "map", "png", image=1)


def test_a_colour_image_of_a_detector_of_grey_ones_is_one_line(model):
    with pytest.raises(InputError, match=r"photo\.png: it is in colour"):
        opened(model, Session(), noise(30, 30, 3))


@pytest.mark.parametrize(
    ("kind", "entries", "reason"),
    [
        ("score", {"image": 2}, "open it again"),
        ("score", {}, "needs image"),
        ("save", {"what": "map", "form": "png"}, "no image has been scored yet"),
    ],
)
def test_bad_requests_are_one_line(model, kind, entries, reason):
    session = Session()
    opened(model, session, noise(30, 30, 1))
    with pytest.raises(InputError, match=reason):
        asked(model, session, kind, **entries)


def test_the_run_is_described(workdir, model):
    assert model.entries == {
        "description": "detect on digits",
        "figures": [],
        "size": [28, 28],
        "channels": 1,
    }
    assert decode(model.plate).shape[-1] == 3
    summary = json.loads((workdir / "summary.json").read_text())
    measured = {"metrics": {"auroc": 0.87654, "noise": None, "collapsed": True}}
    (workdir / "summary.json").write_text(json.dumps(summary | measured))
    entries = open_anomalies(str(workdir), "run").entries
    assert entries["figures"] == [["AUROC", "0.8765"]]


def test_a_few_telling_figures_describe_a_run():
    """In the words of reports, the most telling first."""
    metrics = {"total_variation": 0.0, "fid": math.inf, "kid": math.nan}
    metrics |= {"ssim": 0.5, "honoured": 1.0, "pixel_mse": 0.1, "psnr": None}
    entries = described(smoke("gan"), "data", {"metrics": metrics})
    assert entries["figures"] == [
        ["Constraint error", "0.1"],
        ["Honoured wells", "1"],
        ["SSIM", "0.5"],
    ]
    assert described(smoke("gan"), "data", {})["figures"] == []
