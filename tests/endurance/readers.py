"""Every reader of foreign bytes, with a valid file of its own."""

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from gan_jax.apps.batch.table import Parts
from gan_jax.apps.detect.detector import open_detector_run
from gan_jax.apps.inpaint.masked_images import masker
from gan_jax.apps.inpaint.search_cache import (
    read_found,
    read_trace,
    write_found,
    write_trace,
)
from gan_jax.config.errors import EXPECTED, InputError
from gan_jax.config.limits import Size
from gan_jax.data.datasets.arrays import read_arrays
from gan_jax.data.datasets.folders import read_folder
from gan_jax.data.datasets.tfds import read_tfds
from gan_jax.data.datasets.training_images import Choices, read_training_image
from gan_jax.data.decode import BrokenImageError, decode
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.known import read_known
from gan_jax.data.grids.points import placed
from gan_jax.data.grids.units import LEVELS
from gan_jax.data.mask_files import Layers
from gan_jax.data.memory import UnreadableFileError
from gan_jax.data.user_images import InputFile
from gan_jax.networks.classifier import Classifier
from gan_jax.priors import packaged, packing
from gan_jax.report.journal import read_rows
from gan_jax.runs.feature_network import read_classifier, write_classifier
from gan_jax.runs.prior import open_prior
from gan_jax.runs.workdir import claimed
from gan_jax.search.trace import Trace
from gan_jax.training.state import digest
from tests.runs import drawn, kept, kept_detector, smoke
from tests.test_search_cache import found
from tests.test_sources import DATA, encoded, idx, noise, with_right_checks


class Reader(NamedTuple):
    """A reader of files that someone else may have written."""

    make: Callable[[Path], Path]
    """Writes valid files to a folder and returns the one to be changed."""
    read: Callable[[Path], Any]
    """Reads that file."""
    errors: tuple[type[Exception], ...] = (InputError,)
    """The documented errors, each with one readable line."""
    exact: bool = False
    """Whether it notices any change: it gives the valid value, nothing or an error."""
    cost: int = 1
    """How much dearer it is than one that takes a millisecond."""


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _numpy(save: Callable[..., None], *values: Any, **named: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *values, **named)
    return stream.getvalue()


def _prior(folder: Path) -> None:
    kept(folder, smoke("gan"))


def _of_run(write: Callable[[Path], Any], name: str) -> Callable[[Path], Path]:
    """Return the function that writes a run and returns a file of it.

    In a folder of states it is the largest file, which holds the arrays.
    """

    def make(folder: Path) -> Path:
        write(folder)
        if not name.endswith("/"):
            return folder / name
        found = [path for path in (folder / name).rglob("*") if path.is_file()]
        return max(found, key=lambda path: path.stat().st_size)

    return make


def _teacher(folder: Path) -> Path:
    shapes = jax.eval_shape(
        Classifier(2, 4, 8).init, jax.random.key(0), jnp.zeros((1, 32, 32, 1))
    )
    variables = jax.tree.map(np.asarray, drawn(shapes))
    saved = {"labels": True, "network": "a classifier", "accuracy": 0.5}
    saved |= {"variables": variables, "sha256": digest(variables)}
    write_classifier(folder / "teacher.msgpack", saved)
    return folder / "teacher.msgpack"


def _found(folder: Path) -> Path:
    write_found(folder / "found.npz", found(), 1.5, "prior")
    return folder / "found.npz"


def _trace(folder: Path) -> Path:
    shapes = {name: np.zeros((2, 3, 4)) for name in Trace._fields}
    write_trace(folder / "trace.npz", Trace(**shapes), "prior")
    return folder / "trace.npz"


_COLUMNS = {"input": str, "done": bool, "latent": list[float]}


def _part(folder: Path) -> Path:
    rows = [{"input": f"{at}", "done": True, "latent": [0.5]} for at in range(50)]
    Parts(folder, _COLUMNS, "prior").write(rows)
    return folder / "part-000000.parquet"


def _tfds(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "mnist" / "3.0.1"
        place.mkdir(parents=True)
        for file in (DATA / "tfds" / "mnist" / "3.0.1").iterdir():
            if file.suffix in (".json", ".txt"):
                shutil.copy(file, place)
            else:
                (place / file.name).symlink_to(file)
        return place / name

    return make


def _journal(folder: Path) -> Path:
    rows = [{"step": step, "critic/adversarial": 1.5} for step in range(1, 30)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text)
    return folder / "metrics.jsonl"


def _claim(file: Path) -> None:
    """Open a workdir that has ended before, as the same command does."""
    with claimed(smoke("gan"), file.parent, ()):
        pass


def _digest(workdir: Path) -> str:
    return open_prior(str(workdir), "").digest


def _run_of(file: Path) -> Path:
    """Return the workdir that a file of a state lies in."""
    return next(path for path in file.parents if (path / "config.json").exists())


def answered(read: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Any:
    """Return a value, or None for a documented error, which says something.

    Foreign text in it is made printable where it is shown.
    """
    try:
        return read()
    except errors as error:
        assert str(error), f"{type(error).__name__} says nothing"
        return None


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a reader are equal, arrays and all."""
    leaves, wanted = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(leaves) == len(wanted) and all(map(np.array_equal, leaves, wanted))


_IMAGE = noise(20, 24, 3)
_MASK = np.full((20, 24), 255, np.uint8)
_MASK[8:12, 8:12] = 0
_GRID = "4 3 1\n1\nfacies\n" + "\n".join(map(str, range(12)))
_GEONE = "# NX 4\n# NY 3\n# SX 2.0\n# OX 1\n# SORTING +X-Y\nfacies k\n" + "".join(
    f"{cell % 3} {cell / 7}\n" for cell in range(12)
)
_COORDINATES = "a title\n3\nX\nY\nk\n" + "".join(
    f"{cell % 4} {cell // 4} {-99 if cell == 5 else cell}\n" for cell in range(12)
)


_CSV = "x,y,value,error\n" + "".join(f"{at},{at % 3},{at * 20},\n" for at in range(12))
_POINTS = "wells\n3\nX\nY\nv\n" + "".join(
    f"{at + 0.5} {at % 9 + 0.5} {at * 20}\n" for at in range(12)
)
_KNOWN = {"values": np.arange(108).reshape(9, 12), "mask": np.eye(9, 12, dtype=bool)}


def _known(file: Path, mask: Path | None = None) -> Any:
    grid = Geometry(9, 12, origin=(0.5, 0.5))
    return placed(read_known(file, mask), grid, 1, LEVELS, "refuse")


def _known_image(folder: Path) -> Path:
    mask = (np.eye(9, 12) * 255).astype(np.uint8)
    (folder / "mask.png").write_bytes(encoded(mask))
    return _bytes("image.png", encoded(noise(9, 12)))(folder)


def _packaged(folder: Path) -> Path:
    kept(folder / "run", smoke("pixelcgan"))
    packing.pack(str(folder / "run"), folder / "digits.npz")
    return folder / "digits.npz"


def _digest_of_packaged(file: Path) -> str:
    with mock.patch.object(packaged, "FOLDER", file.parent):
        return packaged.open_packaged(file.stem).digest


def _training_image(path: str) -> Any:
    several = path.endswith((".txt", ".dat"))
    image = read_training_image(path, Choices(variable="k" if several else ""))
    return image.values, image.chosen.units.knots


READERS: dict[str, Reader] = {
    **{
        f"image, {form}": Reader(
            _bytes(f"image.{form.lower()}", encoded(_IMAGE, form)),
            lambda file: decode(file, pixel_limit=100_000),
            (BrokenImageError,),
        )
        for form in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP")
    },
    "folder of images": Reader(
        _bytes("image.png", encoded(_IMAGE)),
        lambda file: read_folder(str(file.parent), 8),
    ),
    "mask": Reader(
        _bytes("0.png", encoded(_MASK)),
        lambda file: masker({Path("0.png"): [file]}, Size(28, 28), 3)(
            InputFile(Path("0.png"), "0"), Layers(_IMAGE, None)
        ),
        (BrokenImageError,),
    ),
    "npz": Reader(
        _bytes(
            "train.npz",
            _numpy(np.savez_compressed, image=noise(6, 8, 8), label=np.arange(6)),
        ),
        lambda file: read_arrays(str(file), 8),
    ),
    "npy": Reader(
        _bytes("train.npy", _numpy(np.save, noise(6, 8, 8))),
        lambda file: read_arrays(str(file), 8),
    ),
    "idx": Reader(
        _bytes("train-images-idx3-ubyte", idx(noise(4, 8, 8))),
        lambda file: read_arrays(str(file.parent), 8),
    ),
    "idx.gz": Reader(
        _bytes("train-images-idx3-ubyte.gz", gzip.compress(idx(noise(4, 8, 8)))),
        lambda file: read_arrays(str(file.parent), 8),
    ),
    **{
        f"training image, {name}": Reader(
            _bytes(f"image{suffix}", content),
            lambda file: _training_image(str(file)),
        )
        for name, suffix, content in (
            ("GSLIB", ".gslib", _GRID.encode()),
            ("geone", ".txt", _GEONE.encode()),
            ("with coordinates", ".dat", _COORDINATES.encode()),
            ("npy", ".npy", _numpy(np.save, np.arange(12.0).reshape(3, 4))),
            ("npz", ".npz", _numpy(np.savez_compressed, v=np.arange(12).reshape(3, 4))),
            ("PNG", ".png", encoded(noise(8, 9))),
            ("TIFF", ".tif", encoded(noise(8, 9), "TIFF")),
        )
    },
    **{
        f"known values, {name}": Reader(
            _bytes(file, content), _known, (InputError, UnreadableFileError)
        )
        for name, file, content in (
            ("CSV", "known.csv", _CSV.encode()),
            ("point set", "known.gslib", _POINTS.encode()),
            ("npz", "known.npz", _numpy(np.savez_compressed, **_KNOWN)),
        )
    },
    "known values, image": Reader(
        _known_image,
        lambda file: _known(file, file.with_name("mask.png")),
        (InputError, UnreadableFileError),
    ),
    "packaged prior": Reader(_packaged, _digest_of_packaged, exact=True, cost=30),
    "TFDS features": Reader(
        _tfds("features.json"),
        lambda file: read_tfds("", str(file.parent), 28),
        cost=10,
    ),
    "TFDS info": Reader(
        _tfds("dataset_info.json"),
        lambda file: read_tfds("mnist", str(file.parents[2]), 28),
        cost=10,
    ),
    "teacher": Reader(_teacher, read_classifier, exact=True),
    "search cache": Reader(_found, lambda file: read_found(file, "prior"), (), True),
    "trace": Reader(_trace, lambda file: read_trace(file, "prior"), (), True),
    "Parquet part": Reader(
        _part,
        lambda file: Parts(file.parent, _COLUMNS, "prior").done,
        EXPECTED,
        exact=True,
    ),
    "metrics.jsonl": Reader(_journal, read_rows, EXPECTED),
    "config.json of a workdir": Reader(
        _of_run(_prior, "config.json"), _claim, EXPECTED
    ),
    "summary.json of a workdir": Reader(
        _of_run(_prior, "summary.json"), _claim, EXPECTED
    ),
    "config.json of a prior": Reader(
        _of_run(_prior, "config.json"),
        lambda file: _digest(file.parent),
        EXPECTED,
        cost=30,
    ),
    "summary.json of a prior": Reader(
        _of_run(_prior, "summary.json"),
        lambda file: _digest(file.parent),
        EXPECTED,
        cost=30,
    ),
    "arrays of a prior": Reader(
        _of_run(_prior, "prior/"),
        lambda file: _digest(_run_of(file)),
        EXPECTED,
        exact=True,
        cost=30,
    ),
    "config.json of a detector": Reader(
        _of_run(kept_detector, "gan.json"),
        lambda file: open_detector_run(str(file.parent), "").detector,
        EXPECTED,
        cost=30,
    ),
    "arrays of a detector": Reader(
        _of_run(kept_detector, "detector/"),
        lambda file: open_detector_run(str(_run_of(file)), "").detector,
        EXPECTED,
        exact=True,
        cost=30,
    ),
}


def changed_bytes(valid: bytes) -> st.SearchStrategy[bytes]:
    """Return files like a valid one, cut, flipped, overwritten and spliced."""
    places = st.integers(0, len(valid))
    heads = st.integers(0, min(len(valid), 64))  # where the decisions are taken
    edits = st.lists(
        st.one_of(
            st.tuples(st.just("cut"), places, st.just(b"")),
            st.tuples(
                st.just("flip"), places | heads, st.binary(min_size=1, max_size=1)
            ),
            st.tuples(st.just("put"), places | heads, st.binary(max_size=16)),
            st.tuples(st.just("skip"), places, st.binary(max_size=40)),
        ),
        min_size=1,
        max_size=4,
    )
    return edits.map(lambda chosen: _edited(valid, chosen)) | st.binary(max_size=200)


def _edited(valid: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    raw = bytearray(valid)
    for kind, at, text in edits:
        if kind == "cut":
            del raw[at:]
        elif kind == "flip" and at < len(raw):
            raw[at] ^= 1 << text[0] % 8
        elif kind == "put":
            raw[at : at + len(text)] = text
        elif kind == "skip":
            del raw[at : at + len(text)]
    return with_right_checks(raw) if raw[:4] == b"\x89PNG" else bytes(raw)


_NESTED = "nested 100,000 times"
_VALUES = st.sampled_from(
    [None, True, -1, 0, 1.5, 1e308, 2**31, 2**70, "", "..", "\x1b[2J", [], {}, _NESTED]
)


def changed_json(valid: bytes) -> st.SearchStrategy[bytes]:
    """Return JSON like a valid one: entries missing, of another type, or added."""
    places = st.integers(0, 2**16)
    edits = st.tuples(st.sampled_from(["drop", "replace", "add"]), places, _VALUES)
    return st.lists(edits, min_size=1, max_size=3).map(
        lambda chosen: _altered(valid, chosen)
    )


def _altered(valid: bytes, edits: list[tuple[str, int, Any]]) -> bytes:
    value = json.loads(valid)
    for kind, place, other in edits:
        entries = list(_entries(value))
        if not entries:
            break
        inside, key = entries[place % len(entries)]
        if kind == "drop":
            del inside[key]
        elif kind == "replace":
            inside[key] = other
        elif isinstance(inside, dict):
            inside["another"] = other
        else:
            inside.append(other)
    nested = "[" * 100_000 + "]" * 100_000  # Python can write nothing so deep
    return json.dumps(value).replace(json.dumps(_NESTED), nested).encode()


def _entries(value: Any) -> Any:
    """Yield the place of every value inside JSON: what holds it, and the key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _entries(inner)
