"""A run that is killed again and again ends as one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KILLS = 20
STEPS = 400
FLAGS = (
    "--config=configs/pixelcgan.py:smoke",
    f"--config.steps={STEPS}",
    "--config.checkpoint_every=20",
    "--config.evaluation.every=100",
    "--config.sample_every=100",
)
PHASES = ("start", "training", "saving", "on the way", "evaluation")
WRITING = "*orbax-checkpoint-tmp*"


class Machine:
    """Runs the real program, as its user does, with one cache for all runs."""

    def __init__(self, cache):
        self._environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "GAN_JAX_CACHE": str(cache / "classifiers"),
            # A restart compiles nothing anew: the program is the same.
            "JAX_COMPILATION_CACHE_DIR": str(cache / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

    def start(self, workdir):
        return subprocess.Popen(
            [sys.executable, "-m", "gan_jax.main", *FLAGS, f"--workdir={workdir}"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, workdir):
        process = self.start(workdir)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return said


def latest(workdir):
    names = [path.name for path in (workdir / "checkpoints").glob("[0-9]*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def writing(workdir):
    """Folders that Orbax is writing; a killed run leaves some behind."""
    folders = [workdir / name for name in ("checkpoints", "epochs")]
    return {path for folder in folders for path in folder.glob(WRITING)}


def on_the_way(workdir):
    """Files that an evaluation on the way writes, with their times."""
    folders = [workdir / name for name in ("epochs", "samples")]
    return {
        (path, path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.glob("*")
    }


def watch(phase, workdir):
    """Return a function that tells whether a run, started after this, is in a phase."""
    checkpoint, left, seen = latest(workdir), writing(workdir), on_the_way(workdir)
    return {
        "start": lambda: True,
        "training": lambda: latest(workdir) > checkpoint,
        "saving": lambda: bool(writing(workdir) - left),
        "on the way": lambda: bool(on_the_way(workdir) - seen),
        "evaluation": lambda: latest(workdir) == STEPS,
    }[phase]


def kill(machine, workdir, phase, draw):
    """Start the run, wait for a phase, wait a random moment more, and `kill -9`.

    Returns:
        Whether it was killed: it may have been done before.
    """
    reached = watch(phase, workdir)
    process = machine.start(workdir)
    deadline = time.monotonic() + 300
    while not reached() and process.poll() is None:
        assert time.monotonic() < deadline, f"{phase} was never reached"
        time.sleep(0.001)
    longest = {
        "start": 8.0,
        "training": 1.0,
        "saving": 0.05,
        "on the way": 0.1,
        "evaluation": 4.0,
    }
    time.sleep(draw.uniform(0, longest[phase]))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def digest(workdir):
    return strict(workdir / "summary.json")["parameters_sha256"]


def strict(path):
    def refuse(text):
        raise AssertionError(f"{text} is not strict JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def rows(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def leftovers(workdir):
    return [
        path
        for pattern in ("*.tmp", "*tmp*")
        for path in workdir.rglob(pattern)
        if path.name != "tmp"
    ]


def check_like(workdir, whole):
    """A run ended as the uninterrupted one did."""
    assert digest(workdir) == digest(whole)
    assert rows(workdir) == rows(whole)
    found, expected = (strict(path / "summary.json") for path in (workdir, whole))
    assert found["complete"] is True
    assert found["metrics"] == expected["metrics"]
    assert found["best"] == expected["best"]
    assert found.keys() == expected.keys()
    page = (workdir / "report.html").read_text()
    HTMLParser().feed(page)
    assert page.rstrip().endswith("</html>")
    assert leftovers(workdir) == []


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def whole(machine, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    machine.finish(workdir)
    return workdir


@pytest.mark.endurance
def test_twenty_kills_change_nothing(machine, whole, tmp_path):
    draw = random.Random(0)
    phases = [*PHASES * (KILLS // len(PHASES))]
    draw.shuffle(phases)
    # Where it comes to the evaluation, training is over: those kills come last.
    phases.sort(key="evaluation".__eq__)
    killed = []
    for phase in phases:
        if kill(machine, tmp_path, phase, draw):
            killed.append((phase, latest(tmp_path)))
        print(f"{phase}: checkpoint {latest(tmp_path)}", flush=True)
    assert len(killed) >= KILLS - 5, killed
    assert len({checkpoint for _, checkpoint in killed}) > 5, killed
    machine.finish(tmp_path)
    check_like(tmp_path, whole)


@pytest.mark.endurance
def test_a_truncated_newest_checkpoint_is_set_aside(machine, whole, tmp_path):
    kill(machine, tmp_path, "evaluation", random.Random(1))
    newest = tmp_path / "checkpoints" / str(STEPS)
    for file in newest.rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    said = machine.finish(tmp_path)
    assert f"checkpoint {STEPS} cannot be read" in said
    assert f"continues at step {STEPS - 20}" in said
    check_like(tmp_path, whole)
