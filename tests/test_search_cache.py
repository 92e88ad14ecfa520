"""The file cache of searches: what is read again, and what is searched anew."""

import numpy as np
import pytest

from gan_jax.apps.inpaint.search_cache import (
    read_found,
    read_trace,
    write_found,
    write_trace,
)
from gan_jax.search.latent import Found, Restarts
from gan_jax.search.trace import Trace


def found(images=2, restarts=3, size=4):
    draw = np.random.default_rng(0)
    each = (images, restarts)
    every = Restarts(
        draw.normal(size=(*each, size)),
        draw.normal(size=each),
        draw.normal(size=each),
        draw.integers(1, 9, each),
    )
    return Found(
        every.latent[:, 0],
        every.loss[:, 0],
        every.residual[:, 0],
        every.steps[:, 0],
        np.zeros(images, int),
        draw.normal(size=(images, 9)),
        every,
    )


def assert_equal(one, other):
    for name, wanted in one._asdict().items():
        value = getattr(other, name)
        if isinstance(wanted, tuple):
            assert_equal(wanted, value)
        else:
            np.testing.assert_array_equal(value, wanted)


def test_a_search_is_read_as_it_was_written(tmp_path):
    path, wanted = tmp_path / "searches" / "one.npz", found()
    assert read_found(path, "prior") is None
    write_found(path, wanted, 1.5, "prior")
    again, seconds = read_found(path, "prior")
    assert seconds == 1.5
    assert_equal(wanted, again)


def test_every_flipped_bit_is_harmless_or_leads_to_a_new_search(tmp_path):
    path, wanted = tmp_path / "one.npz", found()
    write_found(path, wanted, 1.5, "prior")
    data, outcomes = path.read_bytes(), set()
    for bit in range(0, 8 * len(data), 101):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        again = read_found(path, "prior")
        outcomes.add(again is None)
        if again is not None:
            assert again[1] == 1.5
            assert_equal(wanted, again[0])
    assert outcomes == {False, True}


def test_a_trace_is_read_as_it_was_written(tmp_path):
    steps = np.array([0, 5])
    wanted = Trace(**{name: steps + at for at, name in enumerate(Trace._fields)})
    write_trace(tmp_path / "one.npz", wanted, "prior")
    assert_equal(wanted, read_trace(tmp_path / "one.npz", "prior"))
    assert read_found(tmp_path / "one.npz", "prior") is None  # it is no search


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[: len(content) // 2],
        lambda content: content[:300] + bytes(100) + content[400:],
        lambda content: content.replace(b"history", b"histery"),
    ],
    ids=["empty", "other", "cut", "overwritten", "without a name"],
)
def test_what_is_damaged_is_searched_anew(tmp_path, damage, capsys):
    path = tmp_path / "one.npz"
    write_found(path, found(), 1.5, "prior")
    content = damage(path.read_bytes())
    path.write_bytes(content)
    assert read_found(path, "prior") is None
    (said,) = capsys.readouterr().out.splitlines()
    (aside,) = tmp_path.iterdir()
    assert str(path) in said and f"now {aside.name}; searching anew" in said
    assert aside.read_bytes() == content


def test_what_belongs_to_another_prior_is_searched_anew(tmp_path, capsys):
    path = tmp_path / "one.npz"
    write_found(path, found(), 1.5, "prior")
    assert read_found(path, "another") is None
    assert "of another prior or of other images" in capsys.readouterr().out
    assert read_found(path, "prior") is not None
