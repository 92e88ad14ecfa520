"""Configs: variants, what they change, and what may change on resuming."""

import importlib
import re
from pathlib import Path

import jax
import pytest
from ml_collections import ConfigDict

import configs
from gan_jax.build import methods, tasks
from gan_jax.build import networks as architectures
from gan_jax.config import keys, schema, variants
from gan_jax.config.checks import check_numbers, difference, read_config
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.variants import SEARCHES
from tests.runs import smoke

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
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    check_numbers(config)
    assert set(CONTRACT) - {"pixel_weight"} <= set(keys.flatten(config))
    this = methods.method(config, tasks.task(config), channels=1)
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
        "published",
        "other,svhn,narrow,published",
        "photos",
    ],
)
def test_every_detector_has_its_variants_and_can_be_made(variant):
    config = importlib.import_module("configs.detect").get_config(variant)
    check_numbers(config)
    assert set(CONTRACT) - {"pixel_weight"} <= set(keys.flatten(config))
    this = methods.method(config, tasks.task(config), channels=1)
    names = ("wasserstein", "published", "svhn", "photos")
    paper = any(name in variant for name in names)
    assert ("gradient_penalty" in this.critic_terms) == paper
    assert architectures.gives_energies(config) != paper
    assert config.history.every and config.steps % config.history.every == 0
    assert config.network.hidden == (64 if "smoke" in variant else 512)


def test_the_papers_detector_is_its_critic_whatever_the_data():
    """Saved critics, their mean, no rescaling; of colour sets as of grey ones."""
    get_config = importlib.import_module("configs.detect").get_config
    configs = [get_config(f"{data},published") for data in ("digits", "svhn", "celeba")]
    for config in configs:
        own, first = (
            dict(one.detector) | {"margin": 0} for one in (config, configs[0])
        )
        assert own == first  # a margin is of energies, which it has not
        assert config.gradient_penalty == 10 and config.objective == "wgan"
        assert config.network.critic == "dcgan" and not config.detector.rescale
        assert config.detector.start == "mean" and not config.detector.critic
    other = get_config("svhn,wasserstein").unlock()
    assert other.detector.rescale
    other.detector.rescale = False
    assert other.to_dict() == configs[1].to_dict()


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


TABLE = {
    "small": {"size": 8, "rate": 1},
    "slow": {"rate": 2},
    "small,slow": {"rate": 3, "time": 4},
    "tiny": {"size": 2, "time": 5},
}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("", (0, 0, 0)),
        ("small", (8, 1, 0)),
        ("slow", (0, 2, 0)),
        ("small,slow", (8, 3, 4)),
        ("slow,small", (8, 3, 4)),
        ("slow,small,tiny", (2, 3, 5)),
        ("tiny,slow,small", (8, 3, 4)),
        ("slow,tiny,small", (8, 3, 4)),
    ],
)
def test_an_entry_under_several_names_holds_where_all_are_asked_for(names, wanted):
    config = ConfigDict({"name": "any", "size": 0, "rate": 0, "time": 0})
    found = variants.with_named(config, names, TABLE)
    assert (found.size, found.rate, found.time) == wanted
    assert found.is_locked


def test_a_name_that_stands_only_beside_others_is_known():
    config = ConfigDict({"name": "any", "size": 0})
    table = {"small": {}, "small,round": {"size": 8}}
    assert variants.with_named(config, "round,small", table).size == 8
    with pytest.raises(InputError, match=r"known: small, round$"):
        variants.with_named(ConfigDict({"name": "any"}), "square", table)


CONFIGS = sorted(path.stem for path in Path(configs.__path__[0]).glob("*.py"))


def header(name):
    """Words of a config's docstring, and of those whose data it says it shares."""
    text = importlib.import_module(f"configs.{name}").__doc__
    others = re.findall(r"^Data: +as (\w+)\.py", text, re.MULTILINE)
    return {*re.findall(r"\w+", text)}.union(*map(header, others))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_header_names_the_variants_that_an_unknown_one_is_answered_with(name):
    with pytest.raises(InputError, match="unknown variant 'unheard_of'") as error:
        importlib.import_module(f"configs.{name}").get_config("unheard_of")
    known = str(error.value).rpartition("known: ")[2].split(", ")
    assert len(known) >= 1
    assert set(known) <= header(name)


def test_only_length_and_logging_may_change_on_resuming():
    written = keys.flatten(pixelcgan())
    same = {**written, "steps": 9, "log_every": 1}
    assert difference(written, same) == []
    other = {**written, "data.size": 32}
    assert difference(written, other) == ["data.size: 28 -> 32"]
    older = {
        key: value
        for key, value in written.items()
        if schema.find(key, "train").older is None
    }
    assert older != written and difference(older, same) == []
    twice = dict(same, generator_steps=2)
    assert difference(older, twice) == ["generator_steps: 1 -> 2"]
    # Epochs measured with two classifiers, or on two counts, cannot be ranked.
    for key in ("evaluation.count", "evaluation.classifier.epochs"):
        other = {**written, key: written[key] + 1}
        assert [line.split(":")[0] for line in difference(written, other)] == [key]


def test_uniform_and_normal_priors():
    config = pixelcgan("smoke").unlock()
    draws = {}
    for prior in ("normal", "uniform"):
        config.latent.prior = prior
        this = methods.method(config, tasks.task(config), channels=1)
        draws[prior] = this.latent(jax.random.key(0), 500)
    assert draws["normal"].shape == (500, 100)
    assert float(abs(draws["uniform"]).max()) <= 1
    assert float(draws["uniform"].min()) < -0.99
    assert float(draws["normal"].std()) == pytest.approx(1, abs=0.02)


def test_a_config_that_was_written_keeps_keys_of_tasks_from_outside():
    written = flatten(smoke("gan")) | {"task": "edges", "edges.weight": 2}
    assert flatten(read_config(written, "train")) == written
    with pytest.raises(ValueError, match="data is both a value and a group"):
        read_config(written | {"data": 3}, "train")
