"""Priors that ship with the package: one file each, whole or refused in one line."""

import io
import json
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gan_jax
from gan_jax.apps.collaborate import run as collaborate
from gan_jax.apps.inpaint.observations import open_latent_prior
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.export.functions import open_function
from gan_jax.priors import packaged, packing
from gan_jax.priors.__main__ import main
from gan_jax.priors.packaged import names, open_any, open_packaged
from gan_jax.priors.packing import as_packed, pack
from gan_jax.runs.inference import make_model
from gan_jax.runs.prior import open_prior
from tests.runs import kept, smoke

TOGETHER = 6_000_000
"""Bytes of all packaged priors, at most."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run under known pixels and one that starts from latents alone."""
    place = tmp_path_factory.mktemp("runs")
    kept(place / "pixels", smoke("pixelcgan"))
    kept(place / "gan", smoke("gan"), seed=1)
    return place


@pytest.fixture(scope="module", autouse=True)
def folder(runs, tmp_path_factory):
    """The package's folder, with priors that were never trained."""
    place = tmp_path_factory.mktemp("priors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaged, "FOLDER", place)
        pack(str(runs / "pixels"), place / "digits.npz")
        pack(str(runs / "gan"), place / "digits_latent.npz", critic=True)
        yield place


@pytest.mark.parametrize("path", sorted(Path(packaged.__file__).parent.glob("*.npz")))
def test_every_packaged_prior_is_whole(path, monkeypatch):
    monkeypatch.setattr(packaged, "FOLDER", path.parent)
    prior = open_packaged(path.stem)
    assert prior.networks.step > 1000
    assert "metrics_as_stored" in prior.summary
    assert "data.path" not in prior.config or not prior.config.data.path


def test_the_packaged_priors_are_small():
    found = [*Path(packaged.__file__).parent.glob("*.npz")]
    assert sum(path.stat().st_size for path in found) < TOGETHER


@pytest.mark.parametrize(
    ("name", "run", "critic"), [("digits", "pixels", 0), ("digits_latent", "gan", 1)]
)
def test_what_is_opened_is_what_was_packed(runs, name, run, critic):
    trained, opened = open_prior(str(runs / run), ""), open_packaged(name)
    assert opened.workdir == Path(name)
    assert opened.digest == as_packed(trained, bool(critic)).digest != trained.digest
    assert flatten(opened.config) == flatten(trained.config)
    assert opened.channels == trained.channels and opened.networks.step == 0
    assert bool(opened.networks.critic) == bool(critic)
    parts = ("generator", "critic")[: 1 + critic]
    for part in parts:
        before, after = (getattr(each.networks, part) for each in (trained, opened))
        assert jax.tree.structure(before) == jax.tree.structure(after)
        for leaf, other in zip(*map(jax.tree.leaves, (before, after)), strict=True):
            assert other.dtype == leaf.dtype
            exact = 0 if leaf.ndim < 2 else 2**-11
            np.testing.assert_allclose(other, leaf, rtol=exact, atol=1e-7)


def test_what_is_generated_is_hardly_changed(runs):
    key, latent = jax.random.key(0), "digits_latent"
    made = [
        make_model(prior.method)(prior.networks).sample(key, None, 4)
        for prior in (open_prior(str(runs / "gan"), ""), open_packaged(latent))
    ]
    assert 0 < np.abs(made[0] - made[1]).max() < 0.01


def test_a_file_is_the_same_each_time_and_holds_no_pickle(runs, folder, tmp_path):
    path = tmp_path / "again.npz"
    sha256 = pack(str(runs / "pixels"), path)
    assert path.read_bytes() == (folder / "digits.npz").read_bytes()
    with np.load(path, allow_pickle=False) as arrays:
        kinds = {
            name: (arrays[name].ndim > 1, arrays[name].dtype.name) for name in arrays
        }
        about = json.loads(arrays["about"].tobytes())
    assert kinds.pop("about") == (False, "uint8")
    assert {*kinds.values()} == {(True, "float16"), (False, "float32")}
    assert all(name.startswith("generator/") for name in kinds)
    assert about["arrays_sha256"] == sha256
    assert about["gan_jax"] == gan_jax.__version__
    assert about["dataset"]["shape"] == [28, 28, 1]


def test_values_beyond_half_precision_stay_as_they_are():
    large = np.array([[1.0, 70_000.0]], np.float32)
    whole = {"kernel": large, "small": large / 2, "bias": large[0]}
    kinds = {name: leaf.dtype for name, leaf in packing.halved(whole).items()}
    assert kinds == {"kernel": np.float32, "small": np.float16, "bias": np.float32}


def test_a_path_is_a_run_and_a_word_a_packaged_prior(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_any("digits", "").workdir == Path("digits")
    assert open_any(str(runs / "gan"), "").workdir == runs / "gan"
    with pytest.raises(InputError, match="no run's workdir"):
        open_any("./digits", "")
    (tmp_path / "digits").symlink_to(runs / "gan")
    assert not open_any("digits", "").task.conditional
    assert open_any("./digits", "").workdir == Path("digits")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "prior is empty: name a run, or one of digits, digits_latent. Train it"),
        ("digit", r"neither .* \(did you mean digits\?\): name a run, or one of dig"),
        ("x" * 5000, "neither a run's workdir nor a packaged prior"),
        ("a\nb", r"'a\\nb' is neither"),
    ],
)
def test_another_word_is_told_the_names_there_are(path, reason):
    with pytest.raises(InputError, match=reason) as caught:
        open_any(path, "Train it")
    assert "\n" not in str(caught.value)


def test_applications_take_a_name():
    latent = smoke("inpaint", prior="digits_latent")
    assert open_latent_prior(latent).digest == open_packaged("digits_latent").digest
    function = open_function("digits")
    assert function.kind == "generator"
    assert function.run["workdir"] == "digits"
    assert function.run["parameters_sha256"] == "0" * 64


def test_what_was_not_packaged_is_named(runs, folder, tmp_path):
    path = folder / "without.npz"
    pack(str(runs / "gan"), path)
    with pytest.raises(InputError, match="without ships without its critic, which a s"):
        open_latent_prior(smoke("inpaint", prior="without"))
    for name, reason in (
        ("without", "without its critic, which a refinement needs"),
        ("digits_latent", "optimiser: give --config.shaping.start=restarted"),
    ):
        config = smoke("collaborate", **{"prior": name, "shaping.start": "trained"})
        with pytest.raises(InputError, match=reason):
            collaborate.run(config, tmp_path / "refined")
    path.unlink()


@pytest.fixture
def damaged(folder):
    """A function that writes the file of a prior anew, with changed entries."""

    def write(change, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(folder / "digits.npz") as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        change(entries)
        with zipfile.ZipFile(folder / "broken.npz", "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return "broken"

    yield write
    (folder / "broken.npz").unlink()


def encoded(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def first(entries):
    return next(name for name in entries if name.endswith("kernel.npy"))


def put(value):
    return lambda entries: entries.update({first(entries): value})


def edited(**changes):
    def change(entries):
        text = entries["about.npy"]
        about = json.loads(text[text.index(b"\n") + 1 :])
        about.update(changes)
        content = np.frombuffer(json.dumps(about).encode(), np.uint8)
        entries["about.npy"] = encoded(content)

    return change


def declared(shape, kind="<f2"):
    """An array whose header says that it is larger than it is."""
    stream = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + b"00"


def cut(entries):
    name = first(entries)
    entries[name] = entries[name][:-2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda entries: entries.pop("about.npy"), "no item named 'about.npy'"),
        (lambda entries: entries.pop(first(entries)), "not those of its config"),
        (lambda entries: entries.update({"more.npy": b""}), "not those of its config"),
        (put(b""), "EOF"),
        (put(encoded(np.zeros((3, 3), np.float16))), r"is \(3, 3\) of float16"),
        (put(encoded(np.array([{"a": 1}], object))), "of object"),
        (put(encoded(np.zeros((4, 4), np.float16, "F"))), "kernel is"),
        (put(encoded(np.zeros(3))), "of float64"),
        (put(declared((10**9, 10**9))), "kernel is"),
        (cut, "cannot reshape"),
        (
            lambda entries: entries.update({"about.npy": declared((10**15,), "|u1")}),
            "cannot reshape",
        ),
        (edited(format="gan_jax.prior/2"), "not of the format gan_jax.prior/1"),
        (edited(arrays_sha256="0"), "not those that were packed"),
        (edited(dataset={"shape": [28, 28, 10**9]}), "images have the shape"),
        (edited(config={"program": "detect"}), "no run of 'train'"),
        (edited(step=10**30), "large|overflow|int"),
        (edited(step="no"), "no|int"),
        (
            lambda entries: entries.update({"about.npy": encoded(np.zeros(9, "u1"))}),
            "Expecting value|JSON|char",
        ),
    ],
)
def test_damage_is_one_line(damaged, change, reason):
    with pytest.raises(InputError, match=reason) as caught:
        open_packaged(damaged(change))
    assert "\n" not in str(caught.value)
    assert "prior broken cannot be read" in str(caught.value)


def test_other_widths_and_compressed_arrays_are_refused(damaged):
    config = {**flatten(open_packaged("digits").config), "network.width": 16}
    with pytest.raises(InputError, match="and not"):
        open_packaged(damaged(edited(config=config)))
    name = damaged(lambda entries: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed or too large"):
        open_packaged(name)


def test_a_prior_is_weighed_before_it_is_used():
    with pytest.raises(InputError, match="raise --config"):
        open_packaged("digits", memory=1000)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_no_damage_is_a_traceback(folder, data):
    """A flipped byte, or a file cut short: refused, or of no effect."""
    content = bytearray((folder / "digits_latent.npz").read_bytes())
    wanted = open_packaged("digits_latent")
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path = folder / "fuzzed.npz"
    path.write_bytes(bytes(content))
    try:
        found = open_packaged("fuzzed")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert found.digest == wanted.digest
        assert flatten(found.config) == flatten(wanted.config)
    finally:
        path.unlink()


def test_no_name_leaves_the_folder(folder, runs, capsys):
    (folder.parent / "outside.npz").write_bytes((folder / "digits.npz").read_bytes())
    with pytest.raises(InputError, match="neither"):
        open_packaged("../outside")
    for name in ("../outside", "", "Digits", "a" * 41):
        assert main([f"--run={runs / 'gan'}", f"--name={name}"]) == 2
    assert "names no packaged prior" in capsys.readouterr().err
    assert names() == ["digits", "digits_latent"]


def test_files_of_a_user_are_not_packaged(tmp_path, capsys):
    kept(tmp_path / "own", smoke("gan", **{"data.path": "/home/me/images"}))
    with pytest.raises(
        InputError, match=r"data\.path '/home/me/images', a file of its"
    ):
        pack(str(tmp_path / "own"), tmp_path / "own.npz")
    assert main([f"--run={tmp_path / 'own'}", "--name=own", f"--out={tmp_path}"]) == 2
    assert "package a run on data that everybody has" in capsys.readouterr().err
    assert not (tmp_path / "own.npz").exists()


def test_the_command_measures_what_it_stores(tmp_path, capsys):
    # Without a classifier of digits there is no FID, and nothing to train.
    config = smoke("pixelcgan", **{"evaluation.classifier.epochs": 0})
    kept(tmp_path / "run", config)
    arguments = [f"--run={tmp_path / 'run'}", "--name=small", f"--out={tmp_path}"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    path = tmp_path / "small.npz"
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
    stored = about["metrics_as_stored"]
    (line,) = (each for each in said.splitlines() if each.startswith("pixel_mse"))
    _, before, *words, after = line.split()
    assert words == ["as", "stored:"] and after == f"{stored['pixel_mse']:.6g}"
    assert float(before) == pytest.approx(float(after), rel=0.01)
    assert f"{path.stat().st_size} bytes, sha256 {about['arrays_sha256']}" in said
    assert main([f"--run={tmp_path / 'none'}", "--name=small"]) == 2
    assert "no run's workdir" in capsys.readouterr().err
