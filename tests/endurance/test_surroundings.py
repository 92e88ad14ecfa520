"""Runs in odd places: full and read-only disks, lost terminals, names, clocks."""

import errno
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from gan_jax.apps.train import prior as train_prior
from gan_jax.runs.prior import open_prior
from gan_jax.training.checkpoint import Checkpoints
from tests.endurance import machine
from tests.endurance.programs import PROGRAMS, refused, train_points
from tests.endurance.workdirs import differences
from tests.programs import ROOT, environment, run_batch, summary, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.endurance]


def check_continues(workdir, whole, tally):
    """Check that a run of points continues to what it would have been."""
    ended = train_points(workdir, 30)
    assert ended.returncode == 0, ended.stderr
    assert differences(workdir, whole) == []
    tally.add(right=1)


# Names.

NAMES = {
    "brackets": "run[1]",
    "star": "run*",
    "question": "run?",
    "braces": "run{a,b}",
    "space": "a run",
    "hyphen": "-run",
    "tilde": "~run",
    "dollar": "$HOME",
    "percent": "%s%d",
    "hash": "#run",
    "quotes": "'run\"",
    "accents": "übung",
    "dots": "run..tmp",
}
SAMPLED = ("brackets", "tilde", "quotes")
ODD = {
    "backslash": "run\\n",
    "not UTF-8": os.fsdecode(b"run\xff"),
    "newline": "run\n2",
    "escape": "run\x1b[2J",
}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_workdir_works(name, begun, tmp_path, tally, full):
    if not full and name not in SAMPLED:
        pytest.skip("in the full run only")
    tally.add(faults=1)
    workdir = tmp_path / NAMES[name] / "inside"
    ended = train_points(workdir, 20)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    check_continues(workdir, begun[1], tally)
    assert [path.name for path in tmp_path.iterdir()] == [NAMES[name]]
    (tmp_path / NAMES[name] / "moved").symlink_to(workdir)
    assert open_prior(str(tmp_path / NAMES[name] / "moved"), "").networks.step in (
        10,
        20,
        30,
    )


@pytest.mark.parametrize("name", ODD)
def test_odd_names_work_or_are_refused(name, begun, tmp_path, tally):
    tally.add(faults=1)
    workdir = tmp_path / ODD[name]
    ended = train_points(workdir, 20)
    assert "\x1b" not in ended.stdout + ended.stderr
    if ended.returncode:
        refused(ended)
        assert not workdir.exists()
        tally.add(right=1)
    else:
        check_continues(workdir, begun[1], tally)


def test_a_long_name_stops_nothing_else(inputs, tmp_path, tally):
    """The longest name that the system allows is an image like any other."""
    tally.add(faults=1)
    images = shutil.copytree(inputs["grey"], tmp_path / "images")
    longest = "n" * (os.pathconf(images, "PC_NAME_MAX") - len(".png"))
    shutil.copy(images / "0.png", images / f"{longest}.png")
    flags = (f"--config.prior={inputs['detector']}",)
    config = "--config=configs/detect.py:smoke"
    ended = run_batch(images, tmp_path / "out", *flags, config=config)
    assert ended.returncode == 0, ended.stderr
    assert summary(tmp_path / "out")["inputs"] == {"done": 9, "failed": 1}
    tally.add(right=1)


# Disks. A file whose last write has failed cannot be closed: Python warns of it.

unclosed = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@unclosed
@pytest.mark.parametrize("writes", [1, 3, 7])
def test_a_run_on_a_full_disk_continues(writes, begun, tmp_path, tally, monkeypatch):
    """The disk is full from some file on, and later has space again."""
    tally.add(faults=1)
    workdir, real, left = (
        shutil.copytree(begun[0], tmp_path / "run"),
        os.fsync,
        [writes],
    )

    def fsync(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert refused(train_points(workdir, 30))
    check_continues(workdir, begun[1], tally)


@unclosed
@pytest.mark.parametrize("kibibytes", [1, 8, 64])
def test_a_limit_on_files_is_explained(kibibytes, begun, tmp_path, tally):
    tally.add(faults=1)
    workdir = shutil.copytree(begun[0], tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kibibytes, hard))
        ended = train_points(workdir, 30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.returncode == 0 or refused(ended)
    check_continues(workdir, begun[1], tally)


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk of 1 MiB, and a function that makes it large."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    grow = ["mount", "-o", "remount,size=100m", str(place)]
    yield place, lambda: subprocess.run(grow, check=True)
    subprocess.run(["umount", "-l", str(place)], check=True)


@unclosed
def test_a_run_on_a_small_disk_continues(begun, small_disk, tally):
    tally.add(faults=1)
    place, grow = small_disk
    ended = train_points(place / "run", 20)
    refused(ended)
    assert "Traceback" not in ended.stdout
    grow()
    assert train_points(place / "run", 20).returncode == 0
    check_continues(place / "run", begun[1], tally)


def test_an_evaluation_on_a_full_disk_keeps_the_prior(
    begun, tmp_path, tally, monkeypatch
):
    """A complete run is evaluated again, and its new prior cannot be written."""
    tally.add(faults=1)
    workdir = shutil.copytree(begun[1], tmp_path / "run")
    before = open_prior(str(workdir), "").digest

    class Full(Checkpoints):
        def save(self, step, state):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(workdir))

    with monkeypatch.context() as patch:
        patch.setattr(train_prior, "Checkpoints", Full)
        train_points(workdir, 30)
    assert open_prior(str(workdir), "").digest == before
    tally.add(right=1)


def test_a_read_only_place_is_explained(tmp_path, tally):
    tally.add(faults=1)
    assert refused(train_points("/sys/gan_jax", 20))
    if os.geteuid():
        (tmp_path / "run").mkdir(mode=0o500)
        assert refused(train_points(tmp_path / "run", 20))
    tally.add(right=1)


# Clocks.


def test_a_clock_that_jumps_changes_nothing(begun, tmp_path, tally, monkeypatch):
    """It is a year behind at the restart, and all files are of the future."""
    tally.add(faults=1)
    workdir, real = shutil.copytree(begun[0], tmp_path / "run"), time.time
    for path in workdir.rglob("*"):
        os.utime(path, (2**32, 2**32))
    monkeypatch.setattr(time, "time", lambda: real() - 3e7)
    check_continues(workdir, begun[1], tally)


# Two at once.


def test_a_second_run_in_a_workdir_is_refused(whole, inputs, tmp_path, tally):
    tally.add(faults=1)
    name = "train, conditional"
    workdir, undisturbed = tmp_path / "run", whole(name)
    command = PROGRAMS[name].command(workdir, inputs)
    with (tmp_path / "terminal").open("wb") as terminal:
        first = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment(),
            stdout=terminal,
            stderr=terminal,
        )
        wait_for((workdir / "metrics.jsonl").exists, first)
        second = machine.run(command, tmp_path / "second")
        first.wait()
    assert second.code == 2 and "another run is at work" in second.text
    assert first.returncode == 0, (tmp_path / "terminal").read_text()
    assert differences(workdir, undisturbed) == []
    tally.add(right=1)


# Terminals and homes.

SHELLS = {
    "closed stdout": "{command} >&-",
    "closed stderr": "{command} 2>&-",
    "all closed": "{command} <&- >&- 2>&-",
    "head": "set -o pipefail; {command} | head -n 1",
    "full stdout": "{command} >/dev/full",
    "no home": "env -u HOME -u XDG_CACHE_HOME {command}",
    "broken home": "HOME=/dev/null GAN_JAX_CACHE= {command}",
    "ASCII": "LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {command}",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_run_needs_no_terminal_and_no_home(shell, whole, inputs, tmp_path, tally):
    """What it makes is all there, and the exit code says so."""
    tally.add(faults=1)
    name = "detect, images"
    undisturbed = whole(name)
    command = shlex.join(
        [sys.executable, "-m", *PROGRAMS[name].command(tmp_path / "run", inputs)]
    )
    ended = subprocess.run(
        ["bash", "-c", SHELLS[shell].format(command=command)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    assert differences(tmp_path / "run", undisturbed) == []
    assert ended.returncode == 0, ended.stderr
    tally.add(right=1)
