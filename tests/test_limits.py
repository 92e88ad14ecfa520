"""Which numbers a config may hold: every row of the table, at and past its bounds."""

import math

import pytest
from ml_collections import ConfigDict

from gan_jax.config import limits
from gan_jax.config.defaults import (
    COMPLETION,
    collaboration,
    colorization,
    detection,
    inpainting,
    study,
    training,
)
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import LIMITS, Limits


def config(**values):
    """Give a config that holds dotted keys."""
    this = {}
    for key, value in values.items():
        *path, name = key.split(".")
        place = this
        for folder in path:
            place = place.setdefault(folder, {})
        place[name] = value
    return ConfigDict(this)


def test_the_defaults_are_allowed():
    limits.check(training("any"))
    limits.check(inpainting("any"))
    limits.check(collaboration("any"))
    limits.check(detection("any"))
    limits.check(colorization("any"))


MASK = ("count", "most", "fraction")


def test_every_row_is_a_key_of_some_config():
    known = {
        *flatten(training("any")),
        *flatten(study("any", {"a": training("a")}, ())),
        *flatten(inpainting("any")),
        *flatten(collaboration("any")),
        *flatten(detection("any")),
        *flatten(colorization("any")),
        *(f"losses.*.{key}" for key in COMPLETION),
    }
    pixels = {"pixel_weight", "packing"} | {f"mask.{key}" for key in MASK}
    assert set(LIMITS) <= known | pixels


@pytest.mark.parametrize("key", [key.replace("*", "any") for key in sorted(LIMITS)])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf])
def test_a_senseless_number_is_refused_by_the_name_of_its_key(key, value):
    with pytest.raises(InputError, match=f"^{key} is .*--config.{key}$"):
        limits.check(config(**{key: value}))


@pytest.mark.parametrize("key", sorted(LIMITS))
def test_the_bounds_themselves(key):
    row = LIMITS[key]
    allowed = [bound for bound in (row.least, row.most) if bound is not None]
    refused = [bound for bound in (row.above, row.below) if bound is not None]
    if row.most is not None:
        refused.append(row.most + 1)
    assert allowed + refused
    for bound in allowed:
        limits.check(config(**{"critic_boost.steps": 1, key.replace("*", "x"): bound}))
    for bound in refused:
        with pytest.raises(InputError):
            limits.check(config(**{key.replace("*", "any"): bound}))


def test_what_a_row_says():
    assert str(Limits(least=0, below=1)) == "at least 0 and below 1"


def test_a_key_without_a_row_must_be_finite():
    limits.check(config(strange=-7.5, flag=True, name="nan"))
    with pytest.raises(InputError, match="strange is nan: give a number that is finit"):
        limits.check(config(strange=math.nan))


def test_a_run_sees_no_more_images_than_it_can_count():
    limits.check(config(steps=2**20, batch_size=2**10, critic_steps=4))
    with pytest.raises(InputError, match="more than the 4294967296 that a run may see"):
        limits.check(config(steps=2**20, batch_size=2**10, critic_steps=5))
    boost = {"critic_boost.steps": 2**12, "critic_boost.every": 2**10}
    limits.check(config(steps=2**20 - 1, batch_size=2**9, critic_steps=4, **boost))
    with pytest.raises(InputError, match="more than the 4294967296 that a run may see"):
        limits.check(config(steps=2**20, batch_size=2**10, critic_steps=1, **boost))


def test_a_run_makes_no_more_generator_updates_than_it_can_count():
    limits.check(config(steps=2**20, generator_steps=2**11 - 1))
    with pytest.raises(InputError, match=r"generator_steps 2048 are more than"):
        limits.check(config(steps=2**20, generator_steps=2**11))


@pytest.mark.parametrize("when", ["first", "every"])
def test_a_boost_has_steps(when):
    with pytest.raises(InputError, match=r"--config\.critic_boost\.steps$"):
        limits.check(config(**{"critic_boost.steps": 0, f"critic_boost.{when}": 5}))
