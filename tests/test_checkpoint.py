"""Checkpoints: under any name, in any damage, and read back before older ones go."""

import random
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import gan_jax
from gan_jax.config.errors import InputError
from gan_jax.report import files
from gan_jax.training.checkpoint import Checkpoints, about_run
from gan_jax.training.storage import LiteralPath


def state(step):
    return {
        "step": jnp.int32(step),
        "key": jax.random.key(step),
        "weights": [jnp.full((40, 40), float(step)), jnp.arange(4.0) + step],
    }


def equal(one, other):
    words = [{**each, "key": jax.random.key_data(each["key"])} for each in (one, other)]
    leaves = zip(*map(jax.tree.leaves, words), strict=True)
    return all(np.array_equal(*pair) for pair in leaves)


def saved(folder, steps=(1, 2), **options):
    with Checkpoints(folder, **options) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step))
    return folder


def restored(folder):
    """The state that a folder's checkpoints give, and what is said."""
    said = []
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(state(0), said.append), said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    files.write_json(workdir / "config.json", {"name": "some", "steps": 2})
    return saved(workdir / "checkpoints")


@pytest.mark.parametrize(
    "name", ["run[1]", "a*b?", "[", "~", "%41 b#", "-ä😀", "new\nline", "{$HOME}'\""]
)
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = saved(tmp_path / name / "checkpoints", (1, 2, 3))
    found, said = restored(folder)
    assert equal(found, state(3)) and not said
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]


def test_a_folder_named_as_a_storage_service_is_local():
    assert str(LiteralPath("/s3/run")) == "/s3/run"


@pytest.mark.parametrize(
    ("name", "reason"), [("a\\b", "a backslash"), ("a\udce9", "not UTF-8")]
)
def test_names_that_the_storage_library_does_not_take_are_refused(
    tmp_path, name, reason
):
    with pytest.raises(InputError, match=f"{reason}.*choose another"):
        Checkpoints(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_every_flipped_bit_is_harmless_or_leads_to_the_one_before(
    whole, tmp_path, capfd
):
    """A sample of all bits of each file, and nothing is printed beside the line."""
    draw = random.Random(0)
    outcomes = set()
    for file in sorted(path for path in (whole / "2").rglob("*") if path.is_file()):
        data = file.read_bytes()
        for bit in draw.sample(range(8 * len(data)), 2):
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "copy" / "checkpoints")
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            place = tmp_path / "copy" / "checkpoints" / file.relative_to(whole)
            place.write_bytes(flipped)
            found, said = restored(tmp_path / "copy" / "checkpoints")
            outcomes.add(len(said))
            assert equal(found, state(2 - len(said))), (file.name, bit)
    assert outcomes == {0, 1}
    assert capfd.readouterr() == ("", "")


def test_arrays_that_are_not_those_saved_are_set_aside(whole, tmp_path):
    """Whole by the storage library's own checksums, but of another state."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole, folder)
    other = saved(tmp_path / "other", (2,))
    with Checkpoints(other) as checkpoints:
        checkpoints.replace(2, state(7))
    shutil.rmtree(folder / "2" / "default")
    shutil.copytree(other / "2" / "default", folder / "2" / "default")
    found, (line,) = restored(folder)
    assert equal(found, state(1))
    assert "its arrays are not those that were saved" in line


@pytest.mark.parametrize("damage", ["empty", "no inner folder", "file", "broken link"])
def test_a_step_that_holds_no_state_is_set_aside(whole, tmp_path, damage, capfd):
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole, folder)
    step = folder / "2"
    if damage == "no inner folder":
        shutil.rmtree(step / "default")
    else:
        shutil.rmtree(step)
        if damage == "empty":
            step.mkdir()
        elif damage == "file":
            step.write_text("2")
        else:
            step.symlink_to(tmp_path / "gone")
    found, (line,) = restored(folder)
    assert equal(found, state(1))
    assert line.startswith("checkpoint 2 cannot be read") and "\n" not in line
    saved(folder, (2,))  # its place is free again
    assert equal(restored(folder)[0], state(2))
    assert capfd.readouterr() == ("", "")


def test_an_older_state_stays_until_the_newer_one_is_read_back(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    with (
        pytest.raises(OSError, match="it is not what was saved"),
        Checkpoints(folder) as checkpoints,
    ):
        checkpoints.save(1, state(1))
        checkpoints.save(2, state(2))
        with monkeypatch.context() as patch:
            save = checkpoints._manager.save
            patch.setattr(
                checkpoints._manager,
                "save",
                lambda step, args, **rest: save(
                    step, args=ocp.args.StandardSave(state(9)), **rest
                ),
            )
            checkpoints.save(3, state(3))
        checkpoints.save(4, state(4))
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]
    assert equal(restored(folder)[0], state(2))


def test_what_replaces_a_state_is_read_back_before_that_is_deleted(
    tmp_path, monkeypatch
):
    folder = saved(tmp_path / "prior", (1,), keep=None)
    with Checkpoints(folder, keep=None) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "_read", lambda *_: 1 / 0)
            with pytest.raises(OSError, match="it is not what was saved"):
                checkpoints.replace(5, state(5))
        assert checkpoints.steps == [1, 5]
        checkpoints.replace(6, state(6))
        assert checkpoints.steps == [6]


def test_on_a_full_disk_nothing_is_replaced(tmp_path, monkeypatch):
    folder = saved(tmp_path / "prior", (5,), keep=None)
    full = SimpleNamespace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with Checkpoints(folder, keep=None) as checkpoints:
        written = (folder / "5").stat().st_ino
        checkpoints.replace(5, state(5))  # what is there need not be written
        other = {**state(5), "key": jax.random.key(0)}
        with pytest.raises(OSError, match="No space left"):
            checkpoints.replace(5, other)
    assert (folder / "5").stat().st_ino == written
    assert equal(restored(folder)[0], state(5))


def test_a_state_of_an_older_version_has_no_digest_and_is_read(tmp_path):
    folder = tmp_path / "checkpoints"
    with ocp.CheckpointManager(folder) as manager:
        manager.save(1, args=ocp.args.StandardSave(state(1)))
    assert about_run(folder) == {}
    assert equal(restored(folder)[0], state(1))


def test_a_state_says_which_run_and_version_it_is_of(whole, tmp_path):
    about = about_run(whole)
    assert about["gan_jax"] == gan_jax.__version__
    assert about["config"] == {"name": "some", "steps": 2}
    assert about_run(tmp_path / "gone") == {} and not any(tmp_path.iterdir())
