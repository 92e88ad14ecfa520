"""The classifier that measures: its network, its training, its keeping."""

from pathlib import Path

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource, Dataset, select
from gan_jax.data.datasets.embedded import digits
from gan_jax.networks.classifier import Classifier, check_image_shape
from gan_jax.runs import feature_network as classifier
from gan_jax.runs.classification import classifier_update, shifted, turned
from gan_jax.runs.feature_network import (
    open_feature_network,
    read_classifier,
    write_classifier,
)
from gan_jax.runs.startup import cache_folder, keep_compiled
from gan_jax.training.state import Player, digest
from tests.weights import first_weights

SETTINGS = ConfigDict({"width": 4, "features": 16, "epochs": 12})


@pytest.fixture(scope="module")
def data():
    return Dataset(select(digits(16).train, np.arange(600)), None)


@pytest.fixture(scope="module")
def trained(data):
    """Train one as `open_feature_network` does."""
    return classifier._train(Classifier(10, 4, 16), data, SETTINGS, True)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
    return tmp_path / "classifiers"


@pytest.fixture
def training_is_instant(trained, monkeypatch):
    monkeypatch.setattr(classifier, "_train", lambda *arguments: trained)


def images(source, count):
    return source.images[:count].astype(np.float32) / 127.5 - 1


def test_widths_are_the_published_ones():
    found = jax.eval_shape(
        Classifier(10).init, jax.random.key(0), jnp.zeros((2, 28, 28, 1))
    )
    shapes = [found["params"][f"Conv_{i}"]["kernel"].shape[-1] for i in range(6)]
    assert shapes == [64, 64, 128, 128, 256, 256]
    assert found["params"]["Dense_0"]["kernel"].shape == (3 * 3 * 256, 256)
    assert found["params"]["Dense_1"]["kernel"].shape == (256, 10)


def test_turned_images_are_labelled_by_their_turns():
    square = jax.random.uniform(jax.random.key(1), (40, 5, 5, 2))
    found, turns = turned(jax.random.key(0), square)
    assert {*np.asarray(turns).tolist()} == {0, 1, 2, 3}
    for image, other, turn in zip(square, found, turns, strict=True):
        np.testing.assert_array_equal(np.rot90(image, int(turn)), other)


def test_shifted_images_are_cut_from_the_edge_padded_one():
    square = np.random.default_rng(0).random((30, 6, 6, 1)).astype(np.float32)
    found = np.asarray(shifted(jax.random.key(0), jnp.asarray(square)))
    padded = np.pad(square, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    places = set()
    for large, image in zip(padded, found, strict=True):
        fits = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if (large[i : i + 6, j : j + 6] == image).all()
        ]
        assert fits
        places.add(fits[0])
    assert len(places) > 5


def test_an_update_descends_on_the_cross_entropy():
    module, optimizer = Classifier(3, 4, 8), optax.sgd(0.1)
    square = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    answers = jnp.array([0, 1, 2, 0, 1, 2])
    variables = first_weights(module, jax.random.key(1), square)
    parameters = variables["params"]
    player = Player(
        parameters,
        {"batch_stats": variables["batch_stats"]},
        optimizer.init(parameters),
    )
    update = jax.jit(lambda p: classifier_update(module, optimizer, p, square, answers))
    first, loss = update(player)
    logits = module.apply(variables, square, train=True, mutable=["batch_stats"])[
        0
    ].logits
    by_hand = (
        np.log(np.exp(np.asarray(logits, np.float64)).sum(1))
        - np.asarray(logits)[np.arange(6), answers]
    )
    assert float(loss) == pytest.approx(by_hand.mean(), rel=1e-5)
    for _ in range(15):
        first, loss = update(first)
    assert float(loss) < 0.5 * by_hand.mean()


def test_it_is_trained_once_and_kept(data, cache, capsys, training_is_instant):
    first = open_feature_network(data, SETTINGS)
    assert "training a classifier of digits" in capsys.readouterr().out
    assert len([*cache.iterdir()]) == 1
    again = open_feature_network(data, SETTINGS)
    assert capsys.readouterr().out == ""
    assert first.description == again.description
    assert first.description["accuracy"] > 0.5
    assert len(first.description["sha256"]) == 64
    shown = images(data.train, 300)  # more than one chunk
    one, other = first(shown), again(shown)
    np.testing.assert_array_equal(one.features, other.features)
    assert one.features.shape == (300, 16)
    np.testing.assert_allclose(one.probabilities.sum(1), 1, rtol=1e-12)
    right = (one.probabilities.argmax(1) == data.train.labels[:300]).mean()
    assert right > 0.5


def test_other_images_or_settings_get_another_one(data, cache, training_is_instant):
    open_feature_network(data, SETTINGS)
    fewer = Dataset(select(data.train, np.arange(500)), None)
    open_feature_network(fewer, SETTINGS)
    open_feature_network(data, ConfigDict({**SETTINGS, "features": 8}))
    assert len([*cache.iterdir()]) == 3


def test_a_damaged_one_is_trained_again(data, cache, capsys, training_is_instant):
    first = open_feature_network(data, SETTINGS)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    capsys.readouterr()
    assert open_feature_network(data, SETTINGS).description == first.description
    assert "cannot be used" in capsys.readouterr().out
    whole = bytearray(path.read_bytes())
    place = whole.find(b"kernel") + 200
    whole[place] ^= 1  # one bit of a weight
    path.write_bytes(bytes(whole))
    assert open_feature_network(data, SETTINGS).description == first.description
    assert "not what was written" in capsys.readouterr().out


def test_without_labels_it_learns_quarter_turns(data, cache):
    plain = Dataset(ArraySource("plain", data.train.images), None)
    judge = open_feature_network(plain, SETTINGS)
    (path,) = cache.iterdir()
    assert path.suffix == ".msgpack"
    assert "quarter turns" in judge.description["network"]
    assert judge.description["accuracy"] > 0.4  # chance is 0.25
    judged = judge(images(plain.train, 20))
    assert judged.probabilities is None and judged.features.shape == (20, 16)


def test_what_it_cannot_measure_is_said(data, cache):
    tiny = Dataset(ArraySource("tiny", np.zeros((200, 4, 4, 1), np.uint8)), None)
    with pytest.raises(InputError, match="8x8"):
        open_feature_network(tiny, SETTINGS)
    with pytest.raises(InputError, match="epochs is 0"):
        open_feature_network(data, ConfigDict({**SETTINGS, "epochs": 0}))


def test_the_cache_lies_where_it_is_stated(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("GAN_JAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gan_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gan_jax"


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    data, cache, capsys, monkeypatch, training_is_instant
):
    monkeypatch.setenv("GAN_JAX_CACHE", "/dev/null/nowhere")
    judge = open_feature_network(data, SETTINGS)
    assert "it cannot be kept" in capsys.readouterr().out
    assert judge.description["accuracy"] >= 0


def test_a_cache_without_a_home_is_explained(monkeypatch):
    monkeypatch.setenv("GAN_JAX_CACHE", "~nosuchuser/cache")
    with pytest.raises(InputError, match="set GAN_JAX_CACHE"):
        cache_folder()


@pytest.mark.parametrize("name", ["variables", "labels", "network", "accuracy"])
def test_a_file_that_lacks_something_is_refused(trained, tmp_path, name):
    path = tmp_path / "teacher.msgpack"
    write_classifier(path, trained)
    assert read_classifier(path)["sha256"] == trained["sha256"]
    write_classifier(path, {key: trained[key] for key in trained if key != name})
    with pytest.raises(InputError, match=f"it holds no {name}"):
        read_classifier(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("accuracy", wrong) for wrong in (float("nan"), -0.1, "0.9", [0.9])),
        ("network", {"a": 1}),
        ("labels", 1),
        ("variables", {"params": "x"}),
    ],
)
def test_an_entry_of_another_kind_is_refused(trained, tmp_path, name, value):
    path = tmp_path / "teacher.msgpack"
    write_classifier(path, {**trained, name: value})
    with pytest.raises(InputError, match=name):
        read_classifier(path)


@pytest.mark.parametrize("wrong", [np.full(16, np.nan, np.float32), "text"])
def test_weights_that_are_no_finite_numbers_are_refused(trained, tmp_path, wrong):
    path = tmp_path / "teacher.msgpack"
    variables = jax.tree.map(lambda leaf: leaf, trained["variables"])
    variables["params"]["Dense_0"]["bias"] = wrong
    sha256 = trained["sha256"] if isinstance(wrong, str) else digest(variables)
    write_classifier(path, {**trained, "variables": variables, "sha256": sha256})
    with pytest.raises(InputError, match="its variables are not"):
        read_classifier(path)


def test_every_flipped_bit_of_a_file_is_found(trained, tmp_path):
    """A sample of all bits, and each of those that are no weights."""
    path = tmp_path / "teacher.msgpack"
    write_classifier(path, trained)
    data = path.read_bytes()
    name = data.find(b"entries_sha256")
    named = range(name, name + len(b"entries_sha256"))
    ends = (data.find(b"accuracy") + 12, *named)
    for at in [*range(0, len(data), len(data) // 50), *ends]:
        flipped = bytearray(data)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(InputError, match="cannot be used"):
            read_classifier(path)


def test_a_file_of_an_older_version_is_read(trained, tmp_path):
    path = tmp_path / "teacher.msgpack"
    path.write_bytes(flax.serialization.msgpack_serialize(dict(trained)))
    assert read_classifier(path)["accuracy"] == trained["accuracy"]


def test_weights_of_something_else_are_no_classifier(trained):
    halves = {"params": trained["variables"]["params"]}
    with pytest.raises(InputError, match="not the weights of a classifier"):
        check_image_shape(halves, (16, 16, 1))


def test_what_is_compiled_is_kept_unless_a_place_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: jax.config.values[name] for name in names}
    keep_compiled()  # the tests have chosen a place
    assert {name: jax.config.values[name] for name in names} == before
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        keep_compiled()
        place = Path(jax.config.values["jax_compilation_cache_dir"])
        assert place.parent == tmp_path / "compiled"
        assert jax.config.values["jax_persistent_cache_min_compile_time_secs"] == 0
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
