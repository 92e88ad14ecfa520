"""Whether a loss tells quality: rank correlation along a journal."""

import pytest

from gan_jax.evaluation.correlation import rank_correlation


def rows(losses, measures):
    """Two losses before each measure; their mean counts."""
    found = []
    for turn, (loss, measure) in enumerate(zip(losses, measures, strict=True)):
        steps = (10 * turn + 5, 10 * turn + 10)
        found += [
            {"step": step, "loss": loss + sign}
            for step, sign in zip(steps, (-1, 1), strict=True)
        ]
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
    found = rank_correlation(rows(losses, measures), "loss", "fid")
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("losses", "measures", "says"),
    [([1, 2], [3, 4], "too few"), ([1, 2, 3], [5, 5, 5], "never changes")],
)
def test_what_cannot_be_correlated_is_refused(losses, measures, says):
    with pytest.raises(ValueError, match=says):
        rank_correlation(rows(losses, measures), "loss", "fid")


def test_rows_without_the_loss_do_not_count():
    found = [{"step": 0, "fid": 3.0}, *rows([1, 2, 3], [3, 2, 1])]
    assert rank_correlation(found, "loss", "fid") == pytest.approx(-1)


def test_a_row_counts_for_the_steps_since_the_last():
    def first(many):
        """A loss of 9 at many early steps, then 1 for as long as everything else."""
        early = [{"step": step, "loss": 9.0} for step in range(1, many + 1)]
        later = rows([1, 2, 3], [1, 2, 3])
        return early + [row | {"step": row["step"] + many} for row in later]

    # (3 * 9 + 10 * 1) / 13 is above 2, (1 * 9 + 10 * 1) / 11 below.
    assert rank_correlation(first(1), "loss", "fid") == pytest.approx(1)
    assert rank_correlation(first(3), "loss", "fid") == pytest.approx(0.5)
