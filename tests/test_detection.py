"""How detection is measured, and what it is compared with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gan_jax.apps.detect.baselines import _result
from gan_jax.apps.detect.data import to_channels
from gan_jax.apps.detect.detector import Detector
from gan_jax.apps.detect.report import histograms
from gan_jax.apps.detect.total_variation import Scale
from gan_jax.config.errors import InputError
from gan_jax.data.datasets import classes
from gan_jax.data.datasets.classes import merge_parts, select_classes
from gan_jax.data.datasets.dataset import (
    ArraySource,
    Dataset,
    LazySource,
    in_memory,
    select,
)
from gan_jax.evaluation.detection import detection, subsample
from gan_jax.evaluation.outliers import BASELINES


def test_measures_by_hand():
    normal, anomalous = np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.5])
    found = detection(normal, anomalous, 0.35)
    # Ranked 0.5 a, 0.4 n, 0.3 a: precision 1 at the first, 2/3 at the second.
    assert found.auprc == pytest.approx((1 + 2 / 3) / 2)
    assert found.auroc == pytest.approx(5 / 6)
    assert found.base_rate == pytest.approx(0.4)
    assert found.false_positive_rate == pytest.approx(1 / 3)
    assert found.true_positive_rate == pytest.approx(1 / 2)


def test_a_random_scores_auprc_is_the_base_rate():
    draw = np.random.default_rng(0)
    found = detection(draw.random(40_000), draw.random(10_000), 0.9)
    assert found.auprc == pytest.approx(found.base_rate, abs=0.01)
    assert found.auroc == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("wrong", [np.array([]), np.array([np.nan])])
def test_nothing_is_measured_of_nothing(wrong):
    with pytest.raises(ValueError, match="finite scores of both"):
        detection(np.array([0.1]), wrong, 0.5)


@settings(deadline=None)
@given(some.integers(50, 3000), some.integers(50, 3000), some.floats(0.05, 0.95))
def test_a_subsample_has_the_base_rate(normal, anomalous, rate):
    first, second = subsample(normal, anomalous, rate, 0)
    assert len(first) == normal and len(second) == anomalous
    share = second.sum() / (first.sum() + second.sum())
    assert share == pytest.approx(rate, abs=0.02)
    assert first.all() or second.all()
    assert all(side.all() for side in subsample(normal, anomalous, 0.0, 0))


def pictures(count, seed, pattern):
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 40, (count, 8, 8, 1))
    images[:, pattern] += 200
    return images.astype(np.uint8)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_know_what_they_have_not_seen(name):
    normal = pictures(300, 0, np.s_[:4])
    score = BASELINES[name](normal, 0)
    fresh, odd = score(pictures(50, 1, np.s_[:4])), score(pictures(50, 2, np.s_[4:]))
    assert fresh.max() < odd.min()
    np.testing.assert_array_equal(
        fresh, BASELINES[name](normal, 0)(pictures(50, 1, np.s_[:4]))
    )


def labelled(count, classes=("no", "one", "two")):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return ArraySource("some", images, np.arange(count) % 3, classes)


@pytest.mark.parametrize(("name", "number"), [("one", 1), ("2", 2)])
def test_a_class_is_found_by_name_or_number(name, number):
    inside = select_classes(labelled(9), name)
    outside = select_classes(labelled(9), name, inside=False)
    assert set(inside.labels) == {number} and len(inside) == 3
    assert set(outside.labels) == {0, 1, 2} - {number} and len(outside) == 6
    assert len(select_classes(labelled(9), f"{name},no", inside=False)) == 3


def test_a_class_that_is_not_there():
    with pytest.raises(InputError, match="no class 'three'; known: no, one, two"):
        select_classes(labelled(9), "three")
    with pytest.raises(InputError, match="no labels"):
        select_classes(ArraySource("some", labelled(3).images), "one")
    with pytest.raises(InputError, match="names no class"):
        select_classes(labelled(9), ",")
    numbers = labelled(9, ("1", "2", "3"))
    assert len(select_classes(numbers, "1")) == 3
    with pytest.raises(InputError, match="no class '0'"):
        select_classes(numbers, "0")


def test_all_images_of_a_set_become_one_part():
    whole = merge_parts(Dataset(labelled(6), labelled(3)))
    assert whole.test is None and len(whole.train) == 9
    assert list(whole.train.labels) == [0, 1, 2, 0, 1, 2, 0, 1, 2]
    alone = Dataset(labelled(6), None)
    assert merge_parts(alone) is alone


def lazy(source):
    def read(indices):
        return [source[index] for index in indices]

    return LazySource(source.name, source.shape, len(source), read, source.classes)


@pytest.mark.parametrize("test", [lazy(labelled(3)), labelled(3)])
def test_images_in_files_stay_there_where_a_set_becomes_one_part(test):
    whole = merge_parts(Dataset(lazy(labelled(6)), test)).train
    assert isinstance(whole, LazySource)
    loaded = in_memory(select(whole, np.array([7, 2, 0, 8, 5])))
    assert list(loaded.images[:, 0, 0, 0]) == [1, 2, 0, 2, 5]
    assert list(loaded.labels) == [1, 2, 0, 2, 2] and loaded.classes == whole.classes


@pytest.mark.parametrize("kept", [0, 2**28])
def test_a_class_of_many_images_stays_in_files(monkeypatch, kept):
    monkeypatch.setattr(classes, "_READ_ONCE", kept)
    chosen = select_classes(lazy(labelled(9)), "one", inside=False)
    assert isinstance(chosen, ArraySource if kept else LazySource)
    assert list(in_memory(chosen).images[:, 0, 0, 0]) == [0, 2, 3, 5, 6, 8]
    assert list(in_memory(chosen).labels) == [0, 2, 0, 2, 0, 2]


def test_colours_are_those_of_the_normal_images():
    grey = np.array([10, 200], np.uint8).reshape(1, 1, 2, 1)
    assert (to_channels(grey, 3)[..., 1:] == to_channels(grey, 3)[..., :1]).all()
    back = to_channels(to_channels(grey, 3), 1)
    np.testing.assert_array_equal(back, grey)


def test_percentiles_count_what_is_lower():
    ties = Detector({}, Scale(), np.array([0.0, 1.0, 1.0, 1.0, 2.0]))
    found = ties.percentiles(np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, [0, 0, 12.5, 25, 100, 100])
    constant = Detector({}, Scale(), np.zeros(5))
    np.testing.assert_allclose(
        constant.percentiles(np.array([-1.0, 0.0, 1.0])), [0, 0, 100]
    )


def test_what_cannot_be_measured_ends_nothing():
    sides = np.array([0.0, np.nan]), np.array([1.0])
    row = _result("a method", "noise", *sides)
    assert row.images == 3 and np.isnan(row.figures.auprc)
    draw = subsample(178, 161, 0.001, 0)
    assert [mask.sum() for mask in draw] == [178, 1]


def test_equal_scores_can_be_drawn():
    assert b"<svg" in histograms({"all": np.zeros(9)}, 0.0)
