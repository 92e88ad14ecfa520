"""How tests start programs, in this process or in one of their own, and read them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import grain  # noqa: F401 - its flags are there before others are put back
import jax
from absl.testing import flagsaver

from gan_jax import main
from gan_jax.report import ownership
from gan_jax.runs import startup
from launch import batch

ROOT = Path(__file__).parents[1]
SMOKE = "--config=configs/pixelcgan.py:smoke"
SECONDS = 300  # after which a program has hung


class Finished(NamedTuple):
    """What a program left behind, as `subprocess.CompletedProcess` has it."""

    returncode: int
    stdout: str
    stderr: str


def run(workdir, *flags, config=SMOKE, devices=1):
    """Run `gan_jax.main` in this process, on some of its four devices."""
    some = jax.devices()[:devices]
    with mock.patch.object(jax, "devices", lambda: some):
        return called(main.main, "gan_jax.main", config, f"--workdir={workdir}", *flags)


def run_batch(images, out, *flags, config=None):
    """Run `launch.batch` in this process."""
    given = [f"--images={images}"] if images else []
    given += [config] if config else []
    return called(batch.main, "launch.batch", f"--out={out}", *given, *flags)


def called(program, *arguments):
    """Call a command line's `main` as a start of its own would."""
    # The library of configs loads each as this module, over what the last one left.
    sys.modules.pop("config_config", None)
    # Files, since a stream in memory is not all that a terminal's is.
    written = partial(tempfile.TemporaryFile, "w+", errors="backslashreplace")
    with written() as output, written() as errors, contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(flagsaver.flagsaver())
        # That library reads overrides here.
        enter(mock.patch.object(sys, "argv", [*arguments]))
        enter(contextlib.chdir(ROOT))
        enter(warnings.catch_warnings())
        # How that library loads a config file.
        warnings.filterwarnings("ignore", "the load_module", DeprecationWarning)
        # It is for the life of a process, and this one lives on.
        enter(mock.patch.object(startup, "keep_memory"))
        enter(contextlib.redirect_stdout(output))
        enter(contextlib.redirect_stderr(errors))
        code = program([*arguments])
        for stream in (output, errors):
            stream.seek(0)
        return Finished(code, output.read(), errors.read())


def command(workdir, *flags, config=SMOKE):
    return [
        sys.executable,
        "-m",
        "gan_jax.main",
        config,
        f"--workdir={workdir}",
        *flags,
    ]


def environment(devices=1):
    return {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}


def start(arguments, devices=1, seconds=SECONDS, **variables):
    """Start a program in a process of its own, and wait for its end."""
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=environment(devices) | variables,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def start_run(workdir, *flags, config=SMOKE, **how):
    """Run `gan_jax.main` as its user does, in a process of its own."""
    return start(command(workdir, *flags, config=config), **how)


def signal_once(folder, number, arguments, devices=1):
    """Start a program, and send a signal once a folder is there: the exit code."""
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(devices),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(folder.is_dir, process)
    process.send_signal(number)
    return process.wait(timeout=120)


def wait_for(reached, process):
    """Wait until a program that is at work has come so far."""
    deadline = time.monotonic() + SECONDS
    while not reached():
        assert process.poll() is None, "it ended before it could be signalled"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def summary(workdir):
    return strict((workdir / "summary.json").read_text())


def assert_names_are_own(workdir):
    """Assert that a run wrote only names of the table, and signed its pictures."""
    names = {path.name for path in workdir.iterdir()}
    assert names <= {*ownership.NAMES, ownership.SIGNED}
    assert ownership.misplaced(workdir) is None
    for path in (*workdir.glob("samples/*"), *workdir.glob("images/**/*.png")):
        assert ownership.is_signed(path), path


def strict(text):
    """Read JSON that every reader can read: without NaN and infinities."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not strict JSON")

    return json.loads(text, parse_constant=refuse)


def losses(workdir):
    return _lines(workdir / "metrics.jsonl")


def results(workdir):
    return _lines(workdir / "results.jsonl")


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


KILLED = -signal.SIGKILL
STOPPED = 128 + signal.SIGTERM
"""Exit codes of a program that was killed, and of one that was asked to stop."""
