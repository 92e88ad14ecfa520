"""The file printed in docs/extending.md: an objective and a task of one's own."""

import re
import runpy

import numpy as np
import pytest

from gan_jax.apps.study import run as study
from gan_jax.apps.train import run as train
from gan_jax.build import methods, tasks
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.export.artefact import export
from tests.programs import ROOT

PAGE = ROOT / "docs" / "extending.md"


@pytest.fixture(autouse=True)
def printed(monkeypatch, tmp_path):
    """Return the `get_config` of the printed file, with its rows in the tables."""
    for module, table in ((methods, "OBJECTIVES"), (tasks, "TASKS")):
        monkeypatch.setattr(module, table, {**getattr(module, table)})
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "my_method.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1])
    return runpy.run_path(str(path))["get_config"]


def small(config, objective="absolute"):
    config.objective = objective
    config.steps, config.batch_size, config.data.size = 4, 16, 8
    config.network.width = config.network.critic_width = 4
    config.evaluation.final_count = 300
    config.evaluation.classifier.update({"width": 4, "features": 8, "epochs": 1})
    return config.lock()


@pytest.mark.slow
def test_it_trains_and_is_exported(printed, tmp_path):
    summary = train.run(small(printed()), tmp_path / "run")
    assert summary["complete"] and summary["steps"] == 4
    assert not summary["metrics_failed"]
    # Images differ by their latents and by their conditions.
    assert 0 < summary["metrics"]["diversity_within"] < summary["metrics"]["diversity"]
    found = export(tmp_path / "run", tmp_path / "exported", ["cpu"])
    assert [each["name"] for each in found["inputs"]] == ["latent", "upper_half"]
    assert found["inputs"][1]["shape"][1:] == [8, 8, 1]
    assert (tmp_path / "exported" / "program.jax").stat().st_size > 0


def test_a_condition_that_is_not_described_is_refused(printed, monkeypatch, tmp_path):
    config = small(printed())
    task = tasks.TASKS["upper_halves"](config)
    (upper_half,) = task.condition_arrays
    for arrays, count in (
        ((), 0),
        (upper_half, len(upper_half)),
        ((upper_half, upper_half), 2),
    ):
        wrong = task._replace(condition_arrays=arrays)
        monkeypatch.setitem(
            tasks.TASKS, "upper_halves", lambda config, task=wrong: task
        )
        with pytest.raises(InputError, match=f"returns 1 arrays .* describes {count}"):
            train.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_is_compared_in_a_study(printed, tmp_path):
    arms = {name: small(printed(), name) for name in ("absolute", "hinge")}
    of_both = defaults.study("toys", arms)
    of_both.seeds = 1
    summary = study.run(of_both.lock(), tmp_path / "study")
    assert list(summary["arms"]) == ["absolute", "hinge"]
    values = [arm["values"]["fid"][0] for arm in summary["arms"].values()]
    assert np.isfinite(values).all() and values[0] != values[1]
