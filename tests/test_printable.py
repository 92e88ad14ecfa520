"""Foreign text: no name can clear a screen, forge a line or turn the reading order."""

import errno
import io
import json
import os
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gan_jax.apps.batch.table import Parts, as_table, schema
from gan_jax.config import errors
from gan_jax.config.errors import printable, printable_lines
from gan_jax.report import files
from gan_jax.report.page import Card, Figure, Section, Table, Text, page
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say, show
from tests.programs import run

FORGED = "gan_jax: all is well"
HOSTILE = (
    f"a\x1b[2J\n{FORGED}\r\x00\x7f\x85\x9b2J\u2028\u2029\u202e\u2066\udce9[/bold]:ok:"
    "\u061c\u200e\u200f"
)
SHOWN = (
    f"a\\u001b[2J\\n{FORGED}\\r\\u0000\\u007f\\u0085\\u009b2J"
    "\\u2028\\u2029\\u202e\\u2066\\udce9[/bold]:ok:\\u061c\\u200e\\u200f"
)
KEPT = "Прибой\N{NARROW NO-BREAK SPACE}2.png שלום é 日本 \N{PILE OF POO} \\x1b"


def assert_harmless(text):
    """No control, no line of its own, no surrogate, no change of the reading order."""
    for letter in text.replace("\n", ""):
        assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(letter) not in (
            *("LRE", "RLE", "LRO", "RLO", "PDF"),
            *("LRI", "RLI", "FSI", "PDI"),
        )
    assert not any(line.startswith(FORGED) for line in text.splitlines())


def test_what_is_escaped_and_what_is_not():
    assert printable(HOSTILE) == SHOWN and printable(SHOWN) == SHOWN
    assert printable(KEPT) == KEPT
    assert_harmless(printable("".join(map(chr, range(0x11000)))))
    assert printable_lines("one\ntwo\r\n") == "one\ntwo\\r\n"


def test_every_line_of_the_terminal(capsys):
    say(HOSTILE)
    errors.print_error(HOSTILE)
    for error in (
        errors.InputError(HOSTILE),
        errors.DivergedError(HOSTILE),
        errors.Interrupted(2, HOSTILE),
        OSError(13, "Permission denied", HOSTILE),
    ):
        line, _ = errors.explain(error)
        assert SHOWN in line
        print(line)
    out, err = capsys.readouterr()
    assert out.count(SHOWN) == len(out.splitlines()) == 5
    assert err == f"gan_jax: {SHOWN}\n"
    show(Table(HOSTILE, [HOSTILE, "x"], [[HOSTILE, 1.0]]))
    table = capsys.readouterr().out
    assert table.count(SHOWN) == 3
    for text in (out, err, table):
        assert_harmless(text)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_progress(monkeypatch, kind):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "1000")
    stream = kind()
    with Progress(2, 0, HOSTILE, stream=stream) as progress:
        progress.advance(1, {HOSTILE: 1.0})
        progress.message(HOSTILE)
    shown = stream.getvalue()
    assert shown.count(SHOWN) >= 4
    if kind is io.StringIO:  # a bar is drawn with controls of its own
        assert_harmless(shown)
    assert "\x1b[2J" not in shown and FORGED not in shown.splitlines()


def test_a_page_in_text_and_attributes():
    image = b"\x89PNG\r\n\x1a\n"
    blocks = [
        Table(HOSTILE, [HOSTILE], [[HOSTILE]], HOSTILE),
        Text(HOSTILE, [HOSTILE]),
        Figure(HOSTILE, image, HOSTILE),
    ]
    text = page(
        HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, [Section("", blocks)], [Card(HOSTILE, 1)]
    )
    assert_harmless(text.replace(FORGED, ""))  # a line end is a space in a page
    assert text.count("\\u202e") == 15


def test_json_keeps_the_text_and_shows_none_of_it(tmp_path):
    line = files.encode_json({HOSTILE: HOSTILE})
    assert_harmless(line)
    assert len(line.splitlines()) == 1 and json.loads(line) == {HOSTILE: HOSTILE}
    files.write_json(tmp_path / "a.json", {HOSTILE: [HOSTILE, KEPT]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert_harmless(text)
    assert KEPT.replace("\\", r"\\") in text
    assert json.loads(text) == {HOSTILE: [HOSTILE, KEPT]}


def test_rows_of_a_batch_job():
    table = as_table([{"input": HOSTILE}], schema({"input": str}))
    assert table.to_pylist() == [{"input": SHOWN}]


def test_rows_of_an_older_version_are_not_done_again(tmp_path):
    columns = {"input": str, "done": bool}
    name = HOSTILE.replace("\udce9", "\\udce9")  # all that was escaped then
    old = pa.table({"input": [name], "done": [True]})
    pq.write_table(
        old.replace_schema_metadata({"prior": "a"}), tmp_path / "part-0.parquet"
    )
    assert Parts(tmp_path, columns, "a").done == {SHOWN: True}


def test_flags_and_names_of_the_command_line(tmp_path):
    text = HOSTILE.replace("\0", "")  # which no argument holds
    for flag in (f"--{text}=1", text, f"--config.{text}=1"):
        finished = run(tmp_path / "run", flag)
        assert finished.returncode == 2
        assert len(finished.stderr.splitlines()) == 1
        assert_harmless(finished.stderr)
    finished = run(tmp_path / "run", f"--config.data.path={tmp_path}/{text}")
    assert finished.returncode == 2 and "does not exist" in finished.stderr
    assert_harmless(finished.stderr)


def test_an_error_of_the_disk_keeps_its_reason_and_has_a_remedy():
    for number, remedy in ((errno.ENOENT, "another folder"), (errno.EIO, "disk")):
        error = OSError(number, os.strerror(number), "/proc/x")
        line, code = errors.explain(error)
        assert line.startswith(f"/proc/x: {os.strerror(number)}: ") and code == 2
        assert remedy in line and "solve the problem" not in line
