"""Configs: variants, what they change, and what may change on resuming."""

import importlib

import pytest

from gan_jax import architectures, keys
from gan_jax.errors import InputError
from gan_jax.variants import SEARCHES

CONTRACT = [
    "program",
    "seed",
    "steps",
    "batch_size",
    "objective",
    "data.name",
    "data.path",
    "data.size",
    "latent.size",
    "latent.prior",
    "history.every",
    "pixel_weight",
]


def pixelcgan(variant=""):
    return importlib.import_module("configs.pixelcgan").get_config(variant)


@pytest.mark.parametrize(
    "variant", ["", "digits", "photos", "mnist", "fashion_mnist", "cgan", "smoke"]
)
def test_every_variant_has_the_keys_of_the_contract_and_is_locked(variant):
    config = pixelcgan(variant)
    assert set(CONTRACT) <= set(keys.flatten(config))
    assert config.is_locked


@pytest.mark.parametrize(
    "name", ["gan", "lsgan", "ebgan", "wgan", "wgan_gp", "hinge", "r3gan"]
)
@pytest.mark.parametrize(
    "variant",
    [
        "",
        "digits",
        "mnist",
        "fashion_mnist",
        "cifar10",
        "celeba",
        "svhn",
        "smoke",
        "fashion_mnist,narrow",
        "smoke,photos",
        "gaussians8",
        "gaussians8_imbalanced,smoke",
        "gaussians25",
    ],
)
def test_every_plain_gan_has_its_variants_and_can_be_made(name, variant):
    from gan_jax import limits
    from gan_jax import recipe as recipes

    config = importlib.import_module(f"configs.{name}").get_config(variant)
    limits.check(config)
    assert set(CONTRACT) - {"pixel_weight"} <= set(keys.flatten(config))
    this = recipes.recipe(config, recipes.task(config), channels=1)
    assert set(this.critic_terms) == {
        "wgan_gp": {"gradient_penalty"},
        "r3gan": {"real_penalty", "fake_penalty"},
    }.get(name, set())


@pytest.mark.parametrize(
    "variant",
    [
        "",
        "smoke",
        "standard,mnist,narrow",
        "holdout,fashion_mnist",
        "other,svhn,narrow",
        "wasserstein",
        "wasserstein,narrow,mnist",
        "photos",
    ],
)
def test_every_detector_has_its_variants_and_can_be_made(variant):
    from gan_jax import limits
    from gan_jax import recipe as recipes

    config = importlib.import_module("configs.detect").get_config(variant)
    limits.check(config)
    assert set(CONTRACT) - {"pixel_weight"} <= set(keys.flatten(config))
    this = recipes.recipe(config, recipes.task(config), channels=1)
    paper = any(name in variant for name in ("wasserstein", "svhn", "photos"))
    assert ("gradient_penalty" in this.critic_terms) == paper
    assert architectures.gives_energies(config) != paper
    assert config.history.every and config.steps % config.history.every == 0
    assert config.network.hidden == (64 if "smoke" in variant else 512)


@pytest.mark.parametrize("name", ["adam", "momentum", "exact"])
def test_whatever_searches_latents_knows_the_same_searches(name):
    """Completing, collaborating and detecting; a later variant has the last word."""
    wanted = dict(SEARCHES[name])
    for config, before in (
        ("inpaint", ""),
        ("collaborate", "inpainting,"),
        ("detect", ""),
    ):
        get_config = importlib.import_module(f"configs.{config}").get_config
        found = keys.flatten(get_config(f"{before}{name}"))
        assert {key: found[key] for key in wanted} == wanted
        smoke = keys.flatten(get_config(f"{before}{name},smoke"))
        assert smoke["search.iterations"] == 20
        assert smoke["search.optimizer.name"] == found["search.optimizer.name"]


def layer_shape(generator, latent, stop):
    """Size and channels of the activation after some stages."""
    import jax

    shape = jax.eval_shape(
        lambda z: generator.init_with_output(jax.random.key(1), z, stop=stop)[0], latent
    ).shape
    return shape[1], shape[3]


def test_cooper_and_the_64_pixel_prior_have_the_published_layers():
    import jax
    import jax.numpy as jnp

    from gan_jax import recipe as recipes

    config = importlib.import_module("configs.wgan").get_config("celeba").unlock()
    for width, shapes in (
        (64, [(4, 512), (8, 256), (16, 128), (32, 64), (64, 3)]),
        (128, [(4, 1024), (8, 512), (16, 256), (32, 128), (64, 3)]),
    ):
        config.network.width = width
        this = recipes.recipe(config, recipes.task(config), channels=3)
        latent = this.latent(jax.random.key(0), 2)
        assert float(jnp.abs(latent).max()) <= 1 and latent.shape == (2, 100)
        found = [layer_shape(this.generator, latent, stop) for stop in range(1, 6)]
        assert found == shapes
    turns = this.critic_steps
    assert [int(turns(n)) for n in (0, 24, 25, 499, 500)] == [100, 100, 5, 5, 100]


def test_variants_combine_data_first():
    config = pixelcgan("smoke,photos")
    assert config.data.name == "photos" and config.data.size == 32
    assert config.network.width == pixelcgan("smoke").network.width
    baseline = pixelcgan("fashion_mnist,cgan")
    assert baseline.condition_critic and baseline.pixel_weight == 0
    assert baseline.data.name == "fashion_mnist"


@pytest.mark.parametrize(
    ("variant", "says"),
    [("mnits", "did you mean mnist"), ("digits,mnist", "two data sets")],
)
def test_wrong_variants_are_explained(variant, says):
    with pytest.raises(InputError, match=says):
        pixelcgan(variant)


def test_only_length_and_logging_may_change_on_resuming():
    written = keys.flatten(pixelcgan())
    same = {**written, "steps": 9, "log_every": 1}
    assert keys.difference(written, same) == []
    other = {**written, "data.size": 32}
    assert keys.difference(written, other) == ["data.size: 28 -> 32"]
    # Epochs measured with two classifiers, or on two counts, cannot be ranked.
    for key in ("evaluation.count", "evaluation.classifier.epochs"):
        other = {**written, key: written[key] + 1}
        assert [line.split(":")[0] for line in keys.difference(written, other)] == [key]


def test_uniform_and_normal_priors():
    import jax

    from gan_jax import recipe as recipes

    config = pixelcgan("smoke").unlock()
    draws = {}
    for prior in ("normal", "uniform"):
        config.latent.prior = prior
        this = recipes.recipe(config, recipes.task(config), channels=1)
        draws[prior] = this.latent(jax.random.key(0), 500)
    assert draws["normal"].shape == (500, 100)
    assert float(abs(draws["uniform"]).max()) <= 1
    assert float(draws["uniform"].min()) < -0.99
    assert float(draws["normal"].std()) == pytest.approx(1, abs=0.02)
