"""Which numbers a config may hold: every row of the schema, at and past its bounds."""

import math

import pytest
from ml_collections import ConfigDict

from gan_jax.config import limits, schema
from gan_jax.config.checks import check_numbers
from gan_jax.config.defaults import (
    collaboration,
    colorization,
    conditioning,
    detection,
    inpainting,
    training,
)
from gan_jax.config.errors import InputError
from gan_jax.config.keys import nested
from gan_jax.config.limits import GIB, Limits, available_memory, memory_limit

ROWS = {
    key: row
    for rows in (*schema.KEYS.values(), *schema.OF_TASKS.values())
    for key, row in rows.items()
    if row.limits != Limits()
}


def config(**values):
    """Return a config that holds dotted keys."""
    return ConfigDict(nested(values))


def test_the_defaults_are_allowed():
    for make in (
        training,
        conditioning,
        inpainting,
        collaboration,
        detection,
        colorization,
    ):
        check_numbers(make("any"))


def test_a_key_has_the_same_limits_whatever_the_program():
    for program, rows in schema.KEYS.items():
        for key, row in rows.items():
            if key.endswith(".*"):  # what arms have in common, and each arm
                continue
            assert schema.find(key, program) == row
            assert schema.find(key).limits == row.limits


def test_every_number_has_limits():
    for rows in (*schema.KEYS.values(), *schema.OF_TASKS.values()):
        for key, row in rows.items():
            number = isinstance(row.default, int | float)
            if number and not isinstance(row.default, bool):
                assert row.limits != Limits(), key


@pytest.mark.parametrize("key", [key.replace("*", "any") for key in sorted(ROWS)])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf])
def test_a_senseless_number_is_refused_by_the_name_of_its_key(key, value):
    with pytest.raises(InputError, match=f"^{key} is .*--config.{key}$"):
        check_numbers(config(**{key: value}))


@pytest.mark.parametrize("key", sorted(ROWS))
def test_the_bounds_themselves(key):
    row = ROWS[key].limits
    allowed = [bound for bound in (row.least, row.most) if bound is not None]
    refused = [bound for bound in (row.above, row.below) if bound is not None]
    if row.most is not None:
        refused.append(row.most + 1)
    assert allowed + refused
    for bound in allowed:
        check_numbers(config(**{"critic_boost.steps": 1, key.replace("*", "x"): bound}))
    for bound in refused:
        with pytest.raises(InputError):
            check_numbers(config(**{key.replace("*", "any"): bound}))


def test_what_a_row_says():
    assert str(Limits(least=0, below=1)) == "at least 0 and below 1"


def test_a_key_without_a_row_must_be_finite():
    check_numbers(config(strange=-7.5, flag=True, name="nan"))
    with pytest.raises(InputError, match="strange is nan: give a number that is finit"):
        check_numbers(config(strange=math.nan))


def test_a_run_sees_no_more_images_than_it_can_count():
    check_numbers(config(steps=2**20, batch_size=2**10, critic_steps=4))
    with pytest.raises(InputError, match="more than the 4294967296 that a run may see"):
        check_numbers(config(steps=2**20, batch_size=2**10, critic_steps=5))
    boost = {"critic_boost.steps": 2**12, "critic_boost.every": 2**10}
    check_numbers(config(steps=2**20 - 1, batch_size=2**9, critic_steps=4, **boost))
    with pytest.raises(InputError, match="more than the 4294967296 that a run may see"):
        check_numbers(config(steps=2**20, batch_size=2**10, critic_steps=1, **boost))


def test_a_run_makes_no_more_generator_updates_than_it_can_count():
    check_numbers(config(steps=2**20, generator_steps=2**11 - 1))
    with pytest.raises(InputError, match=r"generator_steps 2048 are more than"):
        check_numbers(config(steps=2**20, generator_steps=2**11))


@pytest.mark.parametrize("when", ["first", "every"])
def test_a_boost_has_steps(when):
    with pytest.raises(InputError, match=r"--config\.critic_boost\.steps$"):
        check_numbers(config(**{"critic_boost.steps": 0, f"critic_boost.{when}": 5}))


def test_memory_is_what_the_machine_has_unless_the_config_says_so(monkeypatch):
    assert 2**28 < available_memory() < 2**50
    assert memory_limit(config()) == memory_limit(config(memory=0.0))
    assert memory_limit(config(memory=0.0)) == available_memory()
    assert memory_limit(config(memory=1.5)) == 3 * GIB // 2
    monkeypatch.setattr(limits, "_limits_of_process", lambda: [-1, GIB // 4])
    assert available_memory() == GIB // 4
    monkeypatch.setattr(limits, "_limits_of_groups", lambda: [GIB // 8, 2**63 - 4096])
    assert available_memory() == GIB // 8


@pytest.mark.parametrize(
    "line, files, least",
    [
        ("0::/a/b", {"a/memory.max": "4096", "a/b/memory.max": "max"}, 4096),
        ("0::/elsewhere", {"memory.max": "8192"}, 8192),  # a container's root
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": "512"}, 512),
        ("3:cpuset:/a", {"memory/a/memory.limit_in_bytes": "512"}, None),
    ],
)
def test_control_groups_bind_what_is_in_them(tmp_path, monkeypatch, line, files, least):
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    monkeypatch.setattr(limits, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert min(limits._limits_of_groups(), default=None) == least
