"""Runs opened for use: those of other versions and damaged ones are explained."""

import json
import os
import shutil

import pytest

import gan_jax
from gan_jax.apps.detect.detector import open_detector_run
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.units import LEVELS, facies
from gan_jax.export.functions import open_function
from gan_jax.runs.prior import open_prior
from gan_jax.training.checkpoint import Checkpoints
from tests.runs import kept, kept_detector, smoke


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    kept(workdir, smoke("gan"))
    return workdir


@pytest.fixture
def changed(run):
    """A function that changes a file of the run for the length of a test."""
    before = {}

    def change(name, edit):
        path = run / name
        before.setdefault(path, path.read_bytes())
        value = json.loads(before[path])
        edit(value)
        path.write_text(json.dumps(value))

    yield change
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("network.width", "64", "network.width is '64', not an integer"),
        ("network.width", True, "network.width is True, not an integer"),
        ("network.width", -1, "network.width is -1, not at least 1"),
        ("network.width", [8], r"network.width is \[8\], not an integer"),
        ("network.generator", "vqgan", "network.generator 'vqgan' is unknown"),
        ("network.normalisation", 3, "network.normalisation is 3, not a text"),
        ("task", {}, r"task is \{\}, not a text"),
        ("task", "poems", "task 'poems' is unknown"),
        ("average_decay", None, "it has no average_decay"),
        ("data.size", 7, "data.size|size"),
    ],
)
def test_a_config_of_another_version_is_one_line(run, changed, key, value, reason):
    changed("config.json", lambda config: config.update({key: value}))
    with pytest.raises(InputError, match=reason) as caught:
        open_prior(str(run), "")
    assert "if need be with the version that wrote it" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [None, [], [8, 8, -1], [8, 8, "1"], [8, 8, 10**12]])
def test_a_summary_of_another_version_is_one_line(run, changed, shape):
    changed("summary.json", lambda summary: summary["dataset"].update(shape=shape))
    with pytest.raises(InputError, match="says that images have the shape"):
        open_prior(str(run), "")


def test_units_are_those_of_the_training_image(run, changed):
    assert open_prior(str(run), "").units == LEVELS
    assert open_prior(str(run), "").geometry is None
    units = facies([1, 5])
    grid = Geometry(4, 3, (2.0, 4.0), (10.0, -20.0))
    entries = {"units": units.as_json(), **grid.as_json()}
    changed("summary.json", lambda summary: summary["dataset"].update(entries))
    assert open_prior(str(run), "").units == units
    assert open_prior(str(run), "").geometry == grid
    for damage, reason in (
        ({"units": {"scale": "log"}}, "are not a scale, knots and whole"),
        ({"cell": [1, 0]}, "not two numbers of a grid"),
    ):
        broken = {**entries, **damage}
        changed("summary.json", lambda summary, b=broken: summary["dataset"].update(b))
        with pytest.raises(InputError, match=reason):
            open_prior(str(run), "")


def test_a_config_without_a_key_that_came_later_is_opened(run, changed):
    def older(config):
        config.pop("generator_steps")  # it had the value 1 for all runs
        config["data.of_a_later_version"] = 3

    changed("config.json", older)
    assert open_prior(str(run), "").config.generator_steps == 1


@pytest.mark.parametrize("text", [None, "", "[" * 10_000, '{"seed": NaN}'])
def test_a_broken_config_is_read_from_the_checkpoint(tmp_path, text):
    config = smoke("gan")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(flatten(config)))
    wanted = kept(tmp_path, config)
    path.unlink() if text is None else path.write_text(text)
    opened = open_prior(str(tmp_path), "")
    assert opened.digest == wanted.digest
    assert flatten(opened.config) == flatten(config)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 10_000])
def test_a_broken_summary_says_how_it_is_written_anew(run, text):
    path = run / "summary.json"
    before = path.read_bytes()
    path.write_text(text)
    with pytest.raises(InputError, match="run the command that made it again"):
        open_prior(str(run), "")
    path.write_bytes(before)


def test_a_prior_with_a_flipped_bit_is_refused(run):
    data = max(
        (path for path in (run / "prior").rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    before = data.read_bytes()
    data.write_bytes(before[:900] + bytes([before[900] ^ 4]) + before[901:])
    with pytest.raises(InputError, match=f"it \\({gan_jax.__version__}; this is"):
        open_prior(str(run), "")
    data.write_bytes(before)


def test_the_critic_of_a_detector_is_described_as_strictly(tmp_path):
    kept_detector(tmp_path)
    path = tmp_path / "gan.json"
    config = json.loads(path.read_text())
    for text in ("[" * 10_000, "", json.dumps(config | {"network.depth": "2"})):
        path.write_text(text)
        with pytest.raises(InputError, match="the version that wrote it"):
            open_detector_run(str(tmp_path), "")
    path.write_text(json.dumps(config))
    assert open_function(str(tmp_path)).kind == "detector"
    for file in (tmp_path / "detector").rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(InputError, match="the version that wrote it"):
        open_detector_run(str(tmp_path), "")


def test_a_prior_is_weighed_before_it_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "restore", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InputError, match="GiB are available: choose a smaller one"):
        open_prior(str(run), "", memory=10_000)
    kept_detector(tmp_path)
    with pytest.raises(InputError, match="GiB are available: choose a smaller one"):
        open_detector_run(str(tmp_path), "", memory=10_000)


def test_a_prior_that_is_used_is_not_changed(run, capsys):
    """Not what another process may be saving, and not what is damaged."""
    prior = run / "prior"
    whole = max(int(path.name) for path in prior.iterdir())
    (prior / "notes.orbax-checkpoint-tmp-1").mkdir()
    (prior / str(whole + 1)).mkdir()
    before = sorted(run.rglob("*"))
    assert open_prior(str(run), "").networks.step == whole
    assert sorted(run.rglob("*")) == before
    said = capsys.readouterr()
    assert f"checkpoint {whole + 1} cannot be read" in said.out + said.err
    (prior / "notes.orbax-checkpoint-tmp-1").rmdir()
    (prior / str(whole + 1)).rmdir()


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(
    "name", ["summary.json", "_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt"]
)
def test_pipes_and_devices_in_a_prior_are_not_read(run, tmp_path, name, link):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for path in [*copy.rglob(name)]:
        path.unlink()
        path.symlink_to("/dev/zero") if link else os.mkfifo(path)
    with pytest.raises(InputError, match=f"{name}( is|:) n"):
        open_prior(str(copy), "")


@pytest.mark.parametrize("link", [False, True])
def test_a_config_that_is_a_pipe_is_read_from_the_checkpoint(tmp_path, link):
    config, path = smoke("gan"), tmp_path / "config.json"
    path.write_text(json.dumps(flatten(config)))
    wanted = kept(tmp_path, config)
    path.unlink()
    path.symlink_to("/dev/zero") if link else os.mkfifo(path)
    assert open_prior(str(tmp_path), "").digest == wanted.digest


def test_a_prior_downloads_nothing(run, changed):
    changed("config.json", lambda config: config.update({"data.download": True}))
    assert open_prior(str(run), "").config.data.download is False
