"""The choice of the best epoch, and which epochs may be dropped on the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.evaluation.selection import candidates, ranking

NAMES = ("fid", "pixel_mse")


def rows(*pairs):
    return [dict(zip(NAMES, pair, strict=True)) for pair in pairs]


def test_ranking_against_numbers_by_hand():
    # Scaled: (0, 1), (0.25, 0.5), (1, 0), with distances 1, 0.559, 1.
    found = rows((10.0, 0.4), (15.0, 0.3), (30.0, 0.2))
    assert ranking(found, NAMES) == [1, 0, 2]


def test_ranking_by_one_measure_and_among_equals():
    found = rows((3.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    assert ranking(found, ["fid"]) == [1, 2, 0]
    assert ranking(found, ["pixel_mse"]) == [0, 1, 2]


def test_rows_without_a_measure_cannot_be_chosen():
    found = [{"fid": 1.0}, {"fid": None, "pixel_mse": 0.0}, *rows((2.0, 0.5))]
    assert ranking(found, NAMES) == [2]
    assert candidates(found, NAMES) == [2]
    assert ranking([], NAMES) == [] == candidates([], NAMES)
    assert ranking(found, []) == [] == candidates(found, [])


value = st.integers(0, 6).map(float)


@settings(deadline=None)
@given(st.lists(st.tuples(value, value), min_size=1, max_size=25))
def test_the_best_of_a_run_was_never_dropped_on_the_way(pairs):
    found = rows(*pairs)
    chosen = ranking(found, NAMES)[0]
    for length in range(chosen + 1, len(found) + 1):
        assert chosen in candidates(found[:length], NAMES)


@given(st.lists(st.tuples(value, value), min_size=1, max_size=12))
def test_what_was_dropped_is_dominated(pairs):
    found = rows(*pairs)
    kept = candidates(found, NAMES)
    assert kept
    for index, pair in enumerate(pairs):
        if index not in kept:
            assert any(np.all(np.array(pairs[k]) <= pair) for k in kept)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_do_not_matter(scale):
    pairs = [(1.0, 0.5), (2.0, 0.3), (4.0, 0.2), (3.0, 0.9)]
    scaled = [(fid * scale, mse) for fid, mse in pairs]
    assert ranking(rows(*pairs), NAMES) == ranking(rows(*scaled), NAMES)
