"""Text tables of geostatistics: dialects, encodings, refusals, memory, any bytes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gan_jax.config.errors import InputError
from gan_jax.data.grids.tables import read_table

GEONE = """#
# # GRID - NUMBER OF CELLS
# NX 3
# NY 2
# NZ 1
# # GRID - CELL SIZE
# SX 10.0
# SY 20.0
# SZ 1.0
# # GRID - ORIGIN (bottom-lower-left corner)
# OX 100.0
# OY 0.0
# OZ 0.0
# # GRID - FILLING
# SORTING {order}
#
code porosity
"""
ROWS = [[1, 0.1], [2, 0.2], [3, 0.3], [4, 0.4], [5, 0.5], [6, 0.6]]
PLAIN = "".join(f"{code} {value}\n" for code, value in ROWS)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "table.txt"


def table(place, content):
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(str(place), "data.path")


def refusal(place, content):
    with pytest.raises(InputError) as caught:
        table(place, content)
    text = str(caught.value)
    assert "\n" not in text and "could not convert" not in text
    return text


@pytest.mark.parametrize(
    ("head", "cell", "origin", "line"),
    [
        ("3 2 1\n2\ncode\nporosity\n", (1, 1, 1), (0.5, 0.5, 0.5), 5),
        ("3 2\n2\ncode\nporosity\n", (1, 1, 1), (0.5, 0.5, 0.5), 5),
        ("3 2 1 10 20 1\n2\ncode\nporosity\n", (10, 20, 1), (5, 10, 0.5), 5),
        ("3 2 1 10 20 1 100 0 0\n2\ncode\nporosity\n", (10, 20, 1), (105, 10, 0.5), 5),
        ("grid (3x2x1)\n2\ncode\nporosity\n", (1, 1, 1), (0.5, 0.5, 0.5), 5),
        (
            "SGSIM Realizations\n 2 3 2 1 105.0 10.0 .5 10.0 20.0 1.0 1\n"
            "code\nporosity\n",
            (10, 20, 1),
            (105, 10, 0.5),
            5,
        ),
        (GEONE.format(order="+X+Y+Z"), (10, 20, 1), (105, 10, 0.5), 18),
    ],
)
def test_headers_of_grids(place, head, cell, origin, line):
    found = table(place, head + PLAIN)
    assert found.names == ("code", "porosity")
    assert found.size == (3, 2, 1)
    assert found.cell == cell and found.origin == origin and found.line == line
    np.testing.assert_array_equal(found.values, ROWS)


@pytest.mark.parametrize(
    ("head", "names", "rows"),
    [
        ("wells\n2\ncode\nporosity\n", ("code", "porosity"), ROWS),
        ("\n2 variables\ncode\nporosity\n", ("code", "porosity"), ROWS),
        ("6\n2\ncode\nporosity\n", ("code", "porosity"), ROWS),
        ("SNESIM Realizations\n2\ncode\nnumber of CD retained\n", None, ROWS),
        ("code porosity\n", ("code", "porosity"), ROWS),
        ("code;porosity\n", ("code", "porosity"), ROWS),
        ("# no grid\ncode porosity\n", ("code", "porosity"), ROWS),
        ("a\n2\ncode\ncode\n", ("code", "code (2)"), ROWS),
    ],
)
def test_headers_of_point_sets(place, head, names, rows):
    found = table(place, head + PLAIN)
    assert found.names == (names or ("code", "number of CD retained"))
    assert found.size is None
    np.testing.assert_array_equal(found.values, rows)


@pytest.mark.parametrize(
    ("order", "written"),
    [
        ("+X+Y+Z", [1, 2, 3, 4, 5, 6]),
        ("+x+y", [1, 2, 3, 4, 5, 6]),
        ("+X-Y+Z", [4, 5, 6, 1, 2, 3]),
        ("-X+Y+Z", [3, 2, 1, 6, 5, 4]),
        ("+Y+X+Z", [1, 4, 2, 5, 3, 6]),
        ("-Y-X+Z", [6, 3, 5, 2, 4, 1]),
        ("+Z-Y+X", [4, 1, 5, 2, 6, 3]),
    ],
)
def test_the_order_of_cells_is_that_of_the_header(place, order, written):
    rows = "".join(f"{code} {code / 10}\n" for code in written)
    found = table(place, GEONE.format(order=order) + rows)
    np.testing.assert_array_equal(found.values[:, 0], [1, 2, 3, 4, 5, 6])


def test_the_order_of_a_volume_is_that_of_numpy(place):
    cells = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # z, y, x
    head = GEONE.format(order="-Z+X-Y").replace("NX 3", "NX 4")
    head = head.replace("NY 2", "NY 3").replace("NZ 1", "NZ 2")
    written = cells[::-1, ::-1].transpose(1, 2, 0).ravel()  # z fastest, then x, y
    found = table(place, head + "".join(f"{value} 0\n" for value in written))
    np.testing.assert_array_equal(found.values[:, 0], cells.ravel())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("code", "porosité").encode("latin-1"),
        lambda text: text.replace("code", "porosité").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", " \n").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.encode() + b"\n\n\x1a",
        lambda text: text.replace(".", ",").encode(),
        lambda text: text.replace(" 0.", "\t.").encode(),
        lambda text: text.replace(" 0.", ", 0.").encode(),
        lambda text: text.replace(" 0.", ",0.").encode(),
        lambda text: text.replace(" 0.", "; 0,").encode(),
        lambda text: text.replace(" 0.", " +1.0D-01  0.").encode(),
        lambda text: text.replace(" 0.", " 1.0d-01 0.").encode(),
    ],
)
def test_signs_and_encodings(place, change):
    head = "a grid (6x1x1)\n2\ncode\nporosity\n"
    written = change(head + PLAIN)
    rows: list[list[float]] = ROWS
    if b"1.0D" in written or b"1.0d" in written:
        written = written.replace(b"\n2\n", b"\n3\nthird\n")
        rows = [[code, 0.1, value] for code, value in ROWS]
    np.testing.assert_allclose(table(place, written).values, rows, rtol=1e-15)


def test_values_of_one_variable_may_lie_in_any_lines(place):
    values = np.arange(100_000) / 7
    text = " ".join(f"{value:.17g}" for value in values)
    found = table(place, f"1000 100 1\n1\nv\n{text} ")
    np.testing.assert_array_equal(found.values[:, 0], values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("\n", "ends after line 1"),
        ("nothing here", "ends after line 1"),
        ("some prose\nand more\n", "line 2 is 'and more', and no number of variables"),
        ("3 2 1\n1\n", "ends after line 2, among the names of its 1 variables"),
        ("3 2 1\n1\ncode\n", "states 6 rows of 1 values, and at most 0 values follow"),
        ("3 2 1\n1\ncode\n1\n2\n3\n4\n5\n\n\n\n", "states 6 rows, and 5 follow"),
        ("3 2 1\n1\ncode\n" + 7 * "1\n", "states 6 rows, and 7 follow"),
        ("3 2 1\n1\ncode\n1\n2\nx3\n4\n5\n6\n", "line 6 has 'x3', which is no number"),
        ("3 2 1\n1\ncode\n1 2 3\n4 5_ 6\n", "line 5 has '5_', which is no number"),
        ("6\n1\ncode\n1\n2\n3\n", "states 6 rows of 1 values, and at most 3"),
        ("a\n2\nx\ny\n1 2\n3\n4 5\n", "line 6 has 1 values for 2 variables"),
        ("a\n2\nx\ny\n1 2\n3 4\n5", "line 7 has 1 values for 2 variables"),
        ("a\n3\nx\ny\nz\n1,5 2 3\n4 5 6 7\n", "line 7 has 4 values for 3 variables"),
        ("1e12 1e12 1e12\n1\nv\n1\n", "states .* and at most 1 values follow"),
        ("1e30 1 1\n1\nv\n1\n", "line 1 has '1e30' as a number of cells"),
        ("0 0\n1\nv\n1\n", "line 1 has '0' as a number of cells"),
        ("inf 2\n1\nv\n1\n", "line 1 has 'inf' as a number of cells"),
        ("2 2\n1.5\nv\n1\n", "line 2 has '1.5' as the number of variables"),
        ("2 2\n999999999\nv\n1\n", "whole number from 1 to 1000"),
        ("# NX three\ncode\n1\n", "line 1 has 'three' as a number of cells"),
        ("# NX 3\n# NX 3\ncode\n1\n", "line 2 states NX again"),
        ("# NX 3\n# SX 0\ncode\n1\n", "line 2 has '0' as a cell"),
        ("# NX 3\n# SORTING +X+X\ncode\n1\n", r"'\+X\+X\+Z' as SORTING"),
        ("# NX 3\n1\n2\n3\n", "line 2 has no names of variables"),
        ("# a\n" * 2000, "more than 1000 lines begin with #"),
        (b"\xff\xfe3\x00 \x002\x00", "UTF-16"),
        (b"\x00" * 50_000, "no line of a header"),
        ("2 1 1\n1\nv\n" + "1" * 100_000, "no number"),
        ("2 1 1\n1\nv\n" + "1" * 10_000 + " 1 1\n", "2 rows, and 3 follow"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(place, content, reason):
    text = refusal(place, content)
    assert text.startswith(f"--config.data.path {place}")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(text)
    if content:
        geone = isinstance(content, str) and content.startswith("#")
        lines = "# NX 250 | # NY 250 | facies" if geone else "250 250 1 | 1 | facies"
        assert f"begins like {lines} (the numbers of cells" in text


def test_a_table_takes_ten_times_its_size_at_most(place):
    for content in (
        b"1000 500 1\n1\nv\n" + b"0\n" * 500_000,
        b"500 500 1\n2\nv\nw\n" + b"0 1\n" * 250_000,
        b"# NX 1000\n# NY 500\n# SORTING +Y-X\nv\n" + b"0\n" * 500_000,
        b"100000 500000 1\n1\nv\n" + b"0\n" * 100_000,
        b"1000 500 1\n1\nv\n" + b"0\n" * 400_000 + b"x",
        b"1000 500 1\n1\nv\n" + b"0 " * 500_000,
    ):
        place.write_bytes(content)
        tracemalloc.start()
        try:
            read_table(str(place), "data.path")
        except InputError as error:
            assert b"x" in content[-1:] or "at most" in str(error)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 10 * len(content)


numbers = st.floats(allow_infinity=False) | st.integers(-(2**53), 2**53)
words = st.text("0123456789.,;-+eEdDnaN#xyz \t\r\n\x1a", max_size=300)
heads = st.sampled_from(
    [
        "",
        "3 2 1\n1\nv\n",
        "g (2x1x1)\n2\na\nb\n",
        "# NX 3\n# NY 2\nv\n",
        "X Y v\n",
        "9\n",
    ]
)


@given(st.tuples(heads, words) | st.tuples(words, words))
@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_text_is_a_table_or_refused(place, parts):
    try:
        found = table(place, "".join(parts))
    except InputError as error:
        assert "\n" not in str(error) and "could not convert" not in str(error)
    else:
        assert found.values.shape[1] == len(found.names) > 0
        if found.size is not None:
            assert len(found.values) == np.prod(found.size)


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_a_table_or_refused(place, content):
    try:
        table(place, content)
    except InputError as error:
        assert "\n" not in str(error)


@given(
    st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=50),
    st.sampled_from([".", ",", "D"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_what_is_written_is_read(place, rows, sign, end, grid):
    lines = [f"{len(rows)} 1 1" if grid else "wells", "2", "v", "w"]
    lines += [" ".join(f"{value!r}" for value in row) for row in rows]
    text = end.join(lines) + end
    text = text.replace("e", "D") if sign == "D" else text
    text = text.replace(".", ",") if sign == "," else text
    if sign == "D":
        text = text.replace("wDlls", "wells")
    found = table(place, text)
    np.testing.assert_array_equal(found.values, np.asarray(rows, np.float64))
    assert found.names == ("v", "w")
