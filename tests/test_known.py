"""Known values: files of every form, and their places on a grid."""

import io
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_jax.config.errors import InputError
from gan_jax.data.files.levels import Range, Scaling
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.gslib_files import write_grids
from gan_jax.data.grids.known import read_known
from gan_jax.data.grids.points import KnownGrid, Points, placed
from gan_jax.data.grids.tables import read_table
from gan_jax.data.grids.units import LEVELS, Units, facies
from gan_jax.data.memory import UnreadableFileError

GRID = Geometry(5, 7)


def read(content, mask=None, **choices):
    """Read known values from files of some content."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "known"), Path(folder, "mask")
        for file, each in zip(files, (content, mask), strict=True):
            if each is not None:
                file.write_bytes(each.encode() if isinstance(each, str) else each)
        return read_known(files[0], files[1] if mask is not None else None, **choices)


def known(
    content,
    mask=None,
    geometry=GRID,
    channels=1,
    units=LEVELS,
    snap="refuse",
    **choices,
):
    """Return the known values of a file's content on a grid."""
    return placed(read(content, mask, **choices), geometry, channels, units, snap)


def refusal(*arguments, **named):
    with pytest.raises((UnreadableFileError, InputError)) as error:
        known(*arguments, **named)
    line = str(error.value)
    assert line.isprintable() and len(line) < 500
    return line


def cells(grid):
    """Return the known cells as {(row, column): values}."""
    return {
        (int(row), int(column)): grid.values[row, column].tolist()
        for row, column in np.argwhere(grid.mask)
    }


def test_codes_of_any_precision_are_codes():
    units = facies([0.1, 0.3, 0.7])
    for kind in (np.float32, np.float64):
        values = np.full((5, 7), 0.2, kind)
        values[1, 2], values[3, 4] = 0.1, 0.7
        content = io.BytesIO()
        np.savez(content, values=values, mask=values != values[0, 0])
        found = cells(known(content.getvalue(), units=units))
        assert found == {
            (1, 2): pytest.approx([0.1]),
            (3, 4): pytest.approx([0.7]),
        }
    assert "no code" in refusal("x,y,value\n0,0,0.2\n", units=units)
    assert "no code" in refusal("x,y,value\n0,0,0.10001\n", units=units)


def test_x_is_the_column_and_y_the_row_from_the_upper_left():
    wanted = {(2, 6): [200.0], (4, 0): [0.0]}
    assert cells(known("x,y,value\n6,2,200\n0,4,0\n")) == wanted
    assert cells(known("row,column,value\n2,6,200\n4,0,0\n")) == wanted
    assert cells(known("value,col,row\n200,6,2\n0,0,4\n")) == wanted


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfx,y,value\r\n3,1,12.5\r\n",
        b"x;y;value\n3;1;12,5\n",
        "x\ty\tvalue\n3\t1\t12,5".encode("utf-16"),
        b'"X", "Y" ,"Value"\n\n"3","1",1.25D1\n',
        b"x,y,value\r3,1,125e-1\r",
        b"x,y,value\n3,1,12.5,,\n,,,\n",
        b"t\n4\nX\nY\nZ\nporosity\n3 3 0 12.5\n",
        b"t\r\n3\r\nxcoord\r\nycoord\r\nporosit\xe9\r\n3 3 12,5\r\n",
    ],
)
def test_files_of_many_editors(content):
    assert cells(known(content)) == {(1, 3): [12.5]}


def test_points_of_gslib_lie_in_the_coordinates_of_the_grid():
    geometry = Geometry(5, 7, cell=(10.0, 2.0), origin=(100.0, -1.0))
    text = "wells\n3\nx\ny\nv\n100 -1 5\n164.9 7.9 6\n114.9 0 7\n"
    grid = known(text, geometry=geometry)
    assert cells(grid) == {(4, 0): [5.0], (0, 6): [6.0], (3, 1): [7.0]}
    line = refusal("wells\n3\nx\ny\nv\n95 -2 5\n94 0 1\n", geometry=geometry)
    assert "line 7" in line and "x 95 to 165 and y -2 to 8" in line


def test_wells_of_the_case_are_placed():
    text = "2\n4\nX\nY\nZ\nporosity\n10.5 20.5 .5 .3\n30.5 12.5 .5 .1\n"
    geometry = Geometry(32, 32, origin=(0.5, 0.5))
    grid = known(text, geometry=geometry, units=Units("linear", (0.1, 0.3)))
    assert cells(grid) == {(11, 10): [0.3], (19, 30): [0.1]}


def test_colours():
    grid = known("x,y,r,g,b\n1,2,0,128,255\n", channels=3)
    assert cells(grid) == {(2, 1): [0.0, 128.0, 255.0]}
    assert cells(known("x,y,value\n1,2,9\n", channels=3)) == {(2, 1): [9.0] * 3}
    assert "3 values" in refusal("x,y,r,g,b\n1,2,0,128,255\n")


def test_errors_are_standard_deviations():
    grid = known("x,y,value,error\n1,2,9,2.5\n2,2,9,\n")
    assert grid.errors[2, 1] == 2.5 and np.isnan(grid.errors[2, 2])
    assert "below 0" in refusal("x,y,value,error\n1,2,9,-1\n")


def test_an_image_is_known_where_its_mask_is_white():
    levels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    mask = np.zeros((5, 7), np.uint8)
    mask[1, 2] = 255
    image, marks = io.BytesIO(), io.BytesIO()
    Image.fromarray(levels).save(image, "png")
    Image.fromarray(mask).save(marks, "png")
    grid = known(image.getvalue(), marks.getvalue())
    assert cells(grid) == {(1, 2): [9.0]}
    assert cells(known(image.getvalue(), marks.getvalue(), channels=3)) == {
        (1, 2): [9.0] * 3
    }
    assert "name its mask" in refusal(image.getvalue())
    black = io.BytesIO()
    Image.fromarray(mask * 0).save(black, "png")
    assert "black" in refusal(image.getvalue(), black.getvalue())


def png(array, form="png"):
    """Return the content of an image file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form)
    return stream.getvalue()


def test_an_image_of_native_values_keeps_them():
    white = png(np.full((5, 7), 255, np.uint8))
    deep = np.full((5, 7), 4860, np.uint16)
    bits = np.arange(35).reshape(5, 7) % 2 == 1
    real = np.linspace(0.1, 0.3, 35, dtype=np.float32).reshape(5, 7)
    for content, units, wanted in (
        (png(deep), Units("linear", (0.0, 65535.0), whole=True), deep),
        (png(bits), facies((0, 1)), bits),
        (png(real, "tiff"), Units("linear", (0.0, 1.0)), real),
    ):
        grid = known(content, white, units=units, levels=False)
        np.testing.assert_array_equal(grid.values[..., 0], wanted)
    assert known(png(deep), white).values[0, 0] == 19  # levels are of 8 bits
    assert known(png(bits), white).values[0, 1] == 255


def test_an_image_of_levels_is_stretched_as_training_images_were():
    white = png(np.full((5, 7), 255, np.uint8))
    deep = png(np.full((5, 7), 2048, np.uint16))
    scaling = Scaling(by_kind={"16-bit PNG": Range(0, 4095)})
    assert known(deep, white, scaling=scaling).values[0, 0] == 128


def test_the_column_of_a_point_set_is_chosen():
    wells = "wells\n5\nX\nY\nZ\nporosity\nFacies\n3 3 0 12.5 1\n"
    line = refusal(wells)
    assert "porosity, Facies" in line and "--config.variable" in line
    for named, value in (("porosity", 12.5), ("FACIES", 1.0)):
        assert cells(known(wells, variable=named)) == {(1, 3): [value]}
        assert cells(known(wells, usual=named)) == {(1, 3): [value]}
    assert "but 'porosity, Facies'" in refusal(wells, variable="permeability")
    assert "2 columns" in refusal(wells, usual="permeability")
    one = "wells\n3\neasting\nnorthing\nporosity\n3 3 12.5\n"
    assert cells(known(one, usual="permeability")) == {(1, 3): [12.5]}


@pytest.mark.parametrize(
    "content",
    [
        "wells\n3\nx\ny\nv\n1 2\n",
        "wells\n3\nx\ny\nv\n1 2 a\n",
        "wells\n2\nx\ny\n1 2\n",
        "2 2 1\n1\nv\n1\n2\n3\n4\n",
    ],
)
def test_a_refused_point_set_is_shown_a_point_set(content):
    line = refusal(content)
    assert "wells | 3 | X | Y | porosity" in line and "250 250 1" not in line


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


CONTENTS = {
    "csv": lambda: ("x,y,value\n" + "3,1,2\n" * 30_000, None),
    "errors": lambda: ("x,y,value,error\n" + "3,1,2,\n" * 30_000, None),
    "wide": lambda: (("x;y;value\n" + "3;1;2\n" * 30_000).encode("utf-16"), None),
    "points": lambda: ("wells\n3\nX\nY\nv\n" + "3 1 2\n" * 30_000, None),
    "8 bits": lambda: (
        stored(values=noise(300, 300), mask=noise(300, 300) > 9),
        None,
    ),
    "64 bits": lambda: (
        stored(values=noise(300, 300) / 3, mask=noise(300, 300) > 9),
        None,
    ),
    "error": lambda: (
        stored(
            values=noise(300, 300),
            mask=noise(300, 300) > 9,
            error=noise(300, 300),
        ),
        None,
    ),
    "image": lambda: (png(noise(300, 300)), png(noise(300, 300) > 9)),
    "colours": lambda: (png(noise(300, 300, 3)), png(noise(300, 300) > 9)),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_reader_takes_ten_times_the_file_at_most(tmp_path, kind):
    content, mask = CONTENTS[kind]()
    files, size = [], 0
    for name, each in (("known", content), ("mask", mask)):
        file = tmp_path / name
        if each is not None:
            file.write_bytes(each.encode() if isinstance(each, str) else each)
            files.append(file)
            size += file.stat().st_size
    read_known(*files)  # modules are imported
    tracemalloc.start()
    try:
        read_known(*files)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 10 * size


def stored(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_arrays():
    values, mask = np.full((5, 7), np.nan), np.zeros((5, 7), bool)
    values[3, 4], mask[3, 4] = 0.25, True
    unit = Units("linear", (0.0, 1.0))
    grid = known(stored(values=values, mask=mask), units=unit)
    assert cells(grid) == {(3, 4): [0.25]}
    mask[0, 0] = True
    assert "row 0, column 0" in refusal(stored(values=values, mask=mask), units=unit)
    assert "lacks" in refusal(stored(values=values))
    assert "shape" in refusal(stored(values=values, mask=mask[:2]))
    assert "not numbers" in refusal(stored(values=values.astype(str), mask=mask))
    assert "5x7" in refusal(
        stored(values=values, mask=values > 0), geometry=Geometry(6, 6)
    )
    objects = np.array([[object()]])
    assert "no .npz" in refusal(stored(values=objects, mask=objects))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x,y,value\n", "holds no point"),
        ("x,y,value\n6,2,200\n7,2,1\n", "line 3: the point x=7, y=2"),
        ("x,y,value\n6,-1,200\n", "line 2: the point x=6, y=-1"),
        ("x,y,value\n1e300,-1,200\n", "outside the grid of 5x7"),
        ("x,y,value\n1,1,256\n", "0 to 255"),
        ("x,y,value\n1,1,nan\n", "not a number"),
        ("x,y,value\n1,1,1e999\n", "not a number"),
        ("x,y,value\n1,1,1_0\n", "not a number"),
        ("x,y,value\n1,1\n", "line 2 has 2 columns"),
        ("x,y,value\n1,1,3\n1,1,4\n", "line 3: the point x=1, y=1 has the value 4"),
        ("x,y\n1,1\n", "no column of values"),
        ("x,y,value,depth\n1,1,1,1\n", "none of x, y"),
        ("a,b,value\n1,1,1\n", "where the points are"),
        ("x,y,row,value\n1,1,1,1\n", "both"),
        ("wells\n3\nx\ny\nv\n", "no values follow"),
        ("wells\n3\nx\ny\nv\n1 2\n", "line 6 has 2 values"),
        ("wells\n4\nx\ny\nv\nw\n1 2 3 4\n", "2 columns of values"),
        ("wells\n999999999999\nx\n", "line 2"),
        ("", "empty"),
        (b"\x00\x01", "neither text"),
        (b"PK\x03\x04", "no .npz"),
    ],
)
def test_the_first_bad_point_is_named(content, words):
    assert words in refusal(content)


def test_several_values_in_a_cell():
    text = "x,y,value,error\n1,1,10,1\n1.4,1.4,20,2\n1,2,10,1\n1,2.2,10,3\n"
    assert "snap=mean or nearest" in refusal(text)
    mean = known(text, snap="mean")
    assert cells(mean) == {(1, 1): [15.0], (2, 1): [10.0]}
    assert mean.errors[1, 1] == 1.5
    assert cells(known(text, snap="nearest")) == {(1, 1): [10.0], (2, 1): [10.0]}
    # Equal values are one.
    assert cells(known("x,y,value\n1,1,10\n1.2,1,10\n")) == {(1, 1): [10.0]}
    with pytest.raises(InputError, match="snap"):
        known(text, snap="median")


def test_the_commonest_code_of_a_cell_is_its_code():
    wells = "x,y,value,error\n1,1,20,1\n1,1,0,9\n1,1,20,3\n3,2,10,\n"
    wanted = {"units": facies((0, 10, 20)), "snap": "mean"}
    grid = known(wells, **wanted)
    assert cells(grid) == {(1, 1): [20.0], (2, 3): [10.0]}
    assert grid.errors[1, 1] == 2 and np.isnan(grid.errors[2, 3])
    line = refusal(wells + "3,2,20,\n", **wanted)
    assert "the cell at row 2, column 3" in line and "codes 10 and 20" in line
    assert "lines 5, 6" in line and "snap=nearest" in line


def test_codes_stay_codes():
    units = facies((0, 1, 3))
    text = "x,y,value\n1,1,0\n1,1,1\n1,1,1\n2,2,3\n"
    assert cells(known(text, units=units, snap="mean")) == {
        (1, 1): [1.0],
        (2, 2): [3.0],
    }
    assert "no code" in refusal("x,y,value\n1,1,2\n", units=units)


PIECES = (
    *("x", "y", "value", "error", "row", "r", ",", ";", "\t", "\n", "\r\n", " ", "3"),
    *("-1", "2.5", "1D5", "1e400", "nan", "\ufeff", "é", "wells\n3\nx\ny\nv\n", "\0"),
    *("x y value\n", "sep=;\n", "id", "3 1 1\n"),
    *("999999999", "0", '"', "x,y,value\n", "1,2,3\n", "4 4 7\n"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
ARRAYS = stored(values=np.ones((5, 7)), mask=np.ones((5, 7), bool))
contents = st.one_of(
    st.binary(max_size=200),
    texts.map(str.encode),
    texts.map(lambda text: text.encode("latin-1", "replace")),
    st.builds(
        lambda cut, at, byte: (ARRAYS[:at] + byte + ARRAYS[at + 1 :])[:cut],
        st.integers(0, len(ARRAYS)),
        st.integers(0, len(ARRAYS)),
        st.binary(min_size=1, max_size=1),
    ),
)


@settings(max_examples=400, deadline=None)
@given(contents, st.one_of(st.none(), st.binary(max_size=50)))
def test_any_content_is_read_or_refused(content, mask):
    try:
        found = read(content, mask)
        grid = placed(found, GRID, 1, LEVELS, "mean")
    except (UnreadableFileError, InputError) as error:
        assert "\n" not in str(error)  # the command line escapes the rest
        return
    assert isinstance(found, Points | KnownGrid)
    assert grid.mask.any() and np.isfinite(grid.values).all()
    assert not LEVELS.outside(grid.values).any()


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 6)),
        st.floats(0, 255),
        min_size=1,
    )
)
def test_points_come_back_where_they_were_written(points):
    csv = "".join(f"{x},{y},{value!r}\n" for (y, x), value in points.items())
    gslib = "".join(f"{x} {4 - y} {value!r}\n" for (y, x), value in points.items())
    for text in (f"x,y,value\n{csv}", f"t\n3\nX\nY\nv\n{gslib}"):
        assert cells(known(text)) == {place: [v] for place, v in points.items()}


@pytest.mark.parametrize(
    "content",
    [
        "x y value\n3 1 9\n",
        "x\ty   value\n3 1\t9\n",
        "x\t\ty\t\tvalue\n3\t\t1\t\t9\n",
        "row column value\n1 3 9\n",
        "id x y value\nA1 3 1 9\n",
        "well name;x;y;value\nB-1, north;3;1;9\n",
        "sep=;\nx;y;value\n3;1;9\n",
        "sep=;\r\nx;y;value\r\n3;1,0;9\r\n",
        'x,y,value\n3,"1,0","9,0"\n',
        '"x","y","value"\n3, 1, "9"\n',
        "Wells, east and west\n3 1 1\nX\nY\nv\n3 3 9\n",
        "x,y,value of the wells\n3\nX\nY\nv\n3 3 9\n",
        "wells\n4\nid\nEasting (m)\nNorthing (m)\nv\n7 3 3 9\n",
        "wells\n4\nX [m]\nY [m]\nDepth (m)\nv\n3 3 1200 9\n",
    ],
)
def test_the_first_lines_say_what_a_text_is(content):
    assert cells(known(content)) == {(1, 3): [9.0]}


def test_a_depth_is_known_where_it_is_named():
    wells = "wells\n3\nX\nY\nDepth (m)\n3 1 120\n"
    assert "no column of values" in refusal(wells)
    for choices in ({"variable": "depth (m)"}, {"usual": "Depth (m)"}):
        assert cells(known(wells, **choices)) == {(3, 3): [120.0]}
    beside = "wells\n4\nX\nY\nDepth\nv\n3 1 120 9\n"
    assert cells(known(beside, usual="Depth")) == {(3, 3): [9.0]}
    assert cells(known(beside, variable="Depth")) == {(3, 3): [120.0]}


def test_a_quoted_decimal_comma_is_a_number():
    units = Units("linear", (0.0, 9.0))
    assert cells(known('x,y,value\n3,1,"1,5"\n', units=units)) == {(1, 3): [1.5]}


def test_a_larger_size_is_named_where_it_would_hold_a_point():
    wells = "wells\n3\nX\nY\nv\n3 3 9\n249 199 9\n"
    points = read(wells)
    for content, resizable, wanted in (
        (wells, True, "--config.size=200x250, or place the grid with --config.grid"),
        (wells.replace("3 3 9", "-3 3 9"), True, "leave it out, or place the grid"),
        (wells, False, "leave it out, or place the grid"),
        (wells.replace("249", "1e9"), True, "leave it out, or place the grid"),
        ("x,y,value\n9,4,9\n", True, "--config.size=5x10"),
        ("x,y,value\n9,4,9\n", False, "from the upper left: leave it out"),
    ):
        with pytest.raises(UnreadableFileError) as error:
            placed(read(content), GRID, 1, LEVELS, "refuse", resizable)
        assert wanted in str(error.value), error.value
    assert cells(placed(points, Geometry(200, 250), 1, LEVELS, "refuse", True)) == {
        (196, 3): [9.0],
        (0, 249): [9.0],
    }


def test_grey_that_was_saved_in_colour_is_grey():
    levels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    mask = np.zeros((5, 7), np.uint8)
    mask[1, 2] = 255
    opaque = np.full_like(levels, 255)
    for channels in ([levels] * 3, [levels] * 3 + [opaque]):
        image = np.stack(channels, axis=-1)
        assert cells(known(png(image), png(mask))) == {(1, 2): [9.0]}
    image[1, 2, 0] += 1
    assert "3 channels" in refusal(png(image), png(mask))
    # Colours where nothing is known do not matter.
    image[1, 2, 0] -= 1
    image[0, 0, 0] += 1
    assert cells(known(png(image), png(mask))) == {(1, 2): [9.0]}


def test_a_mask_may_be_of_0_and_1():
    levels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    mask = np.zeros((5, 7), np.uint8)
    mask[1, 2] = 1
    assert cells(known(png(levels), png(mask))) == {(1, 2): [9.0]}
    mask[0, 0] = 2  # dark
    assert "black" in refusal(png(levels), png(mask))
    assert "5x7 (height x width)" in refusal(png(levels), png(mask[1:]))


def test_known_pixels_that_are_all_white_equal_their_mask():
    image = np.zeros((5, 7), np.uint8)
    image[1, 2] = 255
    assert cells(known(png(image), png(image))) == {(1, 2): [255.0]}


def test_masks_of_arrays():
    values, mask = np.zeros((5, 7)), np.zeros((5, 7, 1))
    values[3, 4], mask[3, 4] = 9, 1
    assert cells(known(stored(values=values, mask=mask))) == {(3, 4): [9.0]}
    mask[0, 0] = np.nan
    assert "mask has NaN" in refusal(stored(values=values, mask=mask))
    stream = io.BytesIO()
    np.save(stream, values)
    assert ".npz file, np.savez" in refusal(stream.getvalue())


@given(
    st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)),
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
)
@settings(max_examples=30, deadline=None)
def test_a_written_grid_is_read_where_it_lies(cell, origin):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "grid.gslib")
        with path.open("wb") as file:
            grid = Geometry(2, 3, cell, origin)
            write_grids(file.write, grid, "v", 1, iter(rows[:, None]))
        table = read_table(str(path), "known")
    assert table.size == (3, 2, 1) and table.cell == (*cell, 1.0)
    np.testing.assert_allclose(table.origin[:2], origin, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(table.values.ravel(), rows.ravel())


def test_a_plain_grid_has_a_plain_first_line():
    written = []
    grid = Geometry(1, 2, origin=(0.5, 0.5))
    write_grids(written.append, grid, "v", 1, iter([np.uint8([[3, 4]])]))
    assert b"".join(written) == b"2 1 1\n1\nv1\n3\n4\n"
