"""Whether a loss tells quality: rank correlation along a journal."""

import pytest

from gan_jax.evaluation.tracking import tracking


def rows(losses, measures):
    """Two losses before each measure; their mean counts."""
    found = []
    for loss, measure in zip(losses, measures, strict=True):
        found += [{"step": 1, "loss": loss - 1}, {"step": 2, "loss": loss + 1}]
        found[-1]["fid"] = measure
    return found


@pytest.mark.parametrize(
    ("losses", "measures", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 90], 1),
        ([1, 2, 3, 4], [9, 7, 3, 1], -1),
        # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = 0.6.
        ([1, 2, 3, 4], [5, 1, 9, 7], 0.6),
    ],
)
def test_it_is_spearmans_coefficient_of_means(losses, measures, expected):
    assert tracking(rows(losses, measures), "loss", "fid") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("losses", "measures", "says"),
    [([1, 2], [3, 4], "too few"), ([1, 2, 3], [5, 5, 5], "never changes")],
)
def test_what_cannot_be_correlated_is_refused(losses, measures, says):
    with pytest.raises(ValueError, match=says):
        tracking(rows(losses, measures), "loss", "fid")


def test_rows_without_the_loss_do_not_count():
    found = [{"step": 0, "fid": 3.0}, *rows([1, 2, 3], [3, 2, 1])]
    assert tracking(found, "loss", "fid") == pytest.approx(-1)
