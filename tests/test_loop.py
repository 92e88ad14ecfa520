"""The training loop: what it calls, when, and how it stops."""

import signal

import numpy as np
import pytest

from gan_jax.config.errors import DivergedError, Interrupted
from gan_jax.report.journal import Rows
from gan_jax.runs.loop import due, iterate, steps_left, write_logs
from gan_jax.runs.signals import Signals
from gan_jax.training.updates import Log


class Course:
    """Counts in calls of 4 steps at most; marks every 6 steps, saves every 10."""

    def __init__(self):
        self.signals = Signals()
        self.read, self.logged, self.marked, self.saved = [], [], [], []

    def go(self, step, end, ended=lambda state: False, at_mark=lambda step: None):
        def read(step):
            count = min(4, *(steps_left(step, each) for each in (6, 10)), end - step)
            self.read.append(step)
            return count, step

        def advance(state, arrays, count):
            assert arrays == state
            return state + count, np.arange(4) + state

        def log(logs, first, count):
            self.logged += [int(value) for value in logs[:count]]
            return {"last": logs[count - 1]}

        def record(step, state):
            if due(step, 6):
                self.marked.append(step)
                at_mark(step)
            return state

        return iterate(
            step,
            step,
            end,
            title="count",
            read=read,
            compile_advance=lambda state, arrays: advance,
            log=log,
            record=record,
            saves=lambda step: due(step, 10),
            save=lambda step, state, wait: self.saved.append((step, state, wait)),
            signals=self.signals,
            ended=ended,
        )


def test_every_step_is_made_once_and_the_last_is_saved():
    course = Course()
    state, timing = course.go(3, 25)
    assert state == 25 and course.logged == list(range(3, 25))
    assert course.marked == [6, 12, 18, 24]
    assert course.saved == [(10, 10, False), (20, 20, False), (25, 25, False)]
    assert course.read == [3, 6, 10, 12, 16, 18, 20, 24]
    assert timing["steps_per_second"] > 0 and 0 <= timing["host_share"] <= 1


def test_nothing_is_read_where_nothing_is_left():
    course = Course()
    assert course.go(25, 25) == (25, None)
    assert course.go(3, 25, ended=lambda state: True) == (3, None)
    assert not course.read and not course.saved


def test_it_ends_early():
    course = Course()
    state, _ = course.go(0, 25, ended=lambda state: state >= 12)
    assert state == 12 and course.saved == [(10, 10, False)]


def test_a_signal_stops_it_after_the_call_and_the_same_course_continues():
    course = Course()

    def receive(step):
        course.signals.received = signal.SIGTERM if step == 12 else None

    with pytest.raises(Interrupted, match="stopped at step 12; the same command"):
        course.go(0, 25, at_mark=receive)
    assert course.saved == [(10, 10, False), (12, 12, True)]
    course.signals.received = None
    course.go(12, 25)
    assert course.logged == list(range(25))


def test_the_first_steps_are_written_and_then_some(tmp_path):
    rows = Rows(tmp_path)
    for first in range(0, 60, 5):
        logs = Log(
            {"loss": np.arange(first, first + 7) + 0.5},
            {("critic term", "loss"): np.ones(7, bool)},
        )
        shown = write_logs(rows, logs, first, 5, every=20)
        assert shown == {"loss": first + 4.5}
    assert [row["step"] for row in rows.rows] == [*range(1, 21), 40, 60]
    assert rows.rows[-1]["loss"] == 59.5


def test_no_step_of_a_call_that_diverges_is_written(tmp_path):
    rows = Rows(tmp_path)
    sound = np.array([True, False, True])
    tensors = [("generator update", "w"), ("critic gradient", "w")]
    logs = Log({"loss": np.zeros(3)}, dict.fromkeys(tensors, sound))
    with pytest.raises(DivergedError, match=r"step 12: critic gradient w \(and 1 ten"):
        write_logs(rows, logs, 10, 3, every=1)
    assert not rows.rows
    # What was not reached does not count.
    write_logs(rows, logs, 10, 1, every=1)
    assert [row["step"] for row in rows.rows] == [11]
