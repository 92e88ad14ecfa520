"""Arrays and images as training images: their numbers, and any bytes."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.training_images import read_training_image
from gan_jax.data.grids.rasters import read_raster
from tests.test_known import cells, known

SETTINGS = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NUMBERS = st.sampled_from(["?", "u1", ">i2", "<u4", "i8", "u8", "e", "f", ">f8", "g"])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("rasters")


def encoded(save, *values, **named):
    stream = io.BytesIO()
    save(stream, *values, **named)
    return stream.getvalue()


def read(path, content, wanted=""):
    path.write_bytes(content)
    return read_raster(str(path), wanted, str(path))


@given(
    NUMBERS.flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=3))
    ),
    st.booleans(),
    st.data(),
)
@SETTINGS
def test_an_array_keeps_its_numbers(place, array, fortran, data):
    array = np.asfortranarray(array) if fortran else array
    if data.draw(st.booleans()):
        found = read(place / "a.npy", encoded(np.save, array))
        assert found.name == ""
    else:
        content = encoded(np.savez_compressed, k=array, other=np.zeros(3))
        found = read(place / "a.npz", content, "k")
        assert found.name == "k"
    assert found.values.dtype in (np.float32, np.float64)
    layers = array.reshape(-1, *array.shape[-2:])[:, ::-1]  # the lowest row first
    with np.errstate(all="ignore"):
        wanted = layers.astype(np.float64)
    exact = 0 if array.dtype.kind != "f" or array.dtype.itemsize > 2 else 1e-3
    np.testing.assert_allclose(found.values, wanted, rtol=exact, atol=exact / 1e4)


IMAGES = [
    *(("PNG", kind) for kind in ("?", "u1", "u2")),
    *(("TIFF", kind) for kind in ("?", "u1", "u2", "i4", "f4")),
]


@given(
    st.sampled_from(IMAGES).flatmap(
        lambda form: st.tuples(
            st.just(form[0]),
            arrays.arrays(form[1], arrays.array_shapes(min_dims=2, max_dims=2)),
        )
    )
)
@SETTINGS
def test_an_image_keeps_its_numbers(place, image):
    form, values = image
    content = encoded(Image.fromarray(values).save, form)
    found = read(place / "a.img", content)
    np.testing.assert_array_equal(found.values, values[None, ::-1])


VALID = {
    ".npy": encoded(np.save, np.arange(12.0, dtype=np.float32).reshape(3, 4)),
    ".npz": encoded(np.savez_compressed, k=np.arange(12).reshape(3, 4)),
    ".png": encoded(Image.fromarray(np.arange(72, dtype=np.uint8)).save, "PNG"),
    ".tif": encoded(
        Image.fromarray(np.arange(12, dtype=np.float32).reshape(3, 4)).save, "TIFF"
    ),
}


@given(
    st.sampled_from([*VALID]),
    st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=8)), max_size=4),
    st.none() | st.integers(0, 600),
    st.sampled_from(["", "k"]),
)
@SETTINGS
def test_any_bytes_are_an_array_or_refused(place, suffix, edits, end, wanted):
    content = bytearray(VALID[suffix])
    for at, text in edits:
        content[at : at + len(text)] = text
    path = place / f"a{suffix}"
    try:
        found = read(path, bytes(content[:end]), wanted)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert found.values.ndim == 3 and found.values.dtype.kind == "f"


@pytest.mark.parametrize(
    ("suffix", "kind"), [("npy", "f2"), ("npy", "f4"), ("npy", "f8"), ("tif", "f4")]
)
def test_facies_have_the_codes_that_were_written(tmp_path, suffix, kind):
    image = np.random.default_rng(0).choice([0.1, 0.3, 0.7], (40, 80)).astype(kind)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, image)
    else:
        Image.fromarray(image).save(path)
    units = read_training_image(str(path)).chosen.units
    assert units.codes == (0.1, 0.3, 0.7)
    wells = known("x,y,value\n0,0,0.1\n1,0,0.7\n", units=units)
    assert cells(wells) == {(0, 0): [0.1], (0, 1): [0.7]}
    for written in (np.array([0.1, 0.3, 0.7]), np.float32([0.1, 0.3, 0.7])):
        assert not units.outside(written).any()
    assert units.outside(np.array([0.1001, 0.2, 0.8, np.nan, np.inf])).all()


def test_a_property_has_the_range_that_was_written(tmp_path):
    image = np.linspace(0.1, 0.7, 3200, dtype=np.float32).reshape(40, 80)
    np.save(tmp_path / "a.npy", image)
    units = read_training_image(str(tmp_path / "a.npy")).chosen.units
    assert units.knots == (0.1, 0.7)
    assert not units.outside(image.astype(np.float64)).any()
