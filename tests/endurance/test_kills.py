"""A run that is stopped again and again ends as one that never was."""

import itertools
import random
import signal

import pytest

from tests.endurance import machine
from tests.endurance.machine import MOMENTS
from tests.endurance.programs import PROGRAMS
from tests.endurance.workdirs import differences

pytestmark = [pytest.mark.slow, pytest.mark.endurance]

SAMPLE, FULL = 2, 6
"""Kills of each program."""
SAMPLED = ("train, history", "inpaint", "batch", "export")
"""Programs of the sample; the others take a minute each."""


def chain(name, count, draw):
    """Draw the moments of several stops of one run; late ones come last."""
    moments = PROGRAMS[name].moments
    order = {moment: place for place, moment in enumerate(moments)}
    shuffled = draw.sample(moments, len(moments))
    return sorted(
        itertools.islice(itertools.cycle(shuffled), count), key=order.__getitem__
    )


def stopped(name, workdir, inputs, numbers, draw, tally):
    """Stop a run once by each signal, and then let it end; return the endings."""
    command = PROGRAMS[name].command(workdir, inputs)
    terminal = workdir.with_name("terminal")
    endings = []
    for number, moment in zip(numbers, chain(name, len(numbers), draw), strict=True):
        ending = machine.stop(command, terminal, workdir, MOMENTS[moment], number, draw)
        print(f"{number.name} at {moment}: {ending.code}, {ending.seconds:.1f} s")
        endings.append(ending)
    endings.append(machine.run(command, terminal))
    tally.add(
        kills=sum(ending.code != 0 for ending in endings[:-1]),
        tracebacks=sum(ending.traceback for ending in endings),
        memory=max(ending.memory for ending in endings),
    )
    return endings


def check_like(whole, workdir, endings, tally):
    """Check that a run that was stopped has ended as the undisturbed one did."""
    *before, last = endings
    assert last.code == 0, last.text
    different = differences(workdir, whole)
    tally.add(lost=bool(different))
    assert not different, different
    for ending in endings:
        assert not ending.traceback, ending.text
    tally.add(right=sum(ending.code != 0 for ending in before))


@pytest.mark.parametrize("name", PROGRAMS)
def test_kills_change_nothing(name, whole, inputs, tmp_path, tally, full):
    if not full and name not in SAMPLED:
        pytest.skip("in the full run only")
    draw = random.Random(name)
    numbers = [signal.SIGKILL] * (FULL if full else SAMPLE)
    workdir = tmp_path / "run"
    endings = stopped(name, workdir, inputs, numbers, draw, tally)
    assert {ending.code for ending in endings[:-1]} <= {0, -signal.SIGKILL}
    check_like(whole(name), workdir, endings, tally)


CODES = {
    signal.SIGTERM: {0, 128 + signal.SIGTERM, -signal.SIGTERM},
    signal.SIGINT: {0, 128 + signal.SIGINT, -signal.SIGINT},
}
"""Exit codes; a shell shows the negated ones, of a program that had no time to catch
the signal, as the other ones."""


@pytest.mark.parametrize(
    "name", ["train, history", "detect", "inpaint", "batch", "export"]
)
def test_signals_stop_a_run_which_then_continues(
    name, whole, inputs, tmp_path, tally, full
):
    if not full and name not in SAMPLED:
        pytest.skip("in the full run only")
    draw = random.Random(f"signals of {name}")
    numbers = [signal.SIGTERM, signal.SIGINT] * (3 if full else 1)
    workdir = tmp_path / "run"
    endings = stopped(name, workdir, inputs, numbers, draw, tally)
    for number, ending in zip(numbers, endings[:-1], strict=True):
        assert ending.code in CODES[number], ending.text
    check_like(whole(name), workdir, endings, tally)


def test_interrupted_while_modules_load_it_ends_in_silence(
    inputs, tmp_path, tally, full
):
    """Ctrl-C in the first seconds: never swallowed, and no traceback."""
    draw = random.Random(0)
    command = PROGRAMS["train, conditional"].command(tmp_path / "run", inputs)
    early = machine.Moment((), 2.5)
    wrong = []
    for _ in range(24 if full else 4):
        ending = machine.stop(
            command, tmp_path / "text", tmp_path / "run", early, signal.SIGINT, draw
        )
        right = ending.code in CODES[signal.SIGINT] - {0} and not ending.traceback
        tally.add(kills=1, right=right, tracebacks=ending.traceback)
        wrong += [] if right else [(ending.code, ending.text[-500:])]
    assert not wrong, wrong
