"""The report package: whole files, an exact journal, readable grids and pages."""

import errno
import io
import json
import math
import os
import signal
import struct
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_jax.config import errors
from gan_jax.report import files, formats, grids, journal, page, plots, progress
from gan_jax.tasks.plates import constraints
from tests.programs import start

# Files


def test_killed_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "summary.json"
    files.write_text(target, "old")
    code = """
import os, signal, sys
from gan_jax.report import files
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
files.write_text(sys.argv[1], "new " * 100_000)
"""
    result = start([sys.executable, "-c", code, str(target)])
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert target.read_text() == "old"
    assert list(tmp_path.glob("*.json")) == [target]
    files.write_text(target, "new")
    assert target.read_text() == "new"


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    target = tmp_path / "folder" / "a.bin"
    files.write_bytes(target, b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_bytes(target, b"new")
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]
    assert target.read_bytes() == b"old"


def test_json_is_strict_and_keeps_order(tmp_path):
    target = tmp_path / "summary.json"
    value = {
        "z": np.float32(0.5),
        "a": [np.int64(3), np.bool_(True), np.array(2.0)],
        "name": "größer",
        "broken": "caf\udce9.png",  # a file name that is not UTF-8
        "none": None,
    }
    files.write_json(target, value)
    text = target.read_text("utf-8")
    assert text.startswith('{\n  "z": 0.5,\n  "a"') and "größer" in text
    assert json.loads(text) == value | {"z": 0.5, "a": [3, True, 2.0]}


@pytest.mark.parametrize("bad", [math.nan, math.inf, np.float32("-inf")])
def test_json_refuses_numbers_it_has_no_word_for(tmp_path, bad):
    target = tmp_path / "summary.json"
    files.write_json(target, {})
    with pytest.raises(ValueError, match=r"metrics\.fid\[1\] is not finite"):
        files.write_json(target, {"metrics": {"psnr": 1.0, "fid": [2.0, bad]}})
    assert target.read_text() == "{}\n"
    with pytest.raises(TypeError, match="set has no form"):
        files.write_json(target, {"a": {1, 2}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[1]", "no JSON object"),
        ('{"a": 1, "b": {"a": 1, "a": 2}}', "a name occurs twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1e999}', "1e999 is not JSON"),
        ('{"a": 9223372036854775808}', "more than 64 bits"),
        ('{"a": ' + "9" * 5000 + "}", "more than 64 bits"),
        ('{"a":' * 10_000, "nested too deeply"),
        (b'{"a": "\xff"}', "utf-8"),
        ('{"a": 1}'.encode("utf-16"), "utf-8"),
        ('{"a": 1} {}', "Extra data"),
    ],
)
def test_json_that_is_not_strict_is_not_read(tmp_path, text, reason):
    with pytest.raises(ValueError, match=reason):
        files.decode_json(text)
    if isinstance(text, str):
        (tmp_path / "metrics.jsonl").write_text(f'{text}\n{{"step": 1, "a": 0.5}}\n')
        rows = journal.read_rows(tmp_path / "metrics.jsonl")
        assert rows == [{"step": 1, "a": 0.5}]


def test_json_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": -1.5}')
    assert files.read_json(path) == {"a": -1.5}


@pytest.mark.parametrize("value", ['"1"', "[1]", "{}"])
def test_rows_of_the_journal_hold_numbers_alone(tmp_path, value):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1, "fid": {value}}}\n')
    assert journal.read_rows(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_image_file_holds_the_image(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    files.write_bytes(tmp_path / "a.png", files.encode_png(image))
    with Image.open(tmp_path / "a.png") as picture:
        read = np.asarray(picture).reshape(image.shape)
    np.testing.assert_array_equal(read, image)
    with pytest.raises(ValueError, match="no PNG"):
        files.encode_png(image[:, :, [0, 0]])


# Journal


def read_lines(workdir: Path) -> list[dict]:
    text = (workdir / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def read_events(workdir: Path) -> list:
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return events


def test_journal_has_each_step_once_after_resuming(tmp_path):
    with journal.Journal(tmp_path) as first:
        for step in range(1, 8):
            first.write(step, {"loss": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('not json\n[1]\n{"step": 5, "x": NaN}\n{"step": 4, "los')
    with journal.Journal(tmp_path, resume_step=5) as second:
        assert [row["step"] for row in read_lines(tmp_path)] == [1, 2, 3, 4, 5]
        second.write(6, {"loss": 60.0})
        assert second.rows[-2:] == [
            {"step": 5, "loss": 5.0},
            {"step": 6, "loss": 60.0},
        ]
    assert [row["step"] for row in read_lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert journal.read_rows(tmp_path / "metrics.jsonl") == read_lines(tmp_path)
    restarts = [
        event.step for event in read_events(tmp_path) if event.session_log.status
    ]
    assert restarts == [6]


def test_new_run_keeps_nothing(tmp_path):
    with journal.Journal(tmp_path) as first:
        first.write(0, {"loss": 1.0})
    with journal.Journal(tmp_path):
        assert read_lines(tmp_path) == []
    assert journal.read_rows(tmp_path / "absent.jsonl") == []


def test_journal_values(tmp_path):
    with journal.Journal(tmp_path) as record:
        record.write(1, {"a": math.nan, "b": np.float32(0.5), "c": np.array(2.0)})
        record.write(1, {"d": 3, "e": -math.inf})
        record.image(1, "samples", np.zeros((4, 4, 1), np.uint8))
        with pytest.raises(ValueError, match="step 0 comes after step 1"):
            record.write(0, {"a": 1.0})
        with pytest.raises(ValueError, match="own"):
            record.write(2, {"step": 1.0})
    row = {"step": 1, "a": None, "b": 0.5, "c": 2.0, "d": 3, "e": None}
    assert read_lines(tmp_path) == [row]
    events = [value for event in read_events(tmp_path) for value in event.summary.value]
    assert [value.tag for value in events] == ["b", "c", "d", "samples"]


def test_journal_reaches_the_disk_at_flush_and_now_and_then(tmp_path, monkeypatch):
    with journal.Journal(tmp_path) as record:
        record.write(1, {"a": 1.0})
        assert read_lines(tmp_path) == []
        record.flush()
        assert len(read_lines(tmp_path)) == 1
        monkeypatch.setattr(journal, "_FLUSH_SECONDS", 0.0)
        monkeypatch.setattr(journal, "_FLUSH_SHARE", 1e9)
        record.flush()
        record.write(2, {"a": 1.0})
        assert len(read_lines(tmp_path)) == 2


def test_journal_is_whole_where_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError), journal.Journal(tmp_path) as record:
        record.write(1, {"a": 1.0})
        raise RuntimeError
    assert read_lines(tmp_path) == [{"step": 1, "a": 1.0}]


# Progress


def test_progress_prints_plain_lines_without_a_terminal():
    stream = io.StringIO()
    metrics = {"critic/adversarial": 1.3149, "generator/adversarial": np.float32(0.5)}
    with progress.Progress(4000, 1000, "train", stream=stream) as display:
        for step in range(1001, 4001):
            display.advance(step, metrics)
        display.message("saved [here]")
    first, message, last = stream.getvalue().splitlines()
    assert first.startswith("train  step 1001/4000  critic/adversarial 1.31  gen")
    assert message == "saved [here]"
    assert last.startswith("train  step 4000/4000  ") and " steps/s  in 0:0" in last
    assert last.endswith("generator/adversarial 0.5")
    assert "\x1b" not in stream.getvalue() and "\r" not in stream.getvalue()


def test_progress_shows_losses_before_other_metrics():
    stream = io.StringIO()
    names = ["critic/adversarial", "critic/fake_score", "critic/loss"]
    names += ["critic/real_score", "generator/adversarial", "generator/loss"]
    with progress.Progress(2, stream=stream) as display:
        display.advance(1, dict.fromkeys(names, 0.5))
    shown = stream.getvalue().splitlines()[0].split("  ")[1:]
    wanted = [
        "critic/loss",
        "generator/loss",
        "critic/adversarial",
        "critic/fake_score",
    ]
    assert shown == [f"{name} 0.5" for name in wanted]


def test_progress_tells_rate_and_time_left(monkeypatch):
    clock = iter([0.0, 0.0, 100.0, 110.0, 120.0, 130.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with progress.Progress(100, unit="image", stream=stream) as display:
        display.advance(1)  # compiles for 100 seconds
        display.advance(6)
        display.advance(11, {"loss": math.nan})
    lines = stream.getvalue().splitlines()
    assert lines[0] == "image 1/100"
    assert lines[1] == "image 6/100  2 s/image  left 3:08"
    assert lines[2] == "image 11/100  2 s/image  left 2:58  loss nan"
    assert lines[3] == "image 11/100  2 s/image  stopped after 2:10  loss nan"


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    display = progress.Progress(10, description="train", stream=stream)
    with pytest.raises(KeyboardInterrupt), display:
        display.advance(4, {"loss[a]": 1.0})
        display.message("note [b]")
        raise KeyboardInterrupt
    text = stream.getvalue()
    assert "━" in text and "note [b]" in text
    assert "step 4/10" in text and "stopped after 0:00  loss[a] 1" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.02134567, "0.02135"),
        (31.2, "31.2"),
        (9.99996, "10"),
        (12345.6, "12,346"),
        (75_000, "75,000"),
        (-0.5, "-0.5"),
        (0.0000123, "1.23e-5"),
        (math.nan, "nan"),
        (1e30, "1e30"),
    ],
)
def test_numbers_as_people_read_them(value, text):
    assert formats.format_number(value) == text


@given(st.floats(-1e300, 1e300))
def test_formatted_number_is_the_number(value):
    read = float(formats.format_number(value).replace(",", ""))
    assert read == pytest.approx(value, rel=5.1e-4)


def test_durations():
    assert formats.format_duration(89.4) == "1:29"
    assert formats.format_duration(7387) == "2:03:07"


# Grids


def test_to_uint8_covers_the_range():
    images = np.array([-2, -1, -0.996, 0.5, 1, 3], np.float32).reshape(1, 1, 6, 1)
    levels = grids.to_uint8(images)
    assert levels.ravel().tolist() == [0, 0, 1, 191, 255, 255]
    with pytest.raises(ValueError, match="NaN"):
        grids.to_uint8(images * np.float32("nan"))


@pytest.mark.parametrize("channels", [1, 3])
def test_tile_enlarges_by_whole_pixels(channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (2, 3, 8, 8, channels), np.uint8)
    grid = grids.tile(images, scale=4, gap=5)
    assert grid.shape == (2 * 32 + 5 + 20, 3 * 32 + 10 + 20, 3)
    assert tuple(grid[0, 0]) == grids.PAPER
    cell = grid[10 + 37 : 10 + 69, 10 + 74 : 10 + 106]
    expected = images[1, 2].repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(cell, np.broadcast_to(expected, (32, 32, 3)))


@pytest.mark.parametrize("side", [20, 28, 32, 64, 128])
def test_tile_chooses_a_readable_size(side):
    grid = grids.tile(np.zeros((1, 1, side, side, 1), np.uint8), gap=0)
    assert 96 <= grid.shape[0] <= 128


def test_tile_titles_take_room_and_are_counted():
    images = np.zeros((2, 3, 28, 28, 1), np.uint8)
    plain = grids.tile(images)
    titles = ["λ = 0.4", "", "a title of several words and oneverylongunbrokenword" * 2]
    titled = grids.tile(images, column_titles=titles, row_titles=["seed 0", "seed 1"])
    assert titled.shape[0] > plain.shape[0] and titled.shape[1] > plain.shape[1]
    with pytest.raises(ValueError, match="1 titles"):
        grids.tile(images, row_titles=["one"])
    with pytest.raises(ValueError, match="needs images"):
        grids.tile(images[:0])
    with pytest.raises(ValueError, match="channels"):
        grids.tile(images[..., [0, 0]])


def has_colour(image: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return (image == np.array(colour, np.uint8)).all(axis=-1)


def one_known_pixel(channels: int, error: float) -> np.ndarray:
    """The grid of one known pixel on black, the generated one off by `error`."""
    known = np.array([0.5, -0.5, 0.5][:channels], np.float32)
    mask = np.zeros((1, 28, 28, 1), np.float32)
    mask[0, 10, 12] = 1
    values = np.where(mask == 1, known, np.float32("nan"))
    generated = np.full((1, 2, 28, 28, channels), -1, np.float32)
    generated[:, :, 10, 12] = known + error
    return constraints.constraint_grid(values, mask, generated, scale=5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("error", "missed"), [(0.19, False), (0.21, True)])
def test_constraint_grid_rings_known_pixels(channels, error, missed):
    grid = one_known_pixel(channels, error)
    level = [0.5, -0.5, 0.5][:channels] + np.full(channels, error)
    colour = grids.to_uint8(level.reshape(1, 1, channels))[0, 0]
    places = np.argwhere(has_colour(grid, tuple(np.broadcast_to(colour, 3))))
    assert len(places) == 2 * 5 * 5  # in both images, and nothing covers it
    top, left = places.min(axis=0)
    around = grid[top - 8 : top + 13, left - 8 : left + 13]
    ring, other = (
        (constraints.MISSED, constraints.HONOURED)
        if missed
        else (constraints.HONOURED, constraints.MISSED)
    )
    assert has_colour(around, ring).sum() > (40 if missed else 5)
    assert not has_colour(around, other).any()
    # The legend shows both kinds.
    assert has_colour(grid[-60:], ring).any() and has_colour(grid[-60:], other).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_constraint_grid_shows_known_pixels_enlarged(channels):
    grid = one_known_pixel(channels, 0.0)
    panel = grid[:, : 16 + 28 * 5]
    colour = (248, 149, 64) if channels == 1 else (191, 64, 191)
    assert has_colour(panel[:-60], colour).sum() > 2 * 5 * 5
    assert has_colour(panel, constraints.GROUND).sum() > 0.9 * (28 * 5) ** 2


def test_constraint_grid_shows_the_original_and_any_number_of_pixels():
    rng = np.random.default_rng(0)
    original = rng.uniform(-1, 1, (2, 16, 16, 3))
    generated = rng.uniform(-1, 1, (2, 4, 16, 16, 3)).astype(np.float32)
    for share in (0.0, 0.01, 0.4, 1.0):
        mask = rng.random((2, 16, 16, 1)) < share
        plain = constraints.constraint_grid(original, mask, generated)
        with_original = constraints.constraint_grid(
            original, mask, generated, original=original
        )
        assert with_original.shape[1] > plain.shape[1]
    with pytest.raises(ValueError, match="NaN"):
        constraints.constraint_grid(original * np.nan, mask, generated)


# Plots


def some_rows(count: int) -> list[dict]:
    rng = np.random.default_rng(0)
    rows = [
        {"step": step, "a": float(rng.normal()), "b": float(rng.lognormal())}
        for step in range(count)
    ]
    rows[0]["a"] = None
    rows[-1]["fid"] = 1.0
    return rows


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_curves_are_small_whole_files(count):
    rows = some_rows(count)
    groups = {"One": ["a", "b", "absent"], "FID": ["fid"], "No": ["x"]}
    svg = plots.curves(rows, groups)
    ElementTree.fromstring(svg)
    assert len(svg) < 400_000
    assert svg == plots.curves(rows, groups)
    figure, _ = plots.draw_panels(3)
    with Image.open(io.BytesIO(plots.encode_figure(figure, "png"))) as picture:
        assert picture.format == "PNG" and picture.width == 1382


def test_a_failing_write_names_the_file_and_leaves_the_old_one(monkeypatch, tmp_path):
    path = tmp_path / "summary.json"
    files.write_text(path, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"summary\.json") as failure:
        files.write_text(path, "new")
    line, code = errors.explain(failure.value)
    assert line == (
        f"{path}: No space left on device: free space and run the same command again"
    )
    assert code == 2
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "old"


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    """The second name is one of earlier versions."""
    others = {".hidden.tmp", "notes.tmp", ".a.json.xyz.tmp", ".b.json.0123abcd.tmp"}
    linked = ".gan_jax-89abcdef.tmp"
    for name in (".gan_jax-0123abcd.tmp", ".a.json.0123abcd.tmp", *others):
        (tmp_path / name).touch()
    (tmp_path / linked).symlink_to("notes.tmp")
    files.remove_temporaries(tmp_path, {"a.json"}.__contains__)
    assert {path.name for path in tmp_path.iterdir()} == {*others, linked}


def test_the_longest_name_of_a_file_can_be_written(tmp_path):
    longest = tmp_path / ("a" * 251 + ".png")
    files.write_bytes(longest, b"whole")
    assert longest.read_bytes() == b"whole"
    with pytest.raises(files.UnwritableError, match="File name too long"):
        files.write_bytes(tmp_path / ("a" * 252 + ".png"), b"whole")
    assert [*tmp_path.iterdir()] == [longest]
    name = files.short_name("ä" * 120)
    assert len(name.encode()) < 100 and name != files.short_name("ä" * 121)
    assert files.short_name("center-yeh") == "center-yeh"


def test_only_a_name_that_is_in_the_way_is_unwritable(tmp_path, monkeypatch):
    (tmp_path / "taken" / "by" / "folders").mkdir(parents=True)
    with pytest.raises(files.UnwritableError) as taken:
        files.write_bytes(tmp_path / "taken", b"")
    assert "taken: Is a directory: move it away" in errors.explain(taken.value)[0]

    def full(temporary, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.Path, "replace", full)
    with pytest.raises(OSError, match="No space left") as failure:
        files.write_bytes(tmp_path / "a.png", b"")
    assert not isinstance(failure.value, files.UnwritableError)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_trade_off_rings_the_best_epoch_and_skips_what_it_cannot_show():
    pairs = [(0.1, 300.0), (0.03, 200.0), (None, 9.0), (0.0, 8.0), (0.01, 100.0)]
    rows = [{"step": 10 * i, "a": a, "b": b} for i, (a, b) in enumerate(pairs)]
    marked, unmarked = (
        plots.trade_off(rows, "a", "b", best=step)
        for step in (40, 20)  # an epoch without both values has no dot to mark
    )
    accent = plots.PALETTE[1].encode()
    assert accent in marked and accent not in unmarked
    dots = [rows[0], rows[1], rows[4]]
    assert unmarked == plots.trade_off(dots, "a", "b", best=20)
    ElementTree.fromstring(plots.trade_off([], "a", "b", best=0))


def test_curves_without_values_or_groups():
    ElementTree.fromstring(plots.curves([], {"Nothing": ["a"]}))
    with pytest.raises(ValueError, match="panel"):
        plots.curves([], {})


def test_running_median_ignores_spikes():
    values = np.array([1.0, 1, 100, 1, 1, 3, 3])
    assert plots.running_median(values, 3).tolist() == [1, 1, 1, 1, 1, 3, 3]
    np.testing.assert_array_equal(plots.running_median(values, 1), values)
    assert plots.running_median(values, 99).tolist() == [1.0] * 7
    assert plots.running_median(values[:0], 5).size == 0
    with pytest.raises(ValueError, match="at least one"):
        plots.running_median(values, 0)


# Page

NASTY = '<script>alert("1")</script> & </style> "quoted" http'


class Outline(HTMLParser):
    """Checks that tags are balanced, and collects what a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in {"meta", "img"}:
            self.open.append(tag)
        names = dict(attributes)
        assert not any(name.startswith("on") for name in names)
        self.sources += [names[name] for name in ("src", "href") if name in names]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def some_page(text: str) -> str:
    image = files.encode_png(np.zeros((4, 4, 3), np.uint8))
    drawing = plots.curves(some_rows(50), {"A": ["a"]})
    table = page.Table(
        text,
        [text, "number", "flag"],
        [[text, 0.00561, True], [None, math.nan, None], ["x", np.float32(2), np.True_]],
        text,
    )
    blocks = [
        page.Figure(text, image, text),
        page.Figure(text, drawing, half=True),
        page.Figure("", drawing, half=True),
        table,
        page.Text(text, [text, text]),
        page.Command(text, f"python -m gan_jax.main \\\n  {text}"),
        page.Figure("last", drawing, half=True),
    ]
    sections = [page.Section(text, blocks, text), page.Section("2", [])]
    cards = [page.Card(text, -0.00561, text, good) for good in (True, False, None)]
    third = page.Section("3", [page.Table("empty", ["a", "b"], [])])
    return page.page(text, text, {text: text}, [*sections, third], cards)


def test_page_is_one_self_contained_file():
    text = some_page("plain")
    outline = Outline(text)
    assert "http://" not in text and "https://" not in text and "@import" not in text
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    assert all(source.startswith(("data:image/", "#")) for source in outline.sources)
    assert outline.tags.count("img") == 4 and "url(" not in text
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_page_escapes_every_text():
    text = some_page(NASTY)
    outline = Outline(text)
    assert "script" not in outline.tags and "<script" not in text
    assert outline.text.count(NASTY) >= 15


def test_page_shows_values_readably():
    text = some_page("plain")
    outline = Outline(text)
    assert "\N{MINUS SIGN}0.00561" in outline.text
    assert '<td class="number">0.00561</td>' in text
    assert '<td class="number">\N{EN DASH}</td>' in text
    assert "<td>yes</td>" in text
    assert "nan" not in outline.text


def test_page_of_nothing_is_a_page():
    assert "h1" in Outline(page.page("Title", "", {}, [])).tags


def test_page_survives_text_that_is_not_unicode(tmp_path):
    files.write_text(tmp_path / "report.html", some_page("caf\udce9\0.png"))
    Outline((tmp_path / "report.html").read_text("utf-8"))


def test_page_refuses_what_it_cannot_show():
    short = page.Section("", [page.Table("t", ["a", "b"], [[1, 2], [3]])])
    with pytest.raises(ValueError, match='table "t": a row has 1 values, not 2'):
        page.page("", "", {}, [short])
    unknown = page.Section("", [page.Figure("f", b"GIF89a")])
    with pytest.raises(ValueError, match="PNG, JPEG or SVG"):
        page.page("", "", {}, [unknown])


def test_a_damaged_picture_is_left_out(tmp_path):
    file = tmp_path / "00000010.png"
    files.write_bytes(file, files.encode_png(np.zeros((4, 4, 3), np.uint8)))
    shown = page.Figure("Step 10", file.read_bytes(), "", half=True)
    assert page.picture_file(file, "Step 10") == shown
    whole = file.read_bytes()
    for content in (b"", whole[:40], whole[:45] + b"?" + whole[46:]):
        file.write_bytes(content)
        assert page.picture_file(file, "Step 10") is None
    assert page.picture_file(tmp_path, "Step 10") is None
    assert page.picture_file(tmp_path / "missing.png", "Step 10") is None
