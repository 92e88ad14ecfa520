"""The benchmark's rows, on networks of a toy's size."""

import jax
import pytest

from launch.benchmark import __main__ as benchmark
from launch.benchmark import steps
from launch.benchmark.timing import empty_cache, peak

TOY = {
    "data.size": 8,
    "network.depth": 1,
    "network.width": 4,
    "network.critic_width": 4,
    "batch_size": 4,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pixelcgan_28", "wgan_gp_28", "dcgan_64"])
def test_a_step_is_timed_in_every_form(name):
    row = steps.ROWS[name]
    small = steps.Row(row.config, row.variant, {**row.changes, **TOY}, row.channels)
    found = benchmark.time_training(small)(1, 0, None, ["flax"])
    assert found["batch"] == 4
    assert {"milliseconds", "alone", "streamed", "gigaflops", "flax"} <= set(found)
    assert {"ratio_to_alone", "ratio_to_streamed", "ratio_to_flax"} <= set(found)
    assert "torch" not in found and all(value > 0 for value in found.values())
    # From the cache nothing is compiled: what is left is to trace and to read.
    assert found["compile_warm"] < 0.7 * found["compile_cold"]


@pytest.mark.slow
def test_the_arithmetic_is_that_of_the_published_layers():
    row = steps.ROWS["dcgan_28"]
    changes = {**row.changes, **TOY}
    one, two = (
        steps.time_step(steps.Row("gan", "mnist", changes), 1, batch_size=batch)
        for batch in (4, 8)
    )
    work = [found["gigaflops"] * found["in_loop"] for found in (one, two)]
    assert work[1] / work[0] == pytest.approx(2, rel=0.2)  # Adam's share is constant


def test_every_row_has_a_config_and_a_timer():
    for row in steps.ROWS.values():
        assert steps.row_config(row).critic_steps == 1
    wanted = "pixelcgan_28 dcgan_28 dcgan_64 wgan_gp_28 wgan_gp_64 chroma_64 "
    wanted += "latent_search_28 latent_search_64 refinement_28 fid"
    assert set(wanted.split()) <= set(benchmark.TIMERS)


@pytest.mark.slow
def test_fid_is_timed():
    found = benchmark.time_fid(1, 300, None, [])
    assert found["batch"] == 300 and found["milliseconds"] > found["distance"] > 0


def test_a_table_has_the_figures_that_there_are():
    rows = [{"name": "one", "milliseconds": 1.234}, {"name": "two", "of_peak": 0.5}]
    assert benchmark.table(rows).splitlines() == [
        "| row | milliseconds | of peak |",
        "| --- | --- | --- |",
        "| one | 1.23 |  |",
        "| two |  | 0.5 |",
    ]


def test_the_compilation_cache_is_put_back():
    before = jax.config.values["jax_compilation_cache_dir"]
    with empty_cache():
        assert jax.config.values["jax_compilation_cache_dir"] != before
    assert jax.config.values["jax_compilation_cache_dir"] == before
    assert peak(64) > 0
