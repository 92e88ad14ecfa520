"""The benchmark of latent searches: what it counts, on networks of a toy's size."""

import pytest

from launch import searches

SMALL = {
    "data.size": 8,
    "network.depth": 1,
    "network.width": 4,
    "network.critic_width": 4,
}


def test_rates_and_their_ratio():
    row = searches.time_search(searches.setting(SMALL), slots=4, repeats=3, work=16)
    assert set(row) == {"ours", "loop", "natural", "ratio_to_loop", "mebibytes"}
    assert all(value > 0 for value in row.values())
    assert row["ratio_to_loop"] == pytest.approx(row["ours"] / row["loop"], rel=0.9)
