"""Generation behind the page: the numbers of `generate`, files, and what is refused."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_jax.apps.generate import run as generate
from gan_jax.apps.generate.prior import open_source
from gan_jax.apps.serve.model import Session
from gan_jax.apps.serve.models.drawings import Drawing
from gan_jax.apps.serve.models.generation import (
    COUNT,
    Generation,
    open_generation,
)
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.known import read_known
from gan_jax.data.grids.points import KnownGrid, placed
from gan_jax.data.grids.units import LEVELS, Units, facies
from gan_jax.report.files import encode_png
from tests.page.asking import as_file, asked, file_of
from tests.runs import kept, smoke

SIZE = Size(28, 28)
PIXELS = {(5, 14): 255, (14, 14): 0, (20, 9): 200}


@pytest.fixture(scope="module")
def digits():
    return open_generation("digits", "run")


@pytest.fixture(scope="module")
def source():
    config = defaults.realisation("generate")
    config.prior = "digits"
    return open_source(config)


def of_units(source, units):
    """The answers of a run whose data have other units."""
    config = defaults.realisation("generate")
    config.size = str(SIZE)
    return Generation("run", config, source._replace(units=units)).model()


def arrays(pixels, size=SIZE, channels=1):
    values = np.zeros((*size, channels), np.float32)
    mask = np.zeros(size, np.uint8)
    for at, value in pixels.items():
        values[at], mask[at] = value, 1
    return {"values": values, "mask": mask}


def draw(model, pixels, session=None, seed=3):
    given = session or Session()
    return asked(model, given, "draw", arrays(pixels), seed=seed)


def test_what_the_page_is_told(digits):
    assert digits.kind == "generation"
    assert digits.entries["size"] == [28, 28] and digits.entries["channels"] == 1
    units = {"low": 0, "high": 255, "whole": True, "codes": [], "name": ""}
    assert digits.entries["units"] == units
    assert digits.entries["conditional"] is True
    assert ["Precision", "0.724"] in digits.entries["figures"]
    assert Image.open(io.BytesIO(digits.plate)).format == "PNG"


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """A drawing, and the files of `generate` for the same pixels and seed."""
    session = Session()
    answer = draw(digits, PIXELS, session)
    place = tmp_path_factory.mktemp("made")
    (place / "known.csv").write_bytes(file_of(digits, session, "known", "csv")[2])
    config = defaults.realisation("generate")
    config.prior, config.count, config.seed = "digits", COUNT, 3
    config.known = str(place / "known.csv")
    summary = generate.run(config, place / "out")
    folder = place / "out" / "realisations" / "known"
    return session, answer, summary, folder


def test_the_realisations_are_those_of_generate(digits, made):
    session, answer, summary, folder = made
    name, media, content = file_of(digits, session, "realisations", "npz")
    assert (name, media) == ("realisations.npz", "application/zip")
    with np.load(io.BytesIO(content)) as saved, np.load(folder / name) as written:
        assert saved.files == written.files
        for array in saved.files:
            assert saved[array].dtype == written[array].dtype
            np.testing.assert_array_equal(saved[array], written[array])
        images = saved["realisations"]
    np.testing.assert_array_equal(answer.arrays["images"][..., 0], images)
    assert answer.entries["honoured"] == summary["metrics"]["honoured"]
    with np.load(folder / "statistics.npz") as written:
        mean, spread = written["mean"], written["spread"]
    assert np.abs(answer.arrays["mean"][..., 0] - mean).max() <= 0.51
    largest = answer.entries["spread_largest"]
    assert largest == pytest.approx(spread.max(), rel=1e-6)
    shown = answer.arrays["spread"][..., 0] / 255 * largest
    assert np.abs(shown - spread).max() <= largest / 255


def test_a_missed_value_is_marked_where_it_is_missed(made):
    _, answer, _, _ = made
    images = answer.arrays["images"][..., 0].astype(float)
    wanted = np.zeros_like(images)
    for at, value in PIXELS.items():
        wanted[:, at[0], at[1]] = np.abs(images[:, at[0], at[1]] - value) > 25.5
    np.testing.assert_array_equal(answer.arrays["missed"], wanted)
    share = 1 - wanted.sum() / (len(PIXELS) * COUNT)
    assert answer.entries["honoured"] == pytest.approx(share)


def test_latents_stay_while_one_draws(digits):
    before = draw(digits, PIXELS).arrays["images"].astype(int)
    same = draw(digits, PIXELS).arrays["images"]
    moved = draw(digits, {**PIXELS, (20, 9): 190}).arrays["images"]
    others = draw(digits, PIXELS, seed=4).arrays["images"]
    np.testing.assert_array_equal(before, same)
    assert 0 < np.abs(before - moved).mean() < np.abs(before - others).mean() / 2


def test_nothing_known_is_drawn_too(digits):
    answer = draw(digits, {})
    assert answer.entries["honoured"] is None
    assert not answer.arrays["missed"].any()
    assert answer.arrays["images"].std() > 10


def test_nothing_is_compiled_while_one_draws(digits, compilations):
    for at in range(6):
        session = Session()
        draw(digits, {(at, at): 10 * at, (20, at): 5}, session, seed=at)
        draw(digits, {}, session, seed=at)
        file_of(digits, session, "realisations", "png")
    assert not compilations


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": np.full((28, 28, 1), 300, np.float32)}, "outside the range"),
        ({"values": np.full((28, 28, 1), np.nan, np.float32)}, "not a finite number"),
        ({"values": np.zeros((28, 28), np.float32)}, "needs the array values"),
        ({"values": np.zeros((27, 28, 1), np.float32)}, "needs the array values"),
        ({"values": np.zeros((28, 28, 1), np.uint8)}, "needs the array values"),
        ({"mask": np.zeros((28, 29), np.uint8)}, "needs the array mask"),
    ],
)
def test_what_is_no_drawing_is_refused(digits, change, reason):
    given = {**arrays({(3, 4): 0}), **change}
    with pytest.raises(InputError, match=reason):
        asked(digits, Session(), "draw", given, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, True, None, "1"])
def test_a_seed_is_a_whole_number(digits, seed):
    with pytest.raises(InputError, match="seed"):
        asked(digits, Session(), "draw", arrays(PIXELS), seed=seed)


def read(model, content, mask=None, name="known.csv"):
    given = {"content": as_file(content)}
    if mask is not None:
        given["mask_content"] = as_file(mask)
    answer = asked(model, Session(), "read", given, name=name)
    values, known = answer.arrays["values"], answer.arrays["mask"]
    assert (values.dtype, known.dtype) == (np.float32, np.uint8)
    return {(int(y), int(x)): values[y, x].tolist() for y, x in np.argwhere(known)}


FOUND = {at: [float(value)] for at, value in PIXELS.items()}


def npz(**content):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return buffer.getvalue()


def test_files_of_every_form_are_read(digits):
    levels, mask = np.zeros((28, 28, 1), np.uint8), np.zeros((28, 28, 1), np.uint8)
    for at, value in PIXELS.items():
        levels[at], mask[at] = value, 255
    seen = np.concatenate([levels, levels, levels, mask], axis=-1)
    points = "\n".join(f"{x},{y},{value}" for (y, x), value in PIXELS.items())
    wells = "\n".join(f"{x} {27 - y} {value}" for (y, x), value in PIXELS.items())
    for content in (
        f"x,y,value\n{points}\n".encode(),
        f"wells\n3\nX\nY\nv\n{wells}\n".encode(),
        npz(values=levels, mask=mask > 0),
        encode_png(seen),
    ):
        assert read(digits, content) == FOUND
    assert read(digits, levels, mask) == FOUND


@pytest.mark.parametrize(
    ("content", "mask", "reason"),
    [
        (b"", None, "the file is empty"),
        (b"x,y,value\n30,2,9\n", None, r"line 2: .* outside the grid of 28x28"),
        (b"x,y,value\n3,2,nine\n", None, "line 2: value is 'nine'"),
        (b"x,y,value\n3,2,256\n", None, "outside the range"),
        (np.zeros((28, 28, 1), np.uint8), None, "mask"),
        (np.zeros((20, 28, 1), np.uint8), np.zeros((28, 28, 1), np.uint8), "20x28"),
        (b"\x89PNG broken", np.zeros((28, 28, 1), np.uint8), "not an image"),
        (b"PK\3\4 broken", None, "no .npz file"),
        (b"\0" * 100, None, "neither text"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(digits, content, mask, reason):
    with pytest.raises(InputError, match=reason) as refused:
        read(digits, content, mask, name="<img onerror=a>\x1b[2J.csv")
    line = str(refused.value)
    assert line.startswith("<img onerror=a>\\u001b[2J.csv: ")
    assert "\n" not in line and "--config.known" not in line


def test_an_archive_that_swells_is_refused_unread(digits):
    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (28, 28_000_000)}
    )
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("values.npy", header.getvalue())
    bomb = buffer.getvalue()
    with pytest.raises(InputError, match="GiB of memory"):
        read(digits, bomb)


def test_an_image_of_too_many_pixels_is_refused_undecoded(digits):
    large = encode_png(np.zeros((6000, 6000, 1), np.uint8))
    small = np.zeros((28, 28, 1), np.uint8)
    for image, mask in ((large, small), (small, large), (large, None)):
        with pytest.raises(InputError, match="6000x6000 pixels are over the limit"):
            read(digits, image, mask)


def test_files_are_not_written_to_the_disk(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read(digits, b"x,y,value\n3,2,9\n", name="../../x.csv")
    session = Session()
    draw(digits, PIXELS, session)
    file_of(digits, session, "known", "csv")
    assert not [*tmp_path.iterdir()]


def test_what_was_drawn_is_saved_as_an_image_with_its_mask(digits):
    session = Session()
    draw(digits, PIXELS, session)
    name, media, image = file_of(digits, session, "known", "png")
    assert (name, media) == ("known.png", "image/png")
    name, media, mask = file_of(digits, session, "known", "mask")
    assert (name, media) == ("known_mask.png", "image/png")
    assert read(digits, image, mask) == FOUND
    assert {*np.unique(np.asarray(Image.open(io.BytesIO(mask))))} == {0, 255}


def test_a_picture_of_the_realisations_is_saved(digits):
    session = Session()
    draw(digits, PIXELS, session)
    name, media, content = file_of(digits, session, "realisations", "png")
    assert (name, media) == ("realisations.png", "image/png")
    assert min(Image.open(io.BytesIO(content)).size) > 4 * 28


def test_a_file_is_read_that_knows_every_cell(source):
    """And one that is much longer is refused before it is read."""
    model, session = of_units(source, Units("linear", (-1e9, 1e9))), Session()
    values = np.linspace(-987654321, 987654321, SIZE.pixels).reshape(SIZE)
    pixels = {at: np.float32(value) for at, value in np.ndenumerate(values)}
    draw(model, pixels, session)
    _, _, table = file_of(model, session, "known", "csv")
    assert len(read(model, table)) == SIZE.pixels
    with pytest.raises(InputError, match=r"of 4,000,000 bytes, and 362,496 hold the"):
        read(model, b"x,y,value\n".ljust(4_000_000))


@pytest.mark.parametrize("what", [("known", "gif"), ("images", "png"), ("", "")])
def test_other_files_are_refused(digits, what):
    session = Session()
    with pytest.raises(InputError, match="drawn yet"):
        file_of(digits, session, *what)
    draw(digits, PIXELS, session)
    with pytest.raises(InputError, match=r"\(csv, png, mask\)"):
        file_of(digits, session, *what)


UNITS = (
    LEVELS,
    Units("linear", (0.1, 0.3)),
    Units("log", (1e-9, 1e6)),
    Units("linear", (-5.0, 1e5), whole=True),
    facies([0, 1]),
    facies([0.1, 0.25, 70000]),
)


@given(st.sampled_from(UNITS), st.data())
@settings(max_examples=40, deadline=None)
def test_a_table_is_read_back_as_it_was_drawn(units, data):
    """In single precision, in which the page has numbers."""
    value = (
        st.sampled_from(units.codes)
        if units.codes
        else st.floats(units.low, units.high)
    )
    channels = data.draw(st.sampled_from([1, 3]))
    values = np.zeros((4, 5, channels))
    mask = np.zeros((4, 5), bool)
    for y, x in data.draw(
        st.sets(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1)
    ):
        mask[y, x] = True
        values[y, x] = [
            float(str(np.float32(data.draw(value)))) for _ in range(channels)
        ]
    values = values.clip(units.low, units.high) * mask[..., None]
    drawn = KnownGrid(values, mask, np.full(mask.shape, np.nan))
    native = np.zeros((COUNT, 4, 5, channels))
    table = Drawing(drawn, native, units).table()
    found = placed(read_known(table), Geometry(4, 5), channels, units, "refuse")
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.mask, mask)


def test_properties_are_drawn_and_saved_in_their_unit(source):
    model = of_units(source, Units("linear", (0.1, 0.3)))
    session = Session()
    draw(model, {(3, 4): 0.1, (5, 6): 0.3, (7, 7): 0.123}, session)
    _, _, table = file_of(model, session, "known", "csv")
    assert table == b"x,y,value\n4,3,0.1\n6,5,0.3\n7,7,0.123\n"
    with pytest.raises(InputError, match="as CSV"):
        file_of(model, session, "known", "png")
    with pytest.raises(InputError, match=r"outside the range of the data, 0\.1 to 0"):
        draw(model, {(3, 4): 0.31})


def test_facies_are_drawn_and_saved_by_their_codes(source):
    model = of_units(source, facies([1, 4, 300]))
    assert model.entries["units"]["codes"] == [1, 4, 300]
    session = Session()
    codes = {(3, 4): 1, (5, 6): 4, (7, 7): 300}
    answer = draw(model, codes, session)
    assert {*np.unique(answer.arrays["images"])} <= {0, 128, 255}
    image, mask = (
        file_of(model, session, "known", form)[2] for form in ("png", "mask")
    )
    assert read(model, image, mask) == {at: [code] for at, code in codes.items()}
    with pytest.raises(InputError, match="no code"):
        draw(model, {(3, 4): 2})


@pytest.mark.slow
def test_colours_are_drawn_saved_and_read(tmp_path):
    config = smoke("pixelcgan", **{"data.name": "photos", "data.size": "20x28"})
    kept(tmp_path / "run", config, channels=3)
    model = open_generation(str(tmp_path / "run"), "run")
    session = Session()
    colours = {(3, 4): (1, 2, 255), (19, 27): (9, 9, 9)}
    given = arrays(colours, Size(20, 28), channels=3)
    answer = asked(model, session, "draw", given, seed=1)
    assert answer.arrays["images"].shape == (COUNT, 20, 28, 3)
    assert answer.arrays["missed"].shape == (COUNT, 20, 28)
    forms = ("csv", "png", "mask")
    files = {form: file_of(model, session, "known", form)[2] for form in forms}
    assert files["csv"] == b"x,y,r,g,b\n4,3,1,2,255\n27,19,9,9,9\n"
    wanted = {at: [*map(float, colour)] for at, colour in colours.items()}
    assert read(model, files["csv"]) == wanted
    assert read(model, files["png"], files["mask"]) == wanted


def test_a_run_that_makes_nothing_under_known_values_is_refused():
    with pytest.raises(InputError, match="neither a run's workdir nor a packaged"):
        open_generation("digit", "run")
