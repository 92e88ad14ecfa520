"""What no run wrote is neither overwritten nor removed, and inputs lie apart."""

import numpy as np
import pytest
from PIL import Image

from tests.endurance.programs import refused, train_points
from tests.endurance.workdirs import files
from tests.programs import run, run_batch

pytestmark = [pytest.mark.slow, pytest.mark.endurance]


def notes(place):
    """Write a file of the user's, and return what it holds."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("the user's")
    return place


TRAINED = (
    "samples/00000010.png",
    "samples/best.png",
    "report.html",
    "summary.json",
    "metrics.jsonl",
    "checkpoints/notes.txt",
    "epochs/notes.txt",
    "prior/notes.txt",
    "tensorboard/notes.txt",
    "notes.txt",
    ".notes.0123abcd.tmp",
    "more/.notes.0123abcd.tmp",
)


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_run_leaves_what_it_did_not_write(name, tmp_path, tally):
    tally.add(faults=1, lost=1)
    workdir = tmp_path / "run"
    path = notes(workdir / name)
    ended = train_points(workdir, 20)
    assert ended.returncode == 0 or refused(ended)
    assert path.read_text() == "the user's"
    assert ended.returncode == 2 or name.endswith((".txt", ".tmp"))
    if ended.returncode:
        assert files(workdir) == {name: b"the user's"}
    tally.add(lost=-1, right=1)


APPLIED = ("images/0.png", "images/notes.txt", "report.html", "results.jsonl")


@pytest.mark.parametrize("name", [*APPLIED, "images"])
def test_an_applied_run_leaves_what_it_did_not_write(name, inputs, tmp_path, tally):
    """Files of the user's, and behind a link in place of the folder of outputs."""
    tally.add(faults=1, lost=1)
    workdir, outside = tmp_path / "run", tmp_path / "outside"
    path = notes(outside / "0.png" if name == "images" else workdir / name)
    if name == "images":
        workdir.mkdir()
        (workdir / name).symlink_to(outside)
    before = files(outside) if outside.exists() else {}
    flags = (
        f"--config.prior={inputs['detector']}",
        f"--config.images={inputs['grey']}",
    )
    ended = run(workdir, *flags, config="--config=configs/detect.py:smoke")
    assert ended.returncode == 0 or refused(ended)
    assert path.read_text() == "the user's"
    assert (files(outside) if outside.exists() else {}) == before
    tally.add(lost=-1, right=1)


def test_a_batch_job_leaves_what_it_did_not_write(inputs, tmp_path, tally):
    tally.add(faults=1, lost=1)
    path = notes(tmp_path / "out" / "images" / "0.png")
    config = "--config=configs/detect.py:smoke"
    flags = (f"--config.prior={inputs['detector']}",)
    ended = run_batch(inputs["grey"], tmp_path / "out", *flags, config=config)
    assert ended.returncode == 0 or refused(ended)
    assert path.read_text() == "the user's"
    tally.add(lost=-1, right=1)


PLACES = ("run/images", "run", "run/deep/er", ".")
"""Folders of inputs, beside or around the workdir `run`."""


@pytest.mark.parametrize("key", ["data.path", "images", "masks"])
@pytest.mark.parametrize("place", PLACES)
def test_inputs_and_workdir_lie_apart(key, place, inputs, tmp_path, tally):
    """Neither is read or written as the other."""
    tally.add(faults=1, lost=1)
    folder, workdir = tmp_path / place, tmp_path / "run"
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for index in range(60 if key == "data.path" else 8):
        Image.fromarray(draw.integers(0, 256, (28, 28), np.uint8)).save(
            folder / f"{index}.png"
        )
    before = files(tmp_path)
    if key == "data.path":
        config, flags = (
            "gan.py:smoke",
            ("--config.steps=1", f"--config.data.path={folder}"),
        )
    else:
        given = {"images": inputs["grey"], "masks": inputs["masks"]} | {key: folder}
        config = "inpaint.py:smoke"
        flags = (f"--config.prior={inputs['gan']}",)
        flags += tuple(f"--config.{name}={path}" for name, path in given.items())
    assert refused(run(workdir, *flags, config=f"--config=configs/{config}"))
    assert files(tmp_path) == before
    tally.add(lost=-1, right=1)
