"""Whose a workdir is: found before anything is written into it."""

import json
from pathlib import Path

import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.runs.workdir import another, check_workdir, claimed
from gan_jax.training.checkpoint import Checkpoints

CONFIG = ConfigDict({"name": "some", "steps": 3})


def test_a_claimed_workdir_is_this_configs_alone(tmp_path):
    workdir = tmp_path / "run"
    assert check_workdir(CONFIG, workdir) is None
    assert not workdir.exists()
    with (
        claimed(CONFIG, workdir, []),
        pytest.raises(InputError, match="another run is at work"),
        claimed(CONFIG, workdir, []),
    ):
        pass
    with claimed(CONFIG, workdir, []):  # free again
        pass
    other = ConfigDict({"name": "other", "steps": 3})
    with pytest.raises(InputError, match="name: 'some' -> 'other'"):
        check_workdir(other, workdir)
    with (
        pytest.raises(InputError, match="name: 'some' -> 'other'"),
        claimed(other, workdir, []),
    ):
        pass
    assert json.loads((workdir / "config.json").read_text())["name"] == "some"


def test_a_taken_folder_inside_a_workdir_names_a_free_workdir(tmp_path):
    inside = tmp_path / "run" / "gan"
    with claimed(CONFIG, inside, []):
        pass
    other = ConfigDict({"name": "some", "steps": 3, "seed": 1})
    with pytest.raises(InputError, match=f"seed.*--workdir={tmp_path}/run-2, or"):
        check_workdir(other, inside, named=tmp_path / "run")


def test_a_free_folder_is_counted_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("gan", "gan-2", "my gan"):
        (tmp_path / name).mkdir()
    asked = {"gan": "gan-3", "gan-2": "gan-3", ".": f"{tmp_path}-2"}
    for taken, free in asked.items():
        assert another(Path(taken)).endswith(f"e.g. --workdir={free}")
    assert another(Path("my gan"), "--out").endswith("e.g. '--out=my gan-2'")


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "report.html"])
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"holds {name} but no config.json"):
        check_workdir(CONFIG, tmp_path)
    (tmp_path / name).rmdir()
    (tmp_path / "notes.txt").touch()  # not in the way
    assert check_workdir(CONFIG, tmp_path) is None


BROKEN = ["", "[1]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 10_000, "1" * 5000]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_config_without_checkpoints_names_a_way_back(tmp_path, text):
    with claimed(CONFIG, tmp_path, []):
        pass
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="copy it from a run of the same command"):
        check_workdir(CONFIG, tmp_path)


@pytest.mark.parametrize("text", [None, *BROKEN])
def test_a_broken_config_is_written_anew_from_a_checkpoint(tmp_path, text):
    path = tmp_path / "config.json"
    with (
        claimed(CONFIG, tmp_path, []),
        Checkpoints(tmp_path / "checkpoints") as checkpoints,
    ):
        checkpoints.save(1, {"weights": jnp.ones(3)})
    whole = path.read_bytes()
    path.unlink() if text is None else path.write_text(text)
    other = ConfigDict({"name": "some", "steps": 3, "seed": 1})
    with pytest.raises(InputError, match="seed: None -> 1"):
        check_workdir(other, tmp_path)
    with claimed(CONFIG, tmp_path, []):
        assert path.read_bytes() == whole


@pytest.mark.parametrize("text", [*BROKEN, '{"timing": 3}', "{}"])
def test_a_broken_summary_is_one_of_a_run_that_has_not_ended(tmp_path, text, capsys):
    with claimed(CONFIG, tmp_path, []):
        pass
    (tmp_path / "summary.json").write_text(text)
    assert check_workdir(CONFIG, tmp_path) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("writing it anew")


def test_a_workdir_in_which_nothing_can_be_saved_is_refused_early(tmp_path):
    with pytest.raises(InputError, match="a backslash"):
        check_workdir(CONFIG, tmp_path / "a\\b")


def test_unusable_inputs_are_listed_and_the_list_follows(tmp_path):
    path = tmp_path / "results.jsonl"
    with claimed(CONFIG, tmp_path, [Skipped("a.png", "the file is empty")]):
        line = json.loads(path.read_text())
    assert line == {"input": "a.png", "done": False, "reason": "the file is empty"}
    with claimed(CONFIG, tmp_path, []):
        assert path.read_text() == ""
