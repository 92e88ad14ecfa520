"""Measures of fields: by hand, by other programs, and by what must always hold."""

import itertools
from collections import Counter

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gan_jax.build import tasks
from gan_jax.data.datasets.dataset import ArraySource
from gan_jax.evaluation.fields.connectivity import connectivity, connectivity_error
from gan_jax.evaluation.fields.facies import (
    levels,
    nearest,
    proportion_error,
    proportions,
)
from gan_jax.evaluation.fields.patterns import (
    divergence,
    histogram,
    patterns_distance,
)
from gan_jax.evaluation.fields.variogram import variograms
from gan_jax.evaluation.measure import measure
from gan_jax.report import plots
from gan_jax.tasks.plates.wells import connectivity_figure
from gan_jax.tasks.task import Model, Request
from tests.runs import smoke

KINDS = 3
LAGS = 3


def images(smallest=4, largest=6):
    """One to three images of three facies."""
    shape = st.tuples(
        st.integers(1, 3),
        st.integers(smallest, largest),
        st.integers(smallest, largest),
    )
    return arrays.arrays(np.uint8, shape, elements=st.integers(0, KINDS - 1))


def distances(facies, truth):
    return (
        proportion_error(facies, truth, KINDS),
        connectivity_error(facies, truth, KINDS, LAGS),
        patterns_distance(facies, truth, KINDS),
    )


def drawn(*rows):
    """One image whose facies are written as digits."""
    return np.array([[*map(int, row)] for row in rows], np.uint8)[None]


def test_variograms_are_those_of_gstools():
    import gstools  # takes a second

    field = np.random.default_rng(0).normal(3, 2, (1, 21, 34, 1))
    (found,) = variograms(field, 12)
    for values, axis in zip(found, (1, 0), strict=True):
        wanted = gstools.vario_estimate_axis(field[0, ..., 0], axis)
        np.testing.assert_allclose(values, wanted[1:13], rtol=0, atol=1e-10)


def test_facies_are_the_few_values_of_real_images():
    real = np.array([[-1.0, 0.2], [1.0, 0.2]]).reshape(1, 2, 2, 1)
    found = levels(real)
    np.testing.assert_array_equal(found, [-1, 0.2, 1])
    made = np.array([[-0.41, -0.4], [0.61, 7.0]]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(nearest(made, found), [[[0, 0], [2, 2]]])
    np.testing.assert_array_equal(nearest(real, found), [[[0, 1], [2, 1]]])
    with pytest.raises(ValueError, match="more than 16 distinct values"):
        levels(np.linspace(-1, 1, 17).reshape(1, 1, 17, 1))
    assert len(levels(np.linspace(-1, 1, 16).reshape(4, 1, 4, 1))) == 16
    with pytest.raises(ValueError, match="one facies"):
        levels(0 * real)


def test_proportions_are_shares_of_cells():
    facies = drawn("0012", "0000")
    np.testing.assert_allclose(proportions(facies, 4), [6 / 8, 1 / 8, 1 / 8, 0])
    # Three of four cells of the other image are of no facies that this one has.
    other = drawn("3330", "3330")
    assert proportion_error(facies, other, 4) == pytest.approx(6 / 8)
    assert proportion_error(drawn("0011"), drawn("0001"), 2) == pytest.approx(1 / 4)


def test_two_point_connectivity_by_hand():
    facies = drawn(
        "11011",
        "01000",
        "01111",
    )
    along_rows, along_columns = connectivity(facies, 2, 2)[1]
    # Neighbours of one facies are joined. At distance 2: row 0 has no pair of facies 1
    # but (1, 3), of two bodies; row 2 has (1, 3) and (2, 4), of one.
    np.testing.assert_allclose(along_rows, [1, 2 / 3])
    # Down the columns at distance 2: columns 1, 3 and 4; the last two are not joined.
    np.testing.assert_allclose(along_columns, [1, 1 / 3])
    # The ground to the left is cut off from the ground in the middle; within a row at
    # distance 2 there are (0, 2) and (2, 4) of row 1: bodies apart, and one body.
    np.testing.assert_allclose(connectivity(facies, 2, 2)[0, 0], [1, 1 / 2])


def test_bodies_touch_along_edges_and_within_an_image():
    steps = drawn("100", "010", "001")
    assert np.isnan(connectivity(steps, 2, 2)[1]).all()
    corner = drawn("101", "011", "110")  # its upper left cell touches by a corner
    np.testing.assert_allclose(connectivity(corner, 2, 2)[1, 0], [1, 0])
    # Two images of one column that look like one body when laid side by side.
    apart = np.concatenate([drawn("10", "00"), drawn("10", "00")])
    assert np.isnan(connectivity(apart, 2, 1)[1]).all()
    with pytest.raises(ValueError, match="no lag of 3"):
        connectivity(steps, 2, 3)


def test_facies_that_are_never_generated_are_not_connected():
    truth, flat = drawn("1111", "0000", "1111"), drawn("0000", "0000", "0000")
    # Of facies 1: 1 at distances 1 and 2 along rows, 0 at 2 along columns. Of facies
    # 0: 1 along rows, as in the flat image, and no pair along columns.
    assert connectivity_error(flat, truth, 2, 2) == pytest.approx(2 / 5)
    assert connectivity_error(truth, truth, 2, 2) == 0


def body(facies, image, row, column):
    """The cells of one facies that can be reached from a cell, searched one by one."""
    reached, open_cells = set(), [(row, column)]
    while open_cells:
        cell = open_cells.pop()
        if cell in reached:
            continue
        reached.add(cell)
        for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            near = (cell[0] + step[0], cell[1] + step[1])
            inside = all(
                0 <= at < size for at, size in zip(near, facies.shape[1:], strict=True)
            )
            if inside and facies[image][near] == facies[image, row, column]:
                open_cells.append(near)
    return reached


@given(images())
@settings(deadline=None, max_examples=30)
def test_connectivity_is_that_of_a_search(facies):
    wanted = np.zeros((2, KINDS, 2, LAGS))
    for image, row, column in np.ndindex(facies.shape):
        kind, joined = facies[image, row, column], body(facies, image, row, column)
        for lag in range(1, LAGS + 1):
            for way, there in enumerate(((row, column + lag), (row + lag, column))):
                if there[0] < facies.shape[1] and there[1] < facies.shape[2]:
                    alike = facies[image][there] == kind
                    wanted[:, kind, way, lag - 1] += alike, there in joined
    with np.errstate(invalid="ignore"):
        probabilities = wanted[1] / wanted[0]
    found = connectivity(facies, KINDS, LAGS)
    np.testing.assert_allclose(found, probabilities)
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 1)).all()


def test_patterns_by_hand():
    patterns, counts = histogram(drawn("011", "011"), 2, 2)
    # Row by row, 01/01 is 0101 and 11/11 is 1111.
    np.testing.assert_array_equal(patterns, [0b0101, 0b1111])
    np.testing.assert_array_equal(counts, [1, 1])
    one, two = drawn("011", "011"), drawn("000", "000")
    assert divergence(one, two, 2, 2) == pytest.approx(1)
    # P = (1/2, 1/2), Q = (0, 1): M = (1/4, 3/4), and the divergence in bits is
    # (1/2 log2 2 + 1/2 log2 2/3) / 2 + log2(4/3) / 2 = 0.3113.
    assert divergence(one, drawn("111", "111"), 2, 2) == pytest.approx(
        (1 / 2 + np.log2(2 / 3) / 2 + np.log2(4 / 3)) / 2
    )
    with pytest.raises(ValueError, match="no pattern of 3x3"):
        patterns_distance(one, two, 2)
    with pytest.raises(ValueError, match="of 17 facies are many"):
        histogram(drawn("0000", "0000", "0000", "0000"), 17, 4)


@given(images(), st.sampled_from((2, 3, 4)), st.sampled_from((KINDS, 16)))
@settings(deadline=None, max_examples=30)
def test_patterns_are_counted_as_one_by_one(facies, size, kinds):
    height, width = facies.shape[1:]
    wanted = Counter()
    for image, row, column in itertools.product(
        facies, range(height - size + 1), range(width - size + 1)
    ):
        number = 0
        for cell in image[row : row + size, column : column + size].ravel().tolist():
            number = number * kinds + cell
        wanted[number] += 1
    patterns, counts = histogram(facies, kinds, size)
    assert dict(zip(patterns.tolist(), counts.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("kinds", [2, 16])
def test_all_patterns_have_a_number(kinds):
    patterns, counts = histogram(np.full((2, 5, 4), kinds - 1, np.uint8), kinds, 4)
    assert patterns.tolist() == [kinds**16 - 1] and counts.tolist() == [4]


def test_many_images_are_counted_in_parts(monkeypatch):
    facies = np.random.default_rng(0).integers(0, KINDS, (9, 6, 5)).astype(np.uint8)
    whole = [histogram(facies, KINDS, size) for size in (2, 4)]
    joined = connectivity(facies, KINDS, LAGS)
    for module in ("patterns", "connectivity"):
        monkeypatch.setattr(f"gan_jax.evaluation.fields.{module}._CELLS", 60)
    for size, wanted in zip((2, 4), whole, strict=True):
        for found, each in zip(histogram(facies, KINDS, size), wanted, strict=True):
            np.testing.assert_array_equal(found, each)
    np.testing.assert_array_equal(connectivity(facies, KINDS, LAGS), joined)


@given(images(), images(), st.randoms())
@settings(deadline=None, max_examples=30)
def test_distances_are_of_sets_of_images(facies, truth, random):
    assert distances(facies, facies) == (0, 0, 0)
    found = distances(facies, truth)
    assert all(0 <= distance <= 1 for distance in found)
    order = random.sample(range(len(facies)), len(facies))
    assert distances(facies[order], truth) == pytest.approx(found)
    twice = np.concatenate([truth, truth])
    assert distances(facies, twice) == pytest.approx(found)


def request(values):
    """A request whose real images hold some values, in images of 8x8 cells."""
    cells = np.resize(np.asarray(values, np.float32), (4, 8, 8, 1))
    condition = (cells, np.ones_like(cells))
    return Request(condition, cells)


def measured(truth, made):
    functions = tasks.task(smoke("geostatistics")).evaluation.measures
    asked = request(truth)
    return measure(
        {
            name: (lambda each=function: each(made(asked.truth), asked))
            for name, function in functions.items()
        }
    )


FACIES = ("proportion_error", "connectivity_error", "patterns_distance")


def test_realisations_of_facies_are_measured():
    values = (-1, -1, 0, 1, 1, 1, 1)
    exact = measured(values, lambda truth: truth + np.float32(0.3))
    assert not exact.failed
    assert [exact.metrics[name] for name in FACIES] == [0, 0, 0]
    other = measured(values, lambda truth: -truth)
    assert all(other.metrics[name] > 0 for name in FACIES)


def test_a_continuous_property_has_no_facies():
    found = measured(np.linspace(-1, 1, 60), lambda truth: truth)
    assert {*found.failed} == {*FACIES}
    for name in FACIES:
        assert found.metrics[name] is None
        assert "continuous property" in found.failed[name]
    assert found.metrics["variogram_error"] == 0


def lines(figure_of, monkeypatch):
    """What is drawn in the panels of a figure: labels and values."""
    kept = []

    def encode(figure):
        kept.extend(
            [(line.get_label(), line.get_ydata()) for line in panel.get_lines()]
            for panel in figure.axes
        )
        return b""

    monkeypatch.setattr(plots, "encode_figure", encode)
    figure_of()
    return kept


def test_curves_of_connectivity_lie_beside_the_training_images(monkeypatch):
    truth, made = drawn("1111", "0000", "1111"), drawn("1101", "0001", "1111")
    real, generated = (connectivity(each, 2, 2) for each in (truth, made))
    panels = lines(lambda: connectivity_figure(real, generated), monkeypatch)
    assert len(panels) == 2
    for direction, panel in enumerate(panels):
        assert [label for label, _ in panel] == [
            "facies 1, training image",
            "facies 1, generated",
            "facies 2, training image",
            "facies 2, generated",
        ]
        wanted = [
            each[kind, direction] for kind in (0, 1) for each in (real, generated)
        ]
        for (_, values), each in zip(panel, wanted, strict=True):
            np.testing.assert_array_equal(values, each)


@pytest.mark.parametrize(
    ("levels", "titles"), [(2, ["Variograms", "Connectivity"]), (256, ["Variograms"])]
)
def test_a_report_draws_connectivity_of_facies_alone(levels, titles):
    task = tasks.task(smoke("geostatistics"))
    draw = np.random.default_rng(0)
    cells = draw.integers(0, levels, (12, 64, 64, 1)) * (255 // (levels - 1))
    part = dict.fromkeys(task.roles, ArraySource("some", cells.astype(np.uint8)))

    def sample(key, condition, count):
        return draw.uniform(-1, 1, (count, 64, 64, 1)).astype(np.float32)

    model = Model(sample, sample, sample)
    figures = task.report.figures(model, part, jax.random.key(0))
    assert [figure.title for figure in figures] == titles
    assert all(b"<svg" in figure.image for figure in figures)
