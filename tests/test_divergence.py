"""A value that is not finite stops a run, is named, and spoils no checkpoint."""

import hashlib
import shutil

import jax
import jax.numpy as jnp
import optax
import pytest

from gan_jax.apps.train import run as train
from gan_jax.build import methods
from gan_jax.config.errors import DivergedError
from tests.runs import smoke

GOOD = 10
"""Steps trained before something breaks; the last of them leaves a checkpoint."""


@jax.custom_vjp
def steep(values):
    """Nothing is wrong with the values; the slope is nowhere finite."""
    return values


steep.defvjp(lambda values: (values, None), lambda _, slope: (slope * jnp.nan,))


def small(steps):
    config = smoke(
        "pixelcgan",
        **{
            "steps": steps,
            "checkpoint_every": 5,
            "fused_steps": 4,
            "sample_every": 0,
            "evaluation.every": 0,
            "evaluation.final_count": 100,
            "evaluation.classifier.epochs": 0,
            "network.width": 2,
            "network.critic_width": 2,
            "network.depth": 1,
        },
    )
    return config


def spoil_gradient(method):
    term = method.generator_terms["pixel_fidelity"]
    spoiled = term._replace(value=lambda inputs: steep(term.value(inputs)))
    return method._replace(generator_terms={"pixel_fidelity": spoiled})


def spoil_batch(method):
    def present(key, batch):
        example = method.present(key, batch)
        return example._replace(real=example.real.at[1, 2, 3, 0].set(jnp.nan))

    return method._replace(present=present)


def spoil_update(method):
    """Let the critic's last update before a checkpoint be infinite."""

    def update(gradients, state, parameters=None):
        updates, state = method.critic_optimizer.update(gradients, state, parameters)
        count = state[0].count
        scale = jnp.where(count == GOOD + 5, jnp.inf, 1.0)
        return jax.tree.map(lambda leaf: leaf * scale, updates), state

    optimizer = optax.GradientTransformation(method.critic_optimizer.init, update)
    return method._replace(critic_optimizer=optimizer)


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained")
    train.run(small(GOOD), workdir)
    return workdir


@pytest.fixture
def workdir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_gradient, f"step {GOOD + 1}: generator gradient stages_"),
        (spoil_batch, f"step {GOOD + 1}: critic batch real"),
        (spoil_update, f"step {GOOD + 5}: critic update "),
    ],
)
def test_the_last_good_checkpoint_stays(monkeypatch, workdir, spoil, says):
    good, checkpoints = methods.method, workdir / "checkpoints"
    before = contents(checkpoints)
    monkeypatch.setattr(methods, "method", lambda *inputs: spoil(good(*inputs)))
    with pytest.raises(DivergedError, match=says):
        train.run(small(GOOD + 10), workdir)
    assert contents(checkpoints) == before
    monkeypatch.undo()
    # It is good: continued, it leads to finite values again.
    if spoil is spoil_update:
        summary = train.run(small(GOOD + 10), workdir)
        assert summary["complete"] is True
        assert summary["last"]["step"] == GOOD + 10
