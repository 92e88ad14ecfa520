"""The benchmarks of searches and refinements, on networks of a toy's size."""

import pytest

from gan_jax.search.collaboration import Collaboration
from launch.benchmark import refinements, searches

SMALL = {
    "data.size": 8,
    "network.depth": 1,
    "network.width": 4,
    "network.critic_width": 4,
}


@pytest.mark.slow
def test_rates_and_their_ratio():
    row = searches.time_search(searches.row_config(SMALL), slots=4, repeats=3, work=16)
    assert set(row) == {"ours", "loop", "natural", "ratio_to_loop", "mebibytes"}
    assert all(value > 0 for value in row.values())
    assert row["ratio_to_loop"] == pytest.approx(row["ours"] / row["loop"], rel=0.9)


@pytest.mark.slow
def test_times_of_refinement(monkeypatch):
    monkeypatch.setitem(refinements.ROWS, "toy", SMALL)
    monkeypatch.setattr(refinements, "STEPS", 3)
    _, method, networks, real = refinements.random_networks("toy")
    who = Collaboration(method.generator, method.critic, steps=3, slots=2)
    row = refinements.time_refinement(
        who, method, networks, real, refinements.NEVER, images=4, repeats=1
    )
    assert row["steps"] == 3 and all(value > 0 for value in row.values())
