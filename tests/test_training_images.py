"""Training images: dialects and which way y runs, variables, gaps, scales, crops."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.formats import recognise
from gan_jax.data.datasets.training_images import (
    Choices,
    embedded_crops,
    read_crops,
    read_training_image,
)
from gan_jax.data.grids import gaps, geometry
from gan_jax.data.grids.channels import channels
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.units import from_json, of_image
from gan_jax.data.grids.volumes import axis_of

# No row, no column and no turn of it looks like another.
IMAGE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]) / 2
UPWARDS = IMAGE[::-1].ravel()  # from the lower left cell on


def rows(values):
    return "".join(f"{value}\n" for value in values)


def geone(order, values, size=(3, 4, 1)):
    x, y, z = size
    return (
        f"# NX {x}\n# NY {y}\n# NZ {z}\n# SX 2.0\n# SY 4.0\n# SZ 8.0\n"
        f"# OX 10.0\n# OY 20.0\n# OZ 30.0\n# SORTING {order}\nv\n{rows(values)}"
    )


def write(tmp_path, content, name="image.txt"):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)
    return str(path)


def read(tmp_path, content, name="image.txt", **choices):
    return read_training_image(write(tmp_path, content, name), Choices(**choices))


def refused(tmp_path, content, reason, name="image.txt", size=16, **choices):
    path = write(tmp_path, content, name)
    with pytest.raises(InputError, match=reason) as caught:
        read_crops(path, size, 10, Choices(**choices))
    assert "\n" not in str(caught.value) and path in str(caught.value)


# y is up in tables, and row 0 of an image is its upper one: GSLIB's manual, section
# II.1.2; `Img` of geone's img.py; `oneDTo3D` of MPSlib's Utility.cpp.
@pytest.mark.parametrize(
    ("content", "cell", "origin"),
    [
        ("3 4 1\n1\nv\n" + rows(UPWARDS), (1, 1), (0.5, 0.5)),  # SGeMS, MPSlib
        ("3 4 1\n1\nv\n" + rows(UPWARDS).replace("\n", " "), (1, 1), (0.5, 0.5)),
        ("grid (3x4x1)\n1\nv\n" + rows(UPWARDS), (1, 1), (0.5, 0.5)),
        (
            "SGSIM Realizations\n 1 3 4 1 11. 22. .5 2. 4. 1. 1\nv\n" + rows(UPWARDS),
            (2, 4),
            (11, 22),
        ),
        ("3 4 1 2 4 1 10 20 0\n1\nv\n" + rows(UPWARDS), (2, 4), (11, 22)),
        (geone("+X+Y+Z", UPWARDS), (2, 4), (11, 22)),
        (geone("+X-Y+Z", IMAGE.ravel()), (2, 4), (11, 22)),
        (geone("-X-Y", IMAGE[:, ::-1].ravel()), (2, 4), (11, 22)),
        (geone("+Y+X", IMAGE[::-1].T.ravel()), (2, 4), (11, 22)),
    ],
)
def test_the_last_row_of_a_table_is_the_upper_one(tmp_path, content, cell, origin):
    found = read(tmp_path, content)
    np.testing.assert_array_equal(found.values, IMAGE)
    assert found.geometry == Geometry(4, 3, cell, origin)
    assert found.chosen.units.scale == "linear"
    # A point in the upper left cell is in row 0 and column 0 of the image.
    x, y = origin[0], origin[1] + 3 * cell[1]
    at = found.geometry.cells(np.array([x * 1.0]), np.array([y * 1.0]))
    assert [int(place[0]) for place in at] == [0, 0]


def test_the_first_row_of_an_array_is_the_upper_one(tmp_path):
    for name, save in (("a.npy", np.save), ("a.npz", np.savez)):
        save(tmp_path / name, IMAGE)
        found = read_training_image(str(tmp_path / name))
        np.testing.assert_array_equal(found.values, IMAGE)
        assert found.geometry == Geometry(4, 3, (1, 1), (0.5, 0.5))
        assert recognise(str(tmp_path / name)) == "training_image"
    np.savez(tmp_path / "b.npz", v=IMAGE, w=IMAGE + 1)
    with pytest.raises(InputError, match=r"has the arrays v, w: choose"):
        read_training_image(str(tmp_path / "b.npz"))
    found = read_training_image(str(tmp_path / "b.npz"), Choices(variable="w"))
    np.testing.assert_array_equal(found.values, IMAGE + 1)


@pytest.mark.parametrize(
    ("name", "dtype", "scale"),
    [
        ("a.png", np.uint8, 10),
        ("a.png", np.uint16, 1000),
        ("a.tif", np.float32, -0.25),
        ("a.tif", np.int32, -100_000),
        ("a.tiff", np.uint8, 2),
    ],
)
def test_an_image_keeps_its_numbers(tmp_path, name, dtype, scale):
    values = (IMAGE * 2 * scale).astype(dtype)
    Image.fromarray(values).save(tmp_path / name)
    found = read_training_image(str(tmp_path / name))
    np.testing.assert_array_equal(found.values, values)
    assert recognise(str(tmp_path / name)) == "training_image"
    assert found.chosen.units.low == values.min()
    assert found.chosen.units.high == values.max()


def test_an_image_of_colours_is_none(tmp_path):
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(
        tmp_path / "a.png"
    )
    with pytest.raises(InputError, match="no single numbers"):
        read_training_image(str(tmp_path / "a.png"))
    grey = np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4, 1), 3, axis=-1)
    Image.fromarray(grey).save(tmp_path / "a.png")
    found = read_training_image(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(found.values, grey[..., 0])


# Layers and sections


def test_a_layer_is_chosen_from_the_lowest_on(tmp_path):
    layers = np.arange(24.0).reshape(2, 4, 3)  # z, y, x upwards
    content = "3 4 2\n1\nv\n" + rows(layers.ravel())
    for layer in (1, 2):
        found = read(tmp_path, content, layer=layer)
        np.testing.assert_array_equal(found.values, layers[layer - 1, ::-1])
    refused(
        tmp_path, content, r"has 2 layers: choose one .*data.layer, from 1, the low"
    )
    refused(tmp_path, content, "has 2 layers: choose", layer=3)
    np.save(tmp_path / "a.npy", layers)
    found = read_training_image(str(tmp_path / "a.npy"), Choices(layer=2))
    np.testing.assert_array_equal(found.values, layers[1])
    assert recognise(str(tmp_path / "a.npy")) == "arrays"
    assert recognise(str(tmp_path / "a.npy"), grid=True) == "training_image"


def test_realisations_one_after_the_other_are_layers(tmp_path):
    content = "SGSIM\n 1 3 2 1 .5 .5 .5 1. 1. 1. 3\nv\n" + rows(range(18))
    refused(tmp_path, content, "has 3 layers")
    found = read(tmp_path, content, layer=3)
    np.testing.assert_array_equal(found.values, [[15, 16, 17], [12, 13, 14]])


def test_the_height_of_a_section_is_z(tmp_path):
    along_x = geone("+X+Y+Z", UPWARDS, (3, 1, 4))
    along_y = geone("+X+Y+Z", UPWARDS, (1, 3, 4))
    for content, cell, origin in (
        (along_x, (2, 8), (11, 34)),
        (along_y, (4, 8), (22, 34)),
    ):
        found = read(tmp_path, content)
        np.testing.assert_array_equal(found.values, IMAGE)
        assert found.geometry == Geometry(4, 3, cell, origin)
        refused(tmp_path, content, "is a vertical section of 4x3 cells", layer=1)


# Variables


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        *(("x", 0), ("X", 0), ("Easting", 0), ("xcoord", 0), ("X_m", 0), ("lon", 0)),
        *(("y", 1), ("Y [m]", 1), ("northing", 1), ("latitude", 1), ("utm_y", 1)),
        *(("Easting (m)", 0), ("Northing (m)", 1), ("Depth (m)", 2), ("X [m]", 0)),
        *(("z", 2), ("iz", 2), ("Z-coordinate", 2), ("xx", 0)),
        *((name, None) for name in ("k", "facies", "phi", "value", "yield", "e", "n")),
    ],
)
def test_coordinates_are_known_by_name(name, axis):
    assert axis_of(name) == axis


def columns(*values):
    return "".join(" ".join(map(str, row)) + "\n" for row in zip(*values, strict=True))


X, Y = np.tile([10, 12, 14], 4), np.repeat([20, 24, 28, 32], 3)


@pytest.mark.parametrize("head", ["3 4 1\n", "a title\n"])
def test_coordinates_are_not_trained_on_and_place_the_cells(tmp_path, head):
    order = np.random.default_rng(0).permutation(12)
    flat = np.full(12, 0.5)
    content = f"{head}4\nX\nY\nZ\nv\n" + columns(
        X[order], Y[order], flat, UPWARDS[order]
    )
    found = read(tmp_path, content)
    np.testing.assert_array_equal(found.values, IMAGE)
    assert found.geometry == Geometry(4, 3, (2, 4), (10, 20))
    assert "variable v is used; X, Y, Z look like coordinates" in found.notes[0]
    assert found.variable == "v"
    np.testing.assert_array_equal(
        read(tmp_path, content, variable="x").values, [[10, 12, 14]] * 4
    )


def test_the_depth_of_a_surface_is_trained_on_if_it_is_named(tmp_path):
    content = "a title\n3\nX [m]\nY [m]\nDepth (m)\n" + columns(X, Y, UPWARDS)
    refused(tmp_path, content, "has coordinates alone")
    found = read(tmp_path, content, variable="depth (m)")
    np.testing.assert_array_equal(found.values, IMAGE)
    assert found.geometry == Geometry(4, 3, (2, 4), (10, 20))


def test_cells_that_no_row_is_for_hold_no_value(tmp_path):
    content = "points\n3\nX\nY\nv\n" + columns(X[1:], Y[1:], UPWARDS[1:])
    found = read(tmp_path, content)
    expected = IMAGE.copy()
    expected[-1, 0] = np.nan
    np.testing.assert_array_equal(found.values, expected)
    twice = columns(X[[0, *range(12)]], Y[[0, *range(12)]], UPWARDS[[0, *range(12)]])
    refused(tmp_path, "points\n3\nX\nY\nv\n" + twice, "states no numbers of cells")


def test_columns_of_a_lattice_are_recognised_without_a_name(tmp_path):
    content = "3 4 1\n4\na\nb\nnumber\nv\n" + columns(X, Y, range(12), UPWARDS**2)
    found = read(tmp_path, content)
    np.testing.assert_array_equal(found.values, IMAGE**2)
    assert "a, b, number look like coordinates" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "values", "reason"),
    [
        (
            "X Y v w",
            (X, Y, UPWARDS**2, UPWARDS**3),
            r"2 variables beside coordinates \(X, Y\), v, w: choose one .*variable=v",
        ),
        ("v w", (UPWARDS**2, UPWARDS**3), "has 2 variables, v, w: choose"),
        ("X Y", (X, Y), r"has coordinates alone \(X, Y\)"),
    ],
)
def test_several_variables_are_listed(tmp_path, names, values, reason):
    head = "3 4 1\n" + "\n".join([str(len(names.split())), *names.split()]) + "\n"
    refused(tmp_path, head + columns(*values), reason)
    refused(
        tmp_path,
        head + columns(*values),
        "no variable 'V2'.*it has",
        variable="V2",
    )


def test_a_table_without_a_grid_is_refused_with_an_example(tmp_path):
    wells = "wells\n3\nx\ny\nv\n1.5 2 3\n7 1 4\n2 9.5 1\n"
    refused(tmp_path, wells, r"must be like 250 250 1 \| 1 \| facies")
    refused(tmp_path, wells, "that its 3 rows are of, e.g. --config.data.grid=250x250")


# What the programs of SNESIM write: `WRITE(lout,110)` of snesim.f.
SNESIM = "SNESIM Realizations\n2\ncategory\nnumber of CD retained\n"


def test_a_table_without_a_grid_may_be_given_one(tmp_path):
    content = SNESIM + columns(UPWARDS, np.arange(12) % 5)
    for grid in ("4x3", "3,4,1"):
        found = read(tmp_path, content, "a.out", variable="category", grid=grid)
        np.testing.assert_array_equal(found.values, IMAGE)
        assert found.geometry == Geometry(4, 3, origin=(0.5, 0.5))
    refused(tmp_path, content, r"12 rows are of, e\.g\. --config\.data\.grid=250x250")
    square = SNESIM + columns(UPWARDS[:9], np.arange(9) % 5)
    refused(tmp_path, square, r"9 rows are of, e\.g\. --config\.data\.grid=3x3")
    stated = "3 4 1\n1\nv\n" + rows(UPWARDS)
    np.testing.assert_array_equal(read(tmp_path, stated, grid="4x3").values, IMAGE)


def test_realisations_of_a_given_grid_are_layers(tmp_path):
    content = SNESIM + columns(
        np.concatenate([UPWARDS, UPWARDS + 1]), np.arange(24) % 5
    )
    for layer in (1, 2):
        for grid in ("4x3", "3,4,1", "3,2,2"):
            found = read(tmp_path, content, variable="category", grid=grid, layer=layer)
            if grid != "3,2,2":
                np.testing.assert_array_equal(found.values, IMAGE + layer - 1)
    lowest = read(tmp_path, content, variable="category", grid="3,2,2", layer=1)
    np.testing.assert_array_equal(lowest.values, IMAGE[2:])


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        ("5x3", "has 12 rows, and grids of --config.data.grid=5x3 have 15 each"),
        ("3", "has 12 rows, and grids of --config.data.grid=3 have 9 each"),
        ("0,3,4", "have 0 each"),
        ("5", "has 12 rows, and grids of --config.data.grid=5 have 25 each"),
        *(
            (grid, f"data.grid '{grid}' is neither height x width, such as 250x300")
            for grid in ("0x3", "4,3", "3,4,1,1", "3x4x1", "1_0x1", "-3x4", " ")
        ),
    ],
)
def test_a_grid_that_is_not_the_tables_is_refused(tmp_path, grid, reason):
    path = write(tmp_path, SNESIM + columns(UPWARDS, UPWARDS))
    with pytest.raises(InputError, match=reason) as caught:
        read_training_image(path, Choices(grid=grid))
    assert "\n" not in str(caught.value)


def test_a_grid_beside_another_one_is_refused(tmp_path):
    content = "3 4 1\n1\nv\n" + rows(UPWARDS)
    refused(tmp_path, content, "states 3,4,1 cells .* 4,3,1: leave it out", grid="3x4")
    np.save(tmp_path / "a.npy", IMAGE)
    with pytest.raises(InputError, match="an array or an image"):
        read_training_image(str(tmp_path / "a.npy"), Choices(grid="4x3"))


# Cells without a value


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("code", [*gaps.CODES, np.nan, np.inf, -np.inf])
def test_codes_beyond_the_values_are_gaps(code, kind):
    values = np.array([[0.25, 1.5], [3.0, code]], kind)
    found = gaps.fill_gaps(values, None)
    np.testing.assert_array_equal(values, [[0.25, 1.5], [3.0, np.nan]])
    assert found == pytest.approx([code] if np.isfinite(code) else [], rel=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 5000, 9999], [0, 5000, 9999]),  # within the range
        ([-99, 0, 100], [-99, 0, 100]),  # nearer than the range
        ([-99, 0, 99], [np.nan, 0, 99]),
        ([-999, -99, 0, 1], [np.nan, np.nan, 0, 1]),
        ([-99, 0, 100, 1e30], [-99, 0, 100, np.nan]),
        ([-99, 9999], [-99, 9999]),  # nothing else is there
        ([0, 1, 2e30], [0, 1, 2e30]),
    ],
)
def test_values_like_codes_are_kept(values, expected):
    cells = np.array(values, np.float64)
    gaps.fill_gaps(cells, None)
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_codes_that_no_value_can_have_are_not_found(kind):
    most = float(np.finfo(kind).max)
    for codes, gone in (
        ((1e39, -1e39), []),
        ((1e300, np.inf, np.nan), []),
        ((most,), [most]),
        ((-1e38,), [-1e38]),
    ):
        values = np.array([0, 1, -1e38, most], kind)
        assert gaps.fill_gaps(values, codes) == gone
        assert np.isnan(values).sum() == len(gone)


def test_codes_are_chosen(tmp_path):
    content = "3 4 1\n1\nv\n" + rows(UPWARDS)
    found = read(tmp_path, content, no_data="0.5,6")
    assert np.isnan(found.values).sum() == 2
    assert "2 cells (16.7%) have no value (0.5, 6)" in found.notes[0]
    gap = content.replace("0.5\n", "-999\n")
    assert np.isnan(read(tmp_path, gap).values).sum() == 1
    assert read(tmp_path, gap, no_data="none").values.min() == -999
    for text in ("a", "1_0", "1,,2", "1 2"):
        with pytest.raises(InputError, match=r"neither numbers .* nor none"):
            gaps.parse(text, "data.no_data")
    assert gaps.parse("-1, 1d3", "data.no_data") == (-1, 1000)
    nothing = "3 1 1\n1\nv\n0\n0\n-99\n"
    refused(tmp_path, nothing, r"but for cells without a value \(-99; .*=none keeps")


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from(["scattered", "block", "column"]),
)
@settings(deadline=None, max_examples=40)
def test_no_crop_touches_a_gap(tmp_path_factory, seed, number, kind):
    draw = np.random.default_rng(seed)
    image = draw.permutation(60 * 90).reshape(60, 90).astype(np.float32)
    if kind == "scattered":
        image.flat[draw.integers(image.size, size=number)] = np.nan
    elif kind == "block":
        top, left = draw.integers(60), draw.integers(90)
        image[top : top + number, left : left + 2 * number] = np.nan
    else:
        image[:, draw.integers(90)] = np.nan
    path = tmp_path_factory.mktemp("gaps") / "a.npy"
    np.save(path, image)
    size = 12
    holes = np.isnan(image)
    windows = np.lib.stride_tricks.sliding_window_view(holes, (size, size))
    lefts = np.flatnonzero((~windows.any(axis=(2, 3))).any(axis=0))
    try:
        found = read_crops(str(path), size, 40)
    except InputError as error:
        assert "have no value" in str(error)
        assert not lefts.size or lefts[-1] < lefts[0] + size
        return
    levels = found.units.levels(image)
    views = np.lib.stride_tricks.sliding_window_view(levels, (size, size))
    free = {crop.tobytes() for crop in views[~windows.any(axis=(2, 3))]}
    assert found.test is not None
    crops = [*found.train.images, *found.test.images]
    assert {crop.tobytes() for crop in crops} <= free


# Scales


def test_facies_keep_their_codes(tmp_path):
    draw = np.random.default_rng(0)
    image = draw.choice([0, 2, 7], p=[0.5, 0.3, 0.2], size=(40, 80))
    np.save(tmp_path / "a.npy", image)
    found = read_crops(str(tmp_path / "a.npy"), 16, 20)
    assert found.units.codes == (0, 2, 7) and found.units.whole
    np.testing.assert_allclose(
        found.proportions, [(image == code).mean() for code in (0, 2, 7)]
    )
    assert set(np.unique(found.train.images)) == {0, 128, 255}
    native = found.units.rounded(found.units.native(found.train.images / 127.5 - 1))
    assert set(np.unique(native)) == {0, 2, 7}
    found = read_crops(str(tmp_path / "a.npy"), 16, 20, Choices(scale="linear"))
    assert found.units.knots == (0, 7) and found.proportions == ()
    assert from_json(found.units.as_json()) == found.units


def test_a_skewed_property_is_scaled_by_logarithm_or_rank():
    draw = np.random.default_rng(0)
    image = np.exp(draw.normal(0, 1, (40, 80)))
    assert of_image(image, "", "s").units.scale == "linear"
    image[3, 3] = 1e6
    chosen = of_image(image, "", "data.scale")
    assert chosen.units.scale == "log"
    assert "99% of the cells on 1 of 256 levels: scaled by log" in chosen.reason
    levels = chosen.units.levels(image)
    assert len(np.unique(levels)) > 50
    shifted = of_image(image - 1, "", "data.scale")
    assert shifted.units.scale == "rank" and "scaled by rank" in shifted.reason
    counts = np.bincount(shifted.units.levels(image - 1).ravel(), minlength=256)
    assert counts.max() < 0.02 * image.size
    for scale in ("linear", "log", "rank"):
        assert of_image(image, scale, "data.scale").units.scale == scale
    with pytest.raises(InputError, match="needs values above 0"):
        of_image(image - 1, "log", "data.scale")
    with pytest.raises(InputError, match="256 distinct values"):
        of_image(image, "codes", "data.scale")
    with pytest.raises(InputError, match=r"data.scale 'cubic' is unknown; known: lin"):
        of_image(image, "cubic", "data.scale")


def test_a_scale_is_changed_only_where_that_helps():
    draw = np.random.default_rng(0)
    image = np.zeros((50, 80))
    image.flat[:400] = 1
    image.flat[:20] = draw.uniform(1, 2, 20)
    chosen = of_image(image, "", "data.scale")
    assert chosen.units.knots == (0, image.max())
    assert chosen.reason == (
        f"a linear scale from 0 to {image.max():g} puts 99% of the cells on 2 of 256 "
        "levels, and ranks do as well: the scale stays linear"
    )
    image.flat[:800] = np.exp(draw.normal(0, 3, 800))
    chosen = of_image(image, "", "data.scale")
    assert chosen.units.scale == "rank" and len(chosen.units.knots) == 53
    levels = chosen.units.levels(image)
    assert (levels == 0).mean() == pytest.approx(0.8, abs=0.01)
    others = np.histogram(levels[levels > 0], 8, (0, 256))[0]
    assert others.min() > 85 and others.max() < 115


def test_nearly_all_cells_on_one_level_need_a_key():
    draw = np.random.default_rng(0)
    image = np.zeros((50, 80))
    image.flat[:100] = draw.uniform(1, 2, 100)
    with pytest.raises(InputError, match=r"97.5% of the cells.*data.no_data=0") as no:
        of_image(image, "", "data.scale")
    assert "--config.data.scale=linear" in str(no.value) and "\n" not in str(no.value)
    assert of_image(image, "linear", "data.scale").units.knots == (0, image.max())
    image.flat[:400] = draw.uniform(1, 2, 400)
    assert of_image(image, "", "data.scale").units.scale != "codes"


def test_a_value_that_is_seen_once_is_no_facies():
    image = np.random.default_rng(0).integers(2, size=(40, 80)).astype(float)
    image[0, 0] = 0.5
    assert of_image(image, "", "data.scale").units.scale == "linear"
    assert of_image(image, "codes", "data.scale").units.codes == (0, 0.5, 1)
    image[0, 0] = 1e6  # a linear scale would lose the facies
    assert of_image(image, "", "data.scale").units.codes == (0, 1, 1e6)


# Memory


@pytest.mark.parametrize(
    "content",
    [
        b"1000 500 1\n1\nv\n" + b"0\n1\n" * 250_000,
        b"1000 500 1\n1\nv\n" + b"0\n-99\n1\n2\n" * 125_000,
        b"1000 250 1\n3\nX\nY\nv\n"
        + columns(
            np.tile(np.arange(1000), 250),
            np.repeat(np.arange(250), 1000),
            np.arange(250_000) % 7,
        ).encode(),
    ],
)
def test_an_image_takes_ten_times_the_size_of_its_file(tmp_path, content):
    path = write(tmp_path, content)
    tracemalloc.start()
    try:
        read_training_image(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(content)


# Geometry in a summary


def test_a_geometry_is_kept():
    grid = Geometry(4, 3, (2.0, 4.0), (10.0, -20.0))
    assert geometry.from_json({"name": "a", **grid.as_json()}) == grid
    assert geometry.from_json({"name": "a"}) is None
    for change in (
        {"cell": None},
        {"cell": [0, 1]},
        {"grid": [1.5, 2]},
        {"origin": [float("nan"), 1]},
        {"origin": [10**400, 1]},
        {"grid": "ab"},
    ):
        with pytest.raises(ValueError, match="two numbers of a grid"):
            geometry.from_json({**grid.as_json(), **change})


# The embedded training image


def test_channels_cross_the_field():
    image = channels()
    assert image.shape == (250, 250) and set(np.unique(image)) == {0, 1}
    assert image.mean() == 0.28
    # The same everywhere, so that published runs can be repeated.
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    assert digest.startswith("786b128504d95629")
    bodies, _ = ndimage.label(image)
    sizes = np.bincount(bodies.ravel())[1:]
    assert sizes.max() < 0.5 * image.sum()  # not all of one body
    crossing = set(bodies[:, 0]) & set(bodies[:, -1]) - {0}
    assert len(crossing) >= 3
    assert sizes[[body - 1 for body in crossing]].sum() > 0.95 * image.sum()
    steps = np.diff(np.pad(image.astype(int), ((1, 1), (0, 0))), axis=0)
    tops, ends = np.nonzero(steps.T == 1), np.nonzero(steps.T == -1)
    widths = ends[1] - tops[1]
    assert 6 <= np.median(widths) <= 10


def test_crops_of_channels():
    found = embedded_crops(32, 40)
    assert found.train.name == "channels" and found.train.shape == (32, 32, 1)
    assert found.units.codes == (0, 1) and found.proportions == (0.72, 0.28)
    assert found.geometry == Geometry(250, 250, (1, 1), (0.5, 0.5))
    with pytest.raises(InputError, match="training image channels has 250x250 cells"):
        embedded_crops(200)
