"""Units of a property, and their scaling to images."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_jax.config.errors import InputError
from gan_jax.data.grids import units
from gan_jax.data.grids.geometry import Geometry


def test_levels_are_those_of_images():
    np.testing.assert_allclose(
        units.LEVELS.scaled(np.array([0, 127.5, 255])), [-1, 0, 1]
    )
    np.testing.assert_allclose(units.LEVELS.native(np.array([-1.0, 1.0])), [0, 255])
    assert units.LEVELS.rounded(np.array([3.4])) == [3]


def test_facies_keep_their_codes():
    found = units.facies([5, 0, 1, 0])
    assert found.codes == (0, 1, 5)
    np.testing.assert_allclose(found.scaled(np.array([0, 1, 5])), [-1, 0, 1])
    # Nearest in the order of codes: 2.9 is nearer to 1 than to 5, 3.1 is not.
    np.testing.assert_array_equal(
        found.rounded(np.array([2.9, 3.1, -7, 9])), [1, 5, 0, 5]
    )


def test_a_logarithm_is_linear_in_magnitudes():
    found = units.of_values(np.array([0.01, 1.0, 100.0]), "log", "data.scale")
    np.testing.assert_allclose(
        found.scaled(np.array([0.01, 1, 100])), [-1, 0, 1], atol=1e-9
    )
    np.testing.assert_allclose(found.native(np.array([0.5])), [10])


def test_ranks_are_equally_frequent():
    values = np.exp(np.random.default_rng(0).normal(size=10_000) * 3)
    scaled = units.of_values(values, "rank", "data.scale").scaled(values)
    counts, _ = np.histogram(scaled, 16, (-1, 1))
    assert counts.min() > 600 and counts.max() < 650


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=40, unique=True),
    st.sampled_from(units.SCALES),
    st.floats(-1, 1),
)
def test_native_values_come_back(values, scale, place):
    found = units.of_values(np.array(values), scale, "data.scale")
    if len(found.knots) < 2:
        return
    native = found.native(np.array([place]))
    assert not found.outside(native.clip(found.low, found.high)).any()
    again = found.native(found.scaled(native))
    np.testing.assert_allclose(again, native, rtol=1e-6, atol=1e-9)
    assert units.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_values_outside_are_told():
    found = units.Units("linear", (0.0, 1.0))
    assert [*found.outside(np.array([0, 1, 1.1, np.nan]))] == [False, False, True, True]


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": "cubic"},
        {"knots": [1.0]},
        {"knots": [1.0, 1.0]},
        {"knots": [0.0, float("nan")]},
        {"knots": ["0", 1]},
        {"scale": "log", "knots": [0.0, 1.0]},
        {"whole": 1},
        {"more": 1},
    ],
)
def test_other_entries_are_refused(changed):
    with pytest.raises(ValueError, match=r"scale|knots|whole"):
        units.from_json(units.LEVELS.as_json() | changed)


def test_a_logarithm_of_nothing_is_refused():
    with pytest.raises(InputError, match="lowest is 0"):
        units.of_values(np.array([0.0, 1.0]), "log", "data.scale")
    with pytest.raises(InputError, match="cubic"):
        units.of_values(np.array([0.0, 1.0]), "cubic", "data.scale")


def test_y_runs_up():
    grid = Geometry(3, 4, cell=(10, 5), origin=(100, 50))
    rows, columns = grid.cells(
        np.array([100.0, 104.9, 105.0, 130.0, 95.0, 94.9]),
        np.array([50.0, 52.4, 52.5, 60.0, 47.5, 47.4]),
    )
    assert [*rows] == [2, 2, 1, 0, 2, 3]
    assert [*columns] == [0, 0, 1, 3, 0, -1]
    x, y = grid.centres(np.array([0, 2]), np.array([3, 0]))
    assert [*x] == [130, 100] and [*y] == [60, 50]
    assert grid.cells(np.array([1e300]), np.array([0.0]))[1] > 4
