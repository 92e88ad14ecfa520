"""One run in several processes: the same numbers, and what happens when one ends."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gan_jax.config.errors import InputError
from gan_jax.training import distributed, mesh
from tests.programs import (
    KILLED,
    ROOT,
    STOPPED,
    environment,
    losses,
    run,
    start,
    summary,
    wait_for,
)

STEPS = 40
TINY = (
    f"--config.steps={STEPS}",
    "--config.checkpoint_every=10",
    "--config.evaluation.every=20",
    "--config.evaluation.count=100",
    "--config.evaluation.final_count=100",
    "--config.sample_every=0",
)


def command(workdir, *flags, layout, config):
    count, devices = layout
    return [
        sys.executable,
        "-m",
        "launch.processes",
        f"--processes={count}",
        f"--devices={devices}",
        "--",
        f"--config=configs/{config}.py:smoke",
        f"--workdir={workdir}",
        *TINY,
        *flags,
    ]


def trained(workdir, *flags, layout=(2, 2), config="gan"):
    finished = start(command(workdir, *flags, layout=layout, config=config))
    assert finished.returncode == 0, finished.stderr
    return finished


def trained_alone(workdir, *flags):
    """Train the same in this process, on its four devices."""
    config = "--config=configs/gan.py:smoke"
    finished = run(workdir, *TINY, *flags, config=config, devices=4)
    assert finished.returncode == 0, finished.stderr
    return finished


def started(workdir, layout=(2, 2), config="gan"):
    return subprocess.Popen(
        command(workdir, layout=layout, config=config),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(each) for each in listed.split()]


def assert_same(one, other, tolerance=1e-3):
    """Every addend of every loss in the first 20 steps, to a relative difference."""
    pairs = [*zip(losses(one), losses(other), strict=True)]
    assert len(pairs) > 20
    for mine, theirs in pairs[:20]:
        assert mine["step"] == theirs["step"]
        named = [name for name in mine if name.endswith(("/loss", "/adversarial"))]
        assert len(named) == 4
        for name in named:
            assert mine[name] == pytest.approx(theirs[name], rel=tolerance), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return an uninterrupted run of 2 processes with 2 devices each."""
    workdir = tmp_path_factory.mktemp("processes") / "whole"
    finished = trained(workdir)
    # The first process alone speaks.
    assert finished.stdout.count("report: ") == 1
    return workdir


def test_two_processes_train_as_one(whole, tmp_path):
    trained_alone(tmp_path / "alone")
    assert_same(whole, tmp_path / "alone")
    ours, theirs = summary(whole), summary(tmp_path / "alone")
    assert ours["environment"]["count"] == theirs["environment"]["count"] == 4
    assert ours["dataset"] == theirs["dataset"]
    # Each process has made its share of the images that are measured.
    for name in ("fid", "diversity"):
        assert ours["metrics"][name] == pytest.approx(theirs["metrics"][name], rel=1e-2)
    assert {path.name for path in whole.iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_the_same_command_continues(whole, tmp_path):
    workdir = tmp_path / "killed"
    process = started(workdir)
    checkpoints = workdir / "checkpoints"
    wait_for((checkpoints / "20").is_dir, process)
    os.kill(children(process)[1], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 - KILLED
    assert "process 1 of 2 has ended (SIGKILL)" in said
    assert "the same command continues at the last checkpoint" in said
    assert not (workdir / "summary.json").exists()
    # What one process cannot read none of them takes.
    newest = [path for path in checkpoints.iterdir() if path.name in ("20", "30")]
    for file in (file for path in newest for file in path.rglob("*")):
        if file.is_file():
            file.write_bytes(b"")
    # On one process with the devices of both it continues too, to rounding.
    shutil.copytree(workdir, tmp_path / "elsewhere")
    assert "set aside" in trained(workdir).stdout
    assert summary(workdir)["parameters_sha256"] == summary(whole)["parameters_sha256"]
    assert losses(workdir) == losses(whole)
    assert "continues at step" in trained_alone(tmp_path / "elsewhere").stdout
    assert_same(whole, tmp_path / "elsewhere")


@pytest.mark.slow
def test_a_signal_ends_all_processes_at_one_step(tmp_path):
    workdir = tmp_path / "stopped"
    process = started(workdir)
    wait_for((workdir / "checkpoints" / "10").is_dir, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == STOPPED
    assert "stopped at step" in said
    steps = [int(path.name) for path in (workdir / "checkpoints").iterdir()]
    assert 10 <= max(steps) < STEPS
    assert losses(workdir)[-1]["step"] == max(steps)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("gan", marks=pytest.mark.slow),
        pytest.param("wgan_gp", marks=pytest.mark.endurance),  # three minutes
        pytest.param("pixelcgan", marks=pytest.mark.slow),
    ],
)
def test_any_layout_gives_the_same_losses(config, tmp_path):
    layouts = [(1, 4), (2, 2), (4, 1)]
    places = [tmp_path / f"{count}x{devices}" for count, devices in layouts]
    for place, layout in zip(places, layouts, strict=True):
        trained(place, layout=layout, config=config)
    for place in places[1:]:
        assert_same(places[0], place)


def test_refuses_what_processes_cannot_share(monkeypatch):
    assert mesh.make_mesh(15).size == 3  # one process may leave a device idle
    monkeypatch.setattr(mesh, "is_multiprocess", lambda: True)
    with pytest.raises(InputError, match="batch_size 15 cannot be laid over 4 devices"):
        mesh.make_mesh(15)
    assert mesh.make_mesh(16).size == 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--processes=2"], "--processes=2 without --coordinator=HOST:PORT"),
        (
            ["--coordinator=localhost:1", "--processes=2", "--process=2"],
            "give each process its own number, from 0",
        ),
        (["--coordinator=localhost", "--processes=2"], "names no port"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, flags, said):
    finished = run(tmp_path, *flags)
    assert finished.returncode == 2
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_a_process_alone_agrees_with_itself():
    assert distributed.all_max(3) == 3
    assert distributed.is_main() and not distributed.is_multiprocess()
    assert distributed.broadcast(lambda: {"a": 1}) == {"a": 1}
    distributed.check_same("00", "nothing")
    with pytest.raises(InputError, match="mine"), distributed.all_succeeded():
        raise InputError("mine")
