"""Configs: variants, what they change, and what may change on resuming."""

import importlib

import pytest

from gan_jax import config as configs
from gan_jax.errors import InputError

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
    assert set(CONTRACT) <= set(configs.flatten(config))
    assert config.is_locked


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
    written = configs.flatten(pixelcgan())
    same = {**written, "steps": 9, "log_every": 1}
    assert configs.difference(written, same) == []
    other = {**written, "data.size": 32}
    assert configs.difference(written, other) == ["data.size: 28 -> 32"]
    # Epochs measured with two classifiers, or on two counts, cannot be ranked.
    for key in ("evaluation.count", "evaluation.classifier.epochs"):
        other = {**written, key: written[key] + 1}
        assert [line.split(":")[0] for line in configs.difference(written, other)] == [
            key
        ]


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
