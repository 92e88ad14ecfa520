"""What shows several methods at once: plates, tables, the rows of plain baselines."""

from pathlib import Path

import numpy as np

from gan_jax.apps.study.report import StudyRun, baselines, figures, gather_sweep, tables
from gan_jax.report.grids import to_uint8
from gan_jax.report.measures import measures, of_real_images
from gan_jax.report.page import Table
from gan_jax.report.terminal import show
from gan_jax.tasks.plates.colors import plate


def test_a_plate_of_versions_begins_again_beside_itself():
    """Two columns of nine images, three below each other: three groups."""
    levels = np.linspace(-1, 1, 9, dtype=np.float32).reshape(9, 1, 1, 1)
    images = np.broadcast_to(levels, (9, 8, 8, 3))
    drawn = plate({"one": images, "other": -images}, rows=3)
    alone = plate({"one": images[:3], "other": -images[:3]}, rows=3)
    assert drawn.shape[0] == alone.shape[0]
    assert 2.5 * alone.shape[1] < drawn.shape[1] < 3.5 * alone.shape[1]
    # The seventh image begins the third group: its level is on the plate.
    found = {int(level) for level in np.unique(drawn[..., 0])}
    assert {int(to_uint8(images[6]).max()), 0, 255} <= found


def test_a_table_is_printed_whole(capsys):
    long = "a name that is longer than any column of a terminal would be"
    show(Table("Figures", [long, "value"], [["row", 0.123456], ["none", None]]))
    printed = capsys.readouterr().out
    assert long in printed and "0.1235" in printed and "none" in printed
    cells = [f"{place}.123 ± 0.0{place}" for place in range(10, 40)]
    show(Table("Many", ["arm", *map(str, range(30))], [["a method", *cells]]))
    printed = capsys.readouterr().out
    assert all(cell in printed for cell in cells) and "…" not in printed
    assert max(map(len, printed.splitlines())) < 30 * 20


def test_baselines_of_a_study_are_counted_once_for_each_seed():
    metrics = {"psnr": 20.0, "colourfulness": 10.0, "colourfulness_real": 30.0}
    timing = {"steps_per_second": 0}
    runs = [
        StudyRun(
            arm,
            seed,
            {
                "metrics": metrics,
                "timing": timing,
                "baselines": {"grey": {"psnr": 18.0 + seed, "kid": None}},
            },
            "",
            [],
            None,
            Path("none"),
        )
        for arm in ("a", "b")
        for seed in (0, 1)
    ]
    runs.append(StudyRun("c", 0, None, "it diverged", [], None, Path("none")))
    assert baselines(runs) == {
        "grey": {"psnr": [18.0, 19.0]},
        "real images": {"colourfulness": [30.0, 30.0]},
    }
    quality, _ = tables(runs)
    assert [row[0] for row in quality.rows] == ["a", "b", "c", "grey", "real images"]
    assert quality.header == ["arm", "psnr", "colourfulness"]


def finished(arm, seed, metrics, **more):
    summary = {"metrics": metrics, "timing": {"steps_per_second": 2.0}, "steps": 10}
    return StudyRun(arm, seed, {**summary, **more}, "", [], None, Path("none"))


METRICS = {
    "beauty": 0.25,  # no table knows it
    "beauty_real": 0.5,
    "fid": None,
    "fid_count": 200,
    "fid_real_count": 180,
    "fid_features": {"network": "some"},
    "collapsed": False,
    "classes": 7,
    "word_count": 3,  # it goes with nothing
    "kid": 1.5,
}


def test_measures_are_numbers_that_say_something_of_images():
    assert list(measures(METRICS).items()) == [
        ("kid", 1.5),
        ("classes", 7),
        ("beauty", 0.25),
        ("word_count", 3),
    ]
    assert of_real_images(METRICS) == {"beauty": 0.5}


def test_a_measure_that_no_table_knows_is_a_column_of_the_study():
    runs = [
        finished("a", 0, METRICS, baselines={"grey": {"beauty": 0.1, "ugly": 1.0}}),
        finished("a", 1, {**METRICS, "beauty": 0.75}),
        finished("b", 0, {"fid": 3.0, "late": 4.0}),
    ]
    quality, cost = tables(runs)
    columns = ["fid", "kid", "classes", "beauty", "word_count", "late"]
    assert quality.header == ["arm", *columns]
    rows = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in quality.rows}
    assert list(rows) == ["b", "a", "grey", "real images"]
    assert rows["a"]["beauty"] == "0.5 ± 0.35" and rows["b"]["beauty"] is None
    assert rows["a"]["fid"] is None and rows["b"]["late"] == 4
    assert rows["grey"]["beauty"] == 0.1 and rows["real images"]["beauty"] == "0.5 ± 0"
    assert cost.rows[0][1:3] == ["0:05", 500.0]
    found = figures(runs)
    assert found["a"].values["beauty"] == [0.25, 0.75]
    assert found["a"].costs["seconds"] == [5.0, 5.0]
    sweep = gather_sweep(runs, "weight", ("beauty",), {})
    assert sweep.levels["a"]["beauty"] == [0.25, 0.75]


def test_a_study_of_which_nothing_ran_has_a_table():
    runs = [StudyRun("c", 0, None, "it diverged", [], None, Path("none"))]
    quality, cost = tables(runs)
    assert quality.header == ["arm"] and quality.rows == [["c"]]
    assert cost.rows[0][-1] == "1 of 1"
