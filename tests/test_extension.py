"""An objective and a task of one's own: a few lines outside the package each."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.study import run as study
from gan_jax.apps.train import run as train
from gan_jax.build import methods, tasks
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.data.feed import to_float
from gan_jax.export.__main__ import export
from gan_jax.losses.adversarial import Objective
from gan_jax.tasks.task import ConditionArray, Task
from gan_jax.training.method import Batch

ABSOLUTE = Objective(
    critic=lambda real, fake: jnp.abs(real - 1) + jnp.abs(fake),
    generator=lambda fake, real: jnp.abs(fake - 1),
)


def present(key, images):
    real = to_float(images["real"].image)
    upper = real.at[:, real.shape[1] // 2 :].set(0.0)
    return Batch(real, upper, upper)


UPPER_HALVES = Task(
    present,
    [ConditionArray("upper_half", (-1.0, 1.0), "an image, 0 in its lower half")],
)


@pytest.fixture(autouse=True)
def tables(monkeypatch, tmp_path):
    monkeypatch.setitem(methods.OBJECTIVES, "absolute", lambda config: ABSOLUTE)
    monkeypatch.setitem(tasks.TASKS, "upper_halves", lambda config: UPPER_HALVES)
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path / "cache"))


def config(objective):
    made = defaults.training(objective)
    made.task, made.objective = "upper_halves", objective
    made.steps, made.batch_size, made.data.size = 4, 16, 8
    made.network.width = made.network.critic_width = 4
    made.evaluation.final_count = 300
    made.evaluation.classifier.update({"width": 4, "features": 8, "epochs": 1})
    return made.lock()


def test_it_trains_and_is_exported(tmp_path):
    summary = train.run(config("absolute"), tmp_path / "run")
    assert summary["complete"] and summary["steps"] == 4
    assert not summary["metrics_failed"]
    # Images differ by their latents and by their conditions.
    assert 0 < summary["metrics"]["diversity_within"] < summary["metrics"]["diversity"]
    found = export(tmp_path / "run", tmp_path / "exported", ["cpu"])
    assert [each["name"] for each in found["inputs"]] == ["latent", "upper_half"]
    assert found["inputs"][1]["shape"][1:] == [8, 8, 1]
    assert (tmp_path / "exported" / "program.jax").stat().st_size > 0


def test_a_condition_that_is_not_described_is_refused(monkeypatch, tmp_path):
    (described,) = UPPER_HALVES.condition_arrays
    for arrays, count in (((), 0), (described, 3), ((described, described), 2)):
        task = UPPER_HALVES._replace(condition_arrays=arrays)
        monkeypatch.setitem(tasks.TASKS, "upper_halves", lambda config, task=task: task)
        with pytest.raises(InputError, match=f"returns 1 arrays .* describes {count}"):
            train.run(config("absolute"), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_it_is_compared_in_a_study(tmp_path):
    arms = {name: config(name) for name in ("absolute", "hinge")}
    of_both = defaults.study("toys", arms)
    of_both.seeds = 1
    summary = study.run(of_both.lock(), tmp_path / "study")
    assert list(summary["arms"]) == ["absolute", "hinge"]
    values = [arm["values"]["fid"][0] for arm in summary["arms"].values()]
    assert np.isfinite(values).all() and values[0] != values[1]
