"""Whose a workdir is: found before anything is written into it."""

import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.runs.workdir import another, check_workdir, claimed

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


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
@pytest.mark.parametrize("text", ["", "[1]", "{", '{"timing": 3}'])
def test_damaged_files_of_a_workdir_are_explained(tmp_path, name, text):
    with claimed(CONFIG, tmp_path, []):
        pass
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="choose another --workdir"):
        check_workdir(CONFIG, tmp_path)


def test_unusable_inputs_are_listed_and_the_list_follows(tmp_path):
    path = tmp_path / "results.jsonl"
    with claimed(CONFIG, tmp_path, [Skipped("a.png", "the file is empty")]):
        line = json.loads(path.read_text())
    assert line == {"input": "a.png", "done": False, "reason": "the file is empty"}
    with claimed(CONFIG, tmp_path, []):
        assert path.read_text() == ""
