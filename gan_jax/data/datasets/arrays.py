"""Datasets stored as arrays: .npz, .npy, or idx files like those of MNIST."""

import gzip
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.datasets.reading import Reading, Shape, count_colourless
from gan_jax.data.decode import BrokenImageError, crop_and_resize_all
from gan_jax.data.files.contents import Content, content_of
from gan_jax.data.files.levels import (
    AUTO,
    FLOAT,
    InUse,
    LevelsError,
    Range,
    Scaling,
    choose,
    joined,
    to_8_bits,
)
from gan_jax.data.grids.rasters import remedy, shapes_of
from gan_jax.data.memory import (
    UnreadableFileError,
    check_arrays,
    check_fits,
    open_file,
)

_IMAGES = ("image", "images")
_LABELS = ("label", "labels", "y", "target", "targets", "class", "classes")
"""Names of the arrays that hold images and labels, the first one first."""

_CLASS_LIMIT = 100_000  # larger labels are identities or hashes, not classes
_FEWER = "give fewer or smaller images"


class _Arrays(NamedTuple):
    images: np.ndarray
    labels: np.ndarray | None
    note: str = ""
    """Which arrays were taken; empty where there is no choice."""


def read_arrays(
    path: str, size: int | Size, crop: int = 0, levels: str = AUTO
) -> Dataset:
    """Read a dataset of `train` and `test` arrays: .npz, .npy or idx files.

    An .npz file holds `image` or `images` and, optionally, `label`, `labels`, `y`,
    `target` or `classes`; an .npy file holds images only; idx files are named as those
    of MNIST, with or without .gz. Test files of MNIST (`t10k`) without training files
    are read for training. Images have the shape `[N, H, W]` or `[N, H, W, channels]`
    with 1 or 3 channels. 8-bit levels are kept. Floats are scaled to levels from
    [-1, 1] if any value is negative, else from [0, 1]; other whole numbers by the bits
    in use. Pickled objects are never loaded.

    Args:
        path: Directory with `train` and, optionally, `test`, or one file.
        size: Size to which images are resized; a number is that of squares.
        crop: Longer side of the centre that is kept; 0 keeps the largest centre.
        levels: How levels become 8 bits, as `levels.choose` takes it.

    Raises:
        InputError: If there are no such arrays, they do not fit into memory, or their
            shape, type or values are wrong.
    """
    place = Path(path).expanduser()
    files = {"train": place} if place.is_file() else array_files(place)
    if not files:
        raise InputError(
            f"--config.data.path {path} holds no train.npz, train.npy or MNIST-style "
            "idx files"
        )
    loaded: dict[str, _Arrays] = {}
    for part, file in files.items():
        loaded[part] = _load(file, _bytes(loaded))
    for part, (images, labels, _) in loaded.items():
        _check_images(files[part], images)
        if labels is not None:
            _check_labels(files[part], labels, len(images))
    if len({arrays.images.shape[3:] or (1,) for arrays in loaded.values()}) > 1:
        raise InputError(
            f"--config.data.path {path}: training and test images have different "
            "numbers of channels: save both in grey or both in colour"
        )
    # All parts are scaled alike: a small test part may lack negative values by chance.
    found = joined(
        (_kind(images), InUse(len(images), float(images.min()), float(images.max())))
        for images, *_ in loaded.values()
    )
    scaling = choose(levels, found)
    if _FLOAT in found and scaling.given is None:
        low = -1.0 if found[_FLOAT].low < 0 else 0.0
        scaling = Scaling(None, {**scaling.by_kind, _FLOAT: Range(low, 1.0)})
    highest = [each.labels.max() for each in loaded.values() if each.labels is not None]
    check_fits(
        f"--config.data.path {path} at {size_of(size)}",
        sum(_bytes_at(size_of(size), images) for images, *_ in loaded.values()),
        "lower --config.data.size",
    )
    classes = tuple(str(label) for label in range(max(highest, default=-1) + 1))
    name = place.name.split(".")[0] if place.is_file() else place.resolve().name

    def source(part: str) -> ArraySource:
        images, labels, _ = loaded[part]
        images = _to_8_bits(files[part], images, scaling)
        try:
            prepared = crop_and_resize_all(
                images.reshape(*images.shape[:3], -1), size, crop
            )
        except BrokenImageError as error:
            raise InputError(f"{files[part]}: {error}") from None
        known = None if labels is None or not classes else labels.astype(np.int32)
        return ArraySource(name, prepared, known, classes)

    parts = [source(part) for part in files]
    shapes: Counter[Shape] = Counter()
    for images, *_ in loaded.values():
        _, height, width, *channels = images.shape
        shapes[height, width, channels[0] if channels else 1] += len(images)
    reading = Reading(
        shapes=shapes,
        colourless=sum(count_colourless(part.images) for part in parts),
        levels=found,
        scaling=scaling,
        notes=[each.note for each in loaded.values() if each.note],
    )
    test = parts[1] if len(parts) > 1 else None
    contents = {
        name: content
        for part, file in files.items()
        for name, content in _contents(file, loaded[part]).items()
    }
    return Dataset(parts[0], test, reading=reading, contents=contents)


def _contents(file: Path, arrays: _Arrays) -> dict[str, Content]:
    """Return the contents of a file of images, and of that of their labels, by name."""
    count, height, width = arrays.images.shape[:3]
    contents = {file.name: content_of(file, f"{count:,} images of {height}x{width}")}
    is_idx = "idx3-ubyte" in file.name
    if is_idx and (beside := _idx_labels(file)) is not None:
        contents[beside.name] = content_of(beside, f"{count:,} labels")
    return contents


def is_array_file(file: Path) -> bool:
    """Return whether a file holds arrays of images, by its name."""
    return file.suffix.lower() in (".npz", ".npy") or "idx3-ubyte" in file.name


def array_files(place: Path) -> dict[str, Path]:
    """Return the files of `train` and `test`; empty if there is no `train`."""
    for suffix in (".npz", ".npy"):
        files = {part: place / f"{part}{suffix}" for part in ("train", "test")}
        if files["train"].is_file():
            return {part: file for part, file in files.items() if file.is_file()}
    stems = {"train": "train-images", "test": "t10k-images"}
    matches = {
        part: sorted(place.glob(f"{stem}?idx3-ubyte*")) for part, stem in stems.items()
    }
    files = {part: names[0] for part, names in matches.items() if names}
    return {"train": files["test"]} if list(files) == ["test"] else files


def _bytes(loaded: Mapping[str, _Arrays]) -> int:
    return sum(images.nbytes for images, *_ in loaded.values())


def _bytes_at(size: Size, images: np.ndarray) -> int:
    """Return the memory of images while they are resized: given, as levels, resized."""
    levels = 0 if images.dtype == np.uint8 else images.size
    resized = len(images) * size.pixels * math.prod(images.shape[3:])
    return images.nbytes + levels + 2 * resized


def _load(file: Path, held: int) -> _Arrays:
    """Read the arrays of a file, beside as many bytes as are held already."""
    try:
        if "idx3-ubyte" in file.name:
            beside = _idx_labels(file)
            images = _read_idx(file, held)
            if beside is None:
                return _Arrays(images, None)
            note = f"{file.name}: labels of {beside.name}"
            return _Arrays(images, _read_idx(beside, held), note)
        names = [*shapes_of(file)]
        image = next((name for name in _IMAGES if name in names), "image")
        label = next((name for name in _LABELS if name in names), "label")
        with open_file(file) as stream:
            check_arrays(str(file), stream, (image, label), _FEWER, held)
            loaded: Any = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return _Arrays(loaded, None)
            if image not in loaded:
                raise InputError(
                    f"{file} has no array 'image' (it has {', '.join(loaded)}): save "
                    "it with np.savez(file, image=..., label=...)"
                )
            labels = loaded.get(label)
            taken = "no labels" if labels is None else f"labels of '{label}'"
            others = [f"'{name}'" for name in names if name not in (image, label)]
            left = f"; not read: {', '.join(others)}" if others else ""
            note = f"{file.name}: images of '{image}', {taken}{left}"
            return _Arrays(loaded[image], labels, note)
    except InputError:
        raise
    except UnreadableFileError as error:
        raise InputError(f"{file}: {error}: give a file of arrays") from None
    except Exception as error:  # zip, gzip and header errors share no base class
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if "pickle" in reason:
            reason = "it holds Python objects, which are never loaded"
        raise InputError(
            f"{file} cannot be read as arrays ({reason}): {remedy(file)}"
        ) from None


def _idx_labels(file: Path) -> Path | None:
    """Return the labels of idx images, whose name may have a dot for the dash."""
    stem, mark, _ = file.name.replace("images", "labels").partition("idx3-ubyte")
    found = {
        other.name
        for other in file.parent.iterdir()
        if mark and other.name.startswith(stem[:-1]) and "idx1-ubyte" in other.name
    }
    same = file.name.replace("images", "labels").replace("idx3", "idx1")
    name = same if same in found else next(iter(sorted(found)), None)
    return None if name is None else file.with_name(name)


def _read_idx(file: Path, held: int) -> UInt8[np.ndarray, "..."]:
    with open_file(file) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if packed else raw as stream:
            magic = stream.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08":  # 8 = unsigned bytes
                raise ValueError("it is not an idx file of bytes")
            lengths = stream.read(4 * magic[3])
            shape = np.frombuffer(lengths, ">u4", magic[3]).tolist()
            size = math.prod(shape)
            check_fits(str(file), held + size, _FEWER)
            data = stream.read(size + 1)  # it may go on, packed, for gigabytes
    if len(data) != size:
        found = len(data) if len(data) < size else f"more than {size}"
        raise ValueError(f"its {found} bytes do not fill an array of {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _check_images(file: Path, images: np.ndarray) -> None:
    shape = images.shape
    if len(shape) not in (3, 4) or 0 in shape or shape[3:] not in ((), (1,), (3,)):
        first = len(shape) == 4 and shape[1] in (1, 3) and 0 not in shape
        hint = (
            ": move the channels last with np.moveaxis(image, 1, -1)" if first else ""
        )
        raise InputError(
            f"{file} has images of shape {list(shape)}; it must be [N, H, W] or "
            f"[N, H, W, channels] with 1 or 3 channels{hint}"
        )
    if images.dtype.kind not in "buif":
        raise InputError(
            f"{file} has images of type {images.dtype}: save them as uint8, or as "
            "floats in [0, 1] or [-1, 1]"
        )


def _check_labels(file: Path, labels: np.ndarray, count: int) -> None:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(
            f"{file} has {count} images, but labels of shape {list(labels.shape)} and "
            f"type {labels.dtype}: give one whole number per image"
        )
    if labels.min() < -1 or labels.max() >= _CLASS_LIMIT:
        raise InputError(
            f"{file} has labels from {labels.min()} to {labels.max()}: number the "
            f"classes from 0 (below {_CLASS_LIMIT}; -1 = none)"
        )


_FLOAT = f"{FLOAT} array"


def _kind(images: np.ndarray) -> str:
    """Return how an array stores levels, as `levels.Stored` says it."""
    if images.dtype.kind == "f":
        return _FLOAT
    bits = {1: 8, 2: 16}.get(images.dtype.itemsize, 32)
    return f"{bits}-bit array"


def _to_8_bits(
    file: Path, images: np.ndarray, scaling: Scaling
) -> UInt8[np.ndarray, "count height width *channels"]:
    try:
        return to_8_bits(images, _kind(images), scaling)
    except LevelsError as error:
        raise InputError(f"{file}: {error}") from None
