"""Foreign bytes give a value or the reader's own error, soon and in little memory."""

import datetime
import gzip
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.config.sweeps import losses_of
from gan_jax.data.decode import BrokenImageError
from tests.endurance.memory import peak_memory
from tests.endurance.readers import READERS, answered, changed_bytes, changed_json, same
from tests.runs import smoke
from tests.test_sources import DATA, idx, noise

pytestmark = [pytest.mark.slow, pytest.mark.endurance]

SAMPLE, FULL = 60, 2000
"""Inputs of a reader that takes a millisecond."""
SECONDS = 10.0
"""In which any input is answered."""
MEMORY = 2**30
"""Bytes that reading may take beyond what the process has."""


def fuzzed(inputs, check, count, tally):
    """Check some inputs, and count them."""

    @settings(
        max_examples=count,
        deadline=datetime.timedelta(seconds=SECONDS),
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # to shrink what fails would take minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def run(value):
        tally.add(inputs=1, tracebacks=1)
        check(value)
        tally.add(right=1, tracebacks=-1)

    with peak_memory() as used:
        run()
    tally.add(memory=used())
    assert used() < MEMORY


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_a_value_or_its_error(name, tmp_path, tally, late, full):
    if name.startswith("TFDS") and not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    reader = READERS[name]
    file = reader.make(tmp_path)
    valid = file.read_bytes()
    wanted = reader.read(file)
    count = max(5, (FULL if full else SAMPLE) // reader.cost)

    def check(content):
        for other in file.parent.glob("*.unreadable"):
            other.unlink()
        file.write_bytes(content)
        value = answered(lambda: reader.read(file), reader.errors)
        assert not reader.exact or not value or same(value, wanted)

    inputs = changed_bytes(valid)
    if file.suffix == ".json":
        inputs |= changed_json(valid)
    fuzzed(inputs, check, count, tally)
    shown = late()
    tally.add(tracebacks=bool(shown))
    assert not shown


# What a config holds as text.

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "0.5",
        "2",
        "4",
        "1e9",
        "999999999",
        "nan",
        "inf",
        "1e400",
        "",
        "x",
    ]
) | st.text(max_size=8)
HOLES = [*searches.HOLES, "grey", "no hole"]
DEGRADATIONS = ["grey", "downsample", "blur", "noise", "center", ""]


def named(names):
    """Return texts like `name:number:number,name`."""
    part = st.lists(NUMBERS, max_size=2).flatmap(
        lambda numbers: st.sampled_from(names).map(
            lambda name: ":".join([name, *numbers])
        )
    )
    return st.lists(part, max_size=3).map(",".join) | st.text(max_size=30)


def test_holes_are_cut_or_refused(tally, full):
    import jax

    def check(text):
        def cut():
            for hole in searches.holes(text):
                mask = np.asarray(hole(jax.random.key(0), 28, 28))
                assert mask.shape == (28, 28, 1) and set(np.unique(mask)) <= {0, 1}

        answered(cut, (InputError, ValueError))

    fuzzed(named(HOLES), check, FULL // 4 if full else SAMPLE, tally)


def test_degradations_are_made_or_refused(tally, full):
    import jax.numpy as jnp

    def check(text):
        def degrade():
            degradation = searches.degradation(text)
            if degradation is not None:
                degradation.apply(jnp.zeros((28, 28, 3)))

        answered(degrade, (InputError, ValueError))

    fuzzed(named(DEGRADATIONS), check, FULL // 4 if full else SAMPLE, tally)


def test_sweeps_are_settings_or_refused(tally, full):
    config = smoke("inpaint", "yeh,ballester,smoke")
    texts = st.tuples(
        named(["yeh", "ballester", "other"]),
        named(["context", "gradient", "prior", "weights"]),
        st.lists(NUMBERS, max_size=6).map(",".join) | named(["0.1", "1"]),
    )

    def check(values):
        swept = config.copy_and_resolve_references()
        for key, value in zip(("loss", "key", "over"), values, strict=True):
            swept.sweep[key] = value
        answered(lambda: losses_of(swept), (InputError,))

    fuzzed(texts, check, FULL if full else SAMPLE, tally)


# Small files that declare much.


def npy(shape, kind="|u1"):
    """Return the beginning of an .npy file."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def png(width, height):
    """Return a PNG of zeros, as small as such a picture gets."""
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(width + 1)) for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", packed + rows.flush()),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    )


def zeros(gigabytes):
    """Return a gzipped idx file of 4 images, and zeros behind them."""
    packer = zlib.compressobj(1, wbits=31)
    packed = [packer.compress(idx(noise(4, 8, 8)))]
    packed += [packer.compress(bytes(2**24)) for _ in range(64 * gigabytes)]
    return b"".join(packed) + packer.flush()


def archive(content):
    """Return an .npz file of one array."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("image.npy", content)
    return stream.getvalue()


BOMBS = {
    "npy, declared": ("npy", lambda: npy((10**6, 10**6))),
    "npy, negative": ("npy", lambda: npy((-1, 28, 28))),
    "npz, declared": ("npz", lambda: archive(npy((10**6, 10**3, 10**3)))),
    "idx, declared": (
        "idx",
        lambda: b"\0\0\x08\x03" + struct.pack(">3I", *[2**31] * 3),
    ),
    "gzipped zeros": ("idx.gz", lambda: zeros(2)),
    "grid, declared": (
        "training image, GSLIB",
        lambda: b"1000000000 1000000000 1\n1\nv\n1\n",
    ),
    "grid of many variables": (
        "training image, GSLIB",
        lambda: b"4 3 1\n1000000000\nv\n1\n",
    ),
    "PNG": ("image, PNG", lambda: png(40_000, 40_000)),
    "mask": ("mask", lambda: png(20_000, 10_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_declares_much_is_refused_before_it_is_read(name, tmp_path, tally):
    reader, content = BOMBS[name]
    file = READERS[reader].make(tmp_path)
    file.write_bytes(content())
    tally.add(inputs=1)
    with peak_memory() as used, pytest.raises((InputError, BrokenImageError)) as caught:
        READERS[reader].read(file)
    assert str(caught.value)
    tally.add(memory=used())
    assert used() < MEMORY // 2
    tally.add(right=1)


def test_many_squares_are_refused_or_cheap(tally):
    """Each of them once had a mask of its own."""
    import jax

    tally.add(inputs=1)
    with peak_memory() as used:
        answered(
            lambda: [
                hole(jax.random.key(0), 1024, 1024)
                for hole in searches.holes("squares:1000000:2")
            ],
            (InputError, ValueError),
        )
    tally.add(memory=used())
    assert used() < MEMORY
    tally.add(right=1)


def test_a_gz_of_a_valid_file_is_read(tmp_path):
    """The bound on sizes leaves ordinary files alone."""
    file = READERS["idx.gz"].make(tmp_path)
    assert len(gzip.decompress(file.read_bytes())) == 16 + 4 * 64
    assert len(READERS["idx.gz"].read(file).train) == 4
