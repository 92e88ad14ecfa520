"""Runs in slices of time: each stops where the same call continues."""

import signal

import pytest

from gan_jax.apps.programs import program_of
from gan_jax.config.errors import UNFINISHED, Interrupted, explain
from gan_jax.report.journal import read_rows
from gan_jax.runs.signals import Signals, limited
from tests.runs import kept, smoke

NOW = 1e-9  # minutes, over before anything is done


def sliced(config, workdir):
    """Run a program in the shortest slices; return its summary, and their number."""
    for number in range(1, 20):
        try:
            return program_of(config)(config, workdir), number
        except Interrupted as stopped:
            line, code = explain(stopped)
            assert code == UNFINISHED == 75
            assert "the same command continues (--config.minutes are over)" in line
    raise AssertionError("it never ends")


def points(**values):
    config = smoke("gan", "gaussians8,smoke", steps=20, fused_steps=10, **values)
    return config


def test_time_stops_where_work_is_kept_and_nowhere_else():
    with limited(0.0), Signals() as signals:
        signals.obey()
    with limited(NOW), Signals() as signals:
        signals.obey(kept=False)
        with pytest.raises(Interrupted, match="the same command continues"):
            signals.obey()
        with limited(0.0):
            signals.obey()
    with Signals() as signals:
        signals.obey()


def test_a_signal_counts_before_time():
    with limited(NOW), Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as stopped:
            signals.obey()
    assert explain(stopped.value)[1] == 128 + signal.SIGTERM


@pytest.mark.slow
def test_training_in_slices_is_training_at_a_stretch(tmp_path):
    whole, _ = sliced(points(), tmp_path / "whole")
    parts, slices = sliced(points(minutes=NOW), tmp_path / "parts")
    assert slices == 2
    assert parts["parameters_sha256"] == whole["parameters_sha256"]
    rows = [
        [row["step"] for row in read_rows(workdir / "metrics.jsonl")]
        for workdir in (tmp_path / "whole", tmp_path / "parts")
    ]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_study_in_slices_ends_with_the_same_runs(tmp_path):
    values = {
        "shared.steps": 10,
        "seeds": 2,
        "only": "lsgan,hinge",
        "shared.evaluation.classifier.epochs": 0,
    }
    runs = []
    for minutes in (0.0, NOW):
        config = smoke("compare_objectives", minutes=minutes, **values)
        done, slices = sliced(config, tmp_path / f"{minutes > 0}")
        runs.append([run["parameters_sha256"] for run in done["runs"]])
        assert slices > 2 if minutes else slices == 1
    assert runs[0] == runs[1]


@pytest.mark.slow
def test_searches_in_slices_are_kept_one_by_one(tmp_path):
    kept(tmp_path / "prior", smoke("gan"))
    found = {}
    for minutes in (0.0, NOW):
        config = smoke(
            "inpaint",
            "yeh,ballester,smoke",
            prior=tmp_path / "prior",
            masks="center",
            minutes=minutes,
        )
        done, slices = sliced(config, tmp_path / f"{minutes > 0}")
        assert slices == (3 if minutes else 1)  # the two losses, and the report
        found[minutes] = done["metrics"]
    assert found[0.0] == found[NOW]
