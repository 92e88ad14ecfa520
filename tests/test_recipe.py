"""From a config to a recipe: what the names and numbers of a method become."""

import importlib
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps import programs
from gan_jax.build import methods, tasks
from gan_jax.config.errors import InputError
from gan_jax.data.feed import LabelledImages
from gan_jax.networks.compilation import run_once
from gan_jax.training.step import initial_state

CONFIGS_FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = ("gan", "lsgan", "ebgan", "wgan", "wgan_gp", "hinge", "r3gan")


def config(name, variant="fashion_mnist", **values):
    found = importlib.import_module(f"configs.{name}").get_config(variant).unlock()
    found.update_from_flattened_dict(values)
    return found


def method(name, variant="fashion_mnist", **values):
    made = config(name, variant, **values)
    return methods.method(made, tasks.task(made), channels=1)


def weights(terms):
    return {name: term.weight for name, term in terms.items()}


def test_every_config_has_the_published_addends():
    for name, critic in {
        "r3gan": {"real_penalty": 0.25, "fake_penalty": 0.25},  # gamma 0.5, halved
        "wgan_gp": {"gradient_penalty": 10.0},
    }.items():
        assert weights(method(name).critic_terms) == critic
    assert weights(method("ebgan").generator_terms) == {"pulling_away": 0.1}
    for name in ("gan", "lsgan", "wgan", "hinge"):
        this = method(name)
        assert not this.critic_terms and not this.generator_terms


def test_generator_steps_are_the_configs_and_one_in_older_runs():
    assert method("gan").generator_steps == 1
    assert method("gan", generator_steps=2).generator_steps == 2
    older = config("gan")
    del older.generator_steps
    this = methods.method(older, tasks.task(older), channels=1)
    assert this.generator_steps == 1


@pytest.mark.parametrize("name", CONFIGS)
def test_only_the_clipped_critic_is_kept_in_a_box(name):
    far = {"kernel": jnp.array([-3.0, 0.002, 5.0])}
    kept = method(name).critic_projection(far)["kernel"]
    wanted = [-0.01, 0.002, 0.01] if name == "wgan" else far["kernel"]
    np.testing.assert_array_equal(kept, jnp.array(wanted))


@pytest.mark.parametrize(
    ("name", "rate", "second"),
    [("gan", 2e-4, 0.999), ("wgan_gp", 1e-4, 0.9), ("r3gan", 2e-4, 0.99)],
)
def test_adams_first_step(name, rate, second):
    optimizer = method(name).critic_optimizer
    slope = jnp.array([1e-3, -2.0])
    updates, state = optimizer.update(slope, optimizer.init(slope), slope)
    np.testing.assert_allclose(updates, [-rate, rate], rtol=1e-4)
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    np.testing.assert_allclose(moments[-1], (1 - second) * slope**2, rtol=1e-4)


def test_rmsprop_does_not_damp_the_small_gradients_of_a_clipped_critic():
    optimizer = method("wgan").generator_optimizer
    slope = jnp.array([1e-6, -1e-3])
    updates, _ = optimizer.update(slope, optimizer.init(slope), slope)
    # 5e-5 g / (sqrt(0.01 g^2) + 1e-8): ten times the rate, less an eleventh.
    np.testing.assert_allclose(updates, [-5e-4 / 1.1, 5e-4], rtol=1e-3)


@pytest.mark.parametrize("name", ["wgan_gp", "ebgan", "r3gan"])
def test_bfloat16_computes_and_float32_is_kept(name):
    small = {"network.width": 8, "network.critic_width": 8}
    made = config(name, "digits", precision="bfloat16", **small)
    this = methods.method(made, tasks.task(made), channels=1)
    assert this.generator.dtype == this.critic.dtype == jnp.bfloat16
    assert this.penalised is not None and this.penalised.dtype == jnp.float32
    images = LabelledImages(np.zeros((2, 28, 28, 1), np.uint8), np.zeros(2, np.int32))
    begin = partial(initial_state, this)
    state = run_once(begin, jax.random.key(0), {"real": images})
    kinds = {
        leaf.dtype
        for leaf in jax.tree.leaves(state)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    assert kinds == {jnp.dtype(jnp.float32)}
    latent = this.latent(jax.random.key(1), 2)
    image, layer = (
        this.generator.apply(
            state.generator.variables, latent, None, stop=stop, mutable=["seen"]
        )[0]
        for stop in (None, 1)
    )
    score = this.critic.apply(state.critic.variables, image)
    assert image.dtype == score.dtype == jnp.float32
    # A float32 number that was bfloat16 has 16 zeros at its end.
    bits = np.asarray(layer, np.float32).view(np.uint32)
    assert (bits & 0xFFFF == 0).all() and (bits != 0).any()


@pytest.mark.parametrize(
    ("name", "variant", "values", "says"),
    [
        ("gan", "", {"objective": "ebgan"}, "do not fit: the critics"),
        (
            "gan",
            "",
            {"network.critic": "autoencoder"},
            "do not fit: the critics",
        ),
        (
            "gan",
            "gaussians8",
            {"objective": "ebgan"},
            "do not fit: the critics",
        ),
        ("gan", "", {"pulling_away": 0.1}, "needs a critic with codes"),
        ("gan", "", {"gradient_penalty": 1.0}, "sees each image alone"),
        ("gan", "", {"data.name": "gaussians8"}, "does not fit the task"),
        ("gan", "gaussians8", {"data.name": "digits"}, "known: gaussians8"),
        ("gan", "gaussians8", {"data.path": "x"}, "is not read"),
        ("gan", "gaussians8", {"network.generator": "dcgan"}, "do not fit networks"),
        ("gan", "", {"objective": "wgam"}, "known: minimax"),
    ],
)
def test_what_does_not_fit_is_refused(name, variant, values, says):
    with pytest.raises(InputError, match=says):
        method(name, variant, **values)


def test_networks_that_fit_other_critics_are_taken():
    method("r3gan", "digits", **{"network.critic": "patch"})
    method("wgan_gp", "digits", **{"network.critic": "residual"})
    method("ebgan", "digits", **{"pulling_away": 0.0})


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("gan", {"task": "pixels"}, "task pixels needs .*mask.count, .*pixel_weight"),
        ("gan", {"task": "wells"}, "which config gan does not have"),
        ("pixelcgan", {"task": "colors"}, "needs .*reconstruction.name"),
        ("detect", {"task": "colors"}, "needs .*class_weight, .*reconstruction.weight"),
    ],
)
def test_a_task_of_another_config_is_refused_in_a_line(name, values, says):
    found = config(name, "", **values)
    with pytest.raises(InputError, match=says):
        tasks.task(found)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("gan", "study"),
        ("gan", "inpaint"),
        ("gan", "detect"),
        ("pixelcgan", "colorize"),
        ("inpaint", "collaborate"),
        ("inpaint", "train"),
        ("compare_objectives", "train"),
    ],
)
def test_a_program_of_another_config_is_refused_in_a_line(name, program):
    found = config(name, "", program=program)
    with pytest.raises(InputError, match=f"program {program} needs .*config {name}"):
        programs.program_of(found)


@pytest.mark.parametrize(
    "path", sorted(CONFIGS_FOLDER.glob("*.py")), ids=lambda path: path.stem
)
def test_every_config_has_what_its_program_reads(path):
    assert callable(programs.program_of(config(path.stem, "")))
