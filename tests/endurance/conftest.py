"""Counts of kills and inputs, and what all tests here share."""

import functools
import gc
import sys

import pytest

from tests.endurance import machine
from tests.endurance.programs import PROGRAMS, make_inputs, train_points
from tests.endurance.report import Tally


@pytest.fixture(scope="session")
def full(pytestconfig):
    """Return whether this is the full run, and not the sample."""
    return pytestconfig.option.markexpr == "endurance"


@pytest.fixture
def tally(record_property):
    """Return the row of this test in the report's table."""
    found = Tally()
    yield found
    record_property("endurance", found.row())


@pytest.fixture
def late(monkeypatch):
    """Return a function: what a terminal shows of objects that ended with an error."""
    found = []

    def hook(unraisable):
        found.append(f"{unraisable.err_msg}: {unraisable.exc_value!r}"[:200])

    monkeypatch.setattr(sys, "unraisablehook", hook)

    def collected():
        gc.collect()
        shown = found.copy()
        found.clear()
        return shown

    yield collected
    gc.collect()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """Return the paths of what programs are given, by name; all leave them alone."""
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def whole(inputs, tmp_path_factory):
    """Return the workdir of an undisturbed run of a program, by its name."""

    @functools.cache
    def run(name):
        place = tmp_path_factory.mktemp("whole")
        command = PROGRAMS[name].command(place / "run", inputs)
        ending = machine.run(command, place / "terminal")
        assert ending.code == 0, ending.text
        return place / "run"

    return run


@pytest.fixture(scope="session")
def begun(tmp_path_factory):
    """Return a run of points of 20 steps, and the run that it becomes after 30."""
    place = tmp_path_factory.mktemp("begun")
    for name, steps in (("begun", 20), ("whole", 20), ("whole", 30)):
        ended = train_points(place / name, steps)
        assert ended.returncode == 0, ended.stderr
    return place / "begun", place / "whole"
