"""The first moment of a process: Ctrl-C, and output that nobody reads."""

import ast
import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from gan_jax.runs import startup
from launch import anomalies, processes
from tests.programs import ROOT, SMOKE, environment

PROGRAMS = (
    "gan_jax/main.py",
    "gan_jax/export/__main__.py",
    "gan_jax/priors/__main__.py",
    "gan_jax/serve.py",
    "launch/anomalies.py",
    "launch/batch.py",
    "launch/benchmark/__main__.py",
    "launch/latent_search.py",
    "launch/processes.py",
)


@pytest.fixture
def restored(monkeypatch):
    """Put back what `begin` replaces in this process."""
    for name in ("stdin", "stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def redirected(monkeypatch, name):
    """Let a standard stream write to a pipe; yield the end that reads."""
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream, os.fdopen(read) as reader:
        monkeypatch.setattr(sys, name, stream)
        yield reader


@pytest.mark.parametrize("path", PROGRAMS)
def test_programs_begin_before_they_import(path):
    _, first, *_ = ast.parse((ROOT / path).read_text()).body
    assert isinstance(first, ast.If)
    assert ast.unparse(first.test) == "__name__ == '__main__'"
    assert ast.unparse(first.body) == (
        "from gan_jax.runs.startup import begin\nbegin()"
    )


def test_no_other_program_is_forgotten():
    measuring = (ROOT / "launch" / "benchmark").glob("[!_]*.py")
    programs = {
        path
        for folder in ("gan_jax", "launch")
        for path in (ROOT / folder).rglob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    known = {ROOT / path for path in (*PROGRAMS, "gan_jax/__main__.py")}
    assert programs - {*measuring} == known


def test_ctrl_c_ends_a_process_at_once(restored, monkeypatch):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    startup.begin()
    try:  # as a module that is being imported may
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        pytest.fail("it could be caught")
    assert codes == [130]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_that_nobody_reads_is_dropped(restored, monkeypatch, name):
    with redirected(monkeypatch, name) as reader:
        startup.begin()
        stream = getattr(sys, name)
        print("caf\udce9 é", file=stream)
        assert reader.readline() == "caf\\udce9 é\n"
        reader.close()
        for _ in range(3):
            print("x" * 100_000, file=stream, flush=True)
        stream.close()


def test_closed_streams_are_opened(restored, monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    startup.begin()
    assert sys.stdin.read() == ""
    for stream in (sys.stdout, sys.stderr):
        print("nowhere \udce9", file=stream, flush=True)
        assert not stream.isatty()
        stream.close()
    sys.stdin.close()


def test_a_traceback_is_harmless(restored, monkeypatch):
    with redirected(monkeypatch, "stderr") as reader:
        startup.begin()
        sys.excepthook(RuntimeError, RuntimeError("\x1b[2J"), None)
        assert reader.readline() == "RuntimeError: \\u001b[2J\n"


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&- 2>&-", "| head -n 1"])
def test_a_run_outlives_its_output(tmp_path, closed):
    run = [sys.executable, "-m", "gan_jax.main", SMOKE, "--config.steps=3"]
    line = " ".join([*run, f"--workdir={tmp_path / 'run'}", closed])
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr and "again" not in finished.stderr
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.endurance
def test_ctrl_c_while_modules_load_is_130_and_silence(tmp_path):
    draw = random.Random(0)
    ends = []
    for place in range(32):
        process = subprocess.Popen(
            [sys.executable, "-m", "gan_jax.main", SMOKE, f"--workdir={tmp_path}/run"],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        time.sleep(draw.uniform(0.1, 6))
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        ends.append((place, process.returncode, said))
    assert [end for end in ends if end[1:] != (130, "")] == []


class Stopped(processes.Children):
    """Children that were sent a signal before the first was started."""

    def __enter__(self):
        super().__enter__()
        signal.raise_signal(signal.SIGTERM)
        return self


def test_signals_of_a_launcher_reach_its_children(monkeypatch, capsys, tmp_path):
    sent = []

    class Child:
        returncode = -signal.SIGTERM

        def __init__(self, arguments, **how):
            assert how["process_group"] == 0

        def send_signal(self, number):
            sent.append(number)

        def poll(self):
            return self.returncode

        def kill(self):
            pass

        def wait(self):
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Child)
    with processes.Children() as children:
        for _ in range(2):
            children.start([])
        signal.raise_signal(signal.SIGTERM)
        children.start([])
    assert sent == [signal.SIGTERM] * 3
    monkeypatch.setattr(processes, "Children", Stopped)
    assert processes.run(2, 1, []) == 143
    monkeypatch.setattr(anomalies, "Children", Stopped)
    where = f"--workdir={tmp_path}"
    monkeypatch.setattr(sys, "argv", ["anomalies", "--labels=0,1", where])
    assert anomalies.main() == 143
    assert capsys.readouterr() == ("", "")
