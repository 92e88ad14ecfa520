"""Programs started as their user does, stopped at random moments, and measured."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.programs import ROOT, SECONDS, environment


class Ending(NamedTuple):
    """How a program ended."""

    code: int
    """Exit code; of a program that a signal killed, the negated signal."""
    text: str
    """Everything it wrote to its terminal."""
    seconds: float
    memory: int
    """Peak memory in bytes."""

    @property
    def traceback(self) -> bool:
        """Whether the terminal shows a traceback."""
        return "Traceback (most recent call last)" in self.text


class Moment(NamedTuple):
    """A moment of a run: some time after a file has appeared or changed."""

    patterns: tuple[str, ...]
    """Patterns of the file's path in the workdir; none is the start of the program."""
    longest: float
    """Seconds after the file, at most."""


MOMENTS: Mapping[str, Moment] = {
    "start": Moment((), 6.0),
    "training": Moment(
        ("metrics.jsonl", "gan/metrics.jsonl", "runs/*/*/metrics.jsonl"), 3.0
    ),
    "saving": Moment(
        tuple(
            f"{run}{folder}/*orbax-checkpoint-tmp*"
            for run in ("", "gan/", "runs/*/*/")
            for folder in ("checkpoints", "epochs", "history", "prior", "detector")
        ),
        0.05,
    ),
    "evaluation": Moment(("prior/*", "gan/prior/*", "runs/*/*/prior/*"), 1.0),
    "shaping": Moment(("checkpoints/*", "snapshots/*", "detector/*"), 0.3),
    "search": Moment(("searches/*",), 0.3),
    "realisations": Moment(("realisations/*/*",), 0.5),
    "outputs": Moment(("images/*", "results/*"), 0.1),
    "claimed": Moment(("config.json",), 2.0),
    "report": Moment(("report.html", "gan/report.html", "runs/*/*/report.html"), 0.05),
    "artefact": Moment((".*.tmp", "*"), 0.02),
}
"""Moments by name; those of one run have their files in sub-folders of another."""


def run(arguments: list[str], text: Path, **variables: str) -> Ending:
    """Run a program to its end; its terminal is the file `text`."""
    return _end(*_start(arguments, text, variables), text)


def stop(
    arguments: list[str],
    text: Path,
    workdir: Path,
    moment: Moment,
    number: signal.Signals,
    draw: random.Random,
) -> Ending:
    """Run a program and send it a signal at a moment; it may have ended before."""
    before = _stamps(workdir, moment)
    process, began = _start(arguments, text, {})
    deadline = began + SECONDS
    while moment.patterns and not _stamps(workdir, moment) - before:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        assert time.monotonic() < deadline, f"{moment} never came"
        time.sleep(0.005)
    time.sleep(draw.uniform(0, moment.longest))
    os.kill(process.pid, number)  # `Popen` would reap one that has ended
    return _end(process, began, text)


def _stamps(workdir: Path, moment: Moment) -> set[tuple[str, int]]:
    """Return the files of a moment, with their times."""
    stamps = set()
    for pattern in moment.patterns:
        for path in workdir.glob(pattern):
            try:
                stamps.add((str(path), path.stat().st_mtime_ns))
            except FileNotFoundError:  # renamed in between
                continue
    return stamps


def _start(
    arguments: list[str], text: Path, variables: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], float]:
    began = time.monotonic()
    with text.open("wb") as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
        )
    return process, began


def _end(process: subprocess.Popen[bytes], began: float, text: Path) -> Ending:
    """Wait for the end of a program, for so long that it cannot be at work any more."""
    while True:
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > began + SECONDS:
            process.kill()
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ending(
        process.returncode,
        text.read_text(errors="replace"),
        time.monotonic() - began,
        usage.ru_maxrss * 1024,
    )
