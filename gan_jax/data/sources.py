"""Sources of images: digits and photos that need no network, TFDS, folders, arrays.

Every source gives 8-bit images of one square size with 1 or 3 channels, as the data
have them. Nothing is ever unpickled.
"""

import contextlib
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, UInt8

from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    decode,
    fit,
    with_channels,
)
from gan_jax.errors import InputError

MEMORY_LIMIT = 2 * 2**30
"""A folder whose prepared images fit into this many bytes is kept in memory."""

_SUFFIXES = frozenset(
    [
        ".bmp",
        ".dib",
        ".gif",
        ".jfif",
        ".jp2",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
        ".avif",
        ".ico",
        ".pcx",
    ]
)
_THREADS = 8


class Skipped(NamedTuple):
    """An input that could not be used, and why, in one line."""

    path: str
    reason: str


class Example(NamedTuple):
    """One image, cropped and resized, with its label (-1 = none)."""

    image: UInt8[np.ndarray, "height width channels"]
    label: int


class Source(Protocol):
    """What the feed reads: images by index, all of one shape."""

    name: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> Example:
        """Read one image."""


class Official(NamedTuple):
    """A data set as its authors publish it."""

    train: Source
    test: Source | None
    """None where the set has no test part of its own."""


class ArraySource:
    """Images in memory."""

    def __init__(
        self,
        name: str,
        images: UInt8[np.ndarray, "count height width channels"],
        labels: Int[np.ndarray, "count"] | None = None,
        classes: tuple[str, ...] = (),
        skipped: tuple[Skipped, ...] = (),
    ):
        self.name = name
        self.images = images
        self.labels = None if labels is None else labels.astype(np.int32)
        self.classes = classes
        self.skipped = skipped
        self.shape = images.shape[1:]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Example:
        """Read one image."""
        label = -1 if self.labels is None else int(self.labels[index])
        return Example(self.images[index], label)


class LazySource:
    """Images that are decoded when they are read."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int],
        count: int,
        read: Callable[[int], Example],
        classes: tuple[str, ...] = (),
        skipped: tuple[Skipped, ...] = (),
    ):
        self.name = name
        self.shape = shape
        self.classes = classes
        self.skipped = skipped
        self._count = count
        self._read = read

    def __len__(self) -> int:
        """Count the images."""
        return self._count

    def __getitem__(self, index: int) -> Example:
        """Read one image."""
        return self._read(index)


def select(source: Source, chosen: Int[np.ndarray, "count"]) -> Source:
    """Take a subset in the given order; what is in memory stays there."""
    if isinstance(source, ArraySource):
        labels = None if source.labels is None else source.labels[chosen]
        return ArraySource(
            source.name, source.images[chosen], labels, source.classes, source.skipped
        )
    return LazySource(
        source.name,
        source.shape,
        len(chosen),
        lambda index: source[int(chosen[index])],
        source.classes,
        source.skipped,
    )


def in_memory(source: Source) -> ArraySource:
    """Read all of a source, in threads."""
    if isinstance(source, ArraySource):
        return source
    images = np.empty((len(source), *source.shape), np.uint8)
    labels = np.empty(len(source), np.int32)

    def read(index: int) -> None:
        images[index], labels[index] = source[index]

    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(read, range(len(source))):
            pass
    known = labels if source.classes else None
    return ArraySource(source.name, images, known, source.classes, source.skipped)


def fingerprint(source: Source) -> str:
    """Hash the shape, images and labels of a source (SHA-256)."""
    digest = hashlib.sha256(repr((len(source), source.shape)).encode())
    for index in range(len(source)):
        image, label = source[index]
        digest.update(image.tobytes())
        digest.update(str(label).encode())
    return digest.hexdigest()


def digits(size: int) -> Official:
    """Give scikit-learn's 1,797 real handwritten digits, white on black.

    The 8x8 images (Alpaydin & Kaynak 1998) are enlarged smoothly to 20x20 and centred
    on 28x28, as MNIST does, or on 32x32; at other sizes in the same proportion.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    side = 20 if size == 32 else round(size * 20 / 28)
    margin = (size - side) // 2
    images = np.zeros((len(data.images), size, size, 1), np.uint8)
    for image, small in zip(images, data.images, strict=True):
        levels = np.rint(small * (255 / 16)).astype(np.uint8)
        large = Image.fromarray(levels).resize((side, side), Image.Resampling.BICUBIC)
        image[margin : margin + side, margin : margin + side, 0] = np.asarray(large)
    classes = tuple(str(digit) for digit in range(10))
    return Official(ArraySource("digits", images, data.target, classes), None)


def photos(size: int, count: int = 2000) -> Official:
    """Give random square crops of scikit-learn's two colour photographs.

    Training crops lie in the left three quarters of each photograph, the `count` // 5
    test crops in the rest, so that the parts never overlap.
    """
    from sklearn.datasets import load_sample_images

    pictures = load_sample_images().images
    draw = np.random.default_rng(0)

    def crops(first: float, last: float, count: int) -> ArraySource:
        images = np.empty((count, size, size, 3), np.uint8)
        for index in range(count):
            picture = pictures[index % len(pictures)]
            height, width, _ = picture.shape
            left, right = int(first * width), int(last * width)
            longest = min(height, right - left)
            side = int(draw.integers(min(64, longest), longest + 1))
            x = int(draw.integers(left, right - side + 1))
            y = int(draw.integers(0, height - side + 1))
            images[index] = fit(picture[y : y + side, x : x + side], size)
        return ArraySource("photos", images)

    return Official(crops(0.0, 0.75, count), crops(0.75, 1.0, count // 5))


def recognise(path: str) -> Literal["tfds", "arrays", "folder"]:
    """Tell what a path holds: prepared TFDS sets, arrays, or a folder of images.

    Raises:
        InputError: the path is absent or holds none of them.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"data.path {path} does not exist: check its spelling")
    if place.is_file():
        if place.suffix in (".npy", ".npz") or _IDX in place.name:
            return "arrays"
        raise InputError(
            f"data.path {path} is a file, but not .npy, .npz or idx: name one of those "
            "or a directory"
        )
    if any(place.glob("*/*/dataset_info.json")):
        return "tfds"
    if _array_files(place):
        return "arrays"
    if next(_image_files(place), None) is not None:
        return "folder"
    raise InputError(
        f"data.path {path} holds no images: give a folder of images, a directory with "
        "train.npz, train.npy or MNIST-style idx files, or a TFDS data directory"
    )


def tfds(
    name: str, path: str, size: int, crop: int = 0, download: bool = False
) -> Official:
    """Read an image set that TensorFlow Datasets has prepared, without TensorFlow.

    Args:
        name: the set's name, e.g. `mnist`, `cifar10`, `celeb_a`.
        path: the TFDS data directory; empty means `TFDS_DATA_DIR`, else its default.
        size: height and width of the images given.
        crop: side of the centre square to keep before resizing; 0 keeps the largest.
        download: prepare the set where it is missing (needs TensorFlow and a network).

    Raises:
        InputError: the set is missing (with the command that prepares it), or cannot
            be downloaded, or holds no images.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow_datasets as library

    place = path or os.environ.get("TFDS_DATA_DIR")
    place = str(Path(place).expanduser()) if place else None
    # Looking for a set in Google's bucket takes minutes to fail without a network.
    with contextlib.suppress(AttributeError):
        library.core.utils.gcs_utils._is_gcs_disabled = True
    if download:
        _prepare(library, name, place)
    try:
        builder = library.builder(name, data_dir=place)
        parts = dict(builder.as_data_source())
    except Exception as error:  # the library has no common exception
        raise InputError(_missing(name, place, error)) from None
    features = builder.info.features
    if "image" not in features or "train" not in parts:
        raise InputError(f"TFDS set {name} has no training images: choose an image set")
    # A FeaturesDict can be indexed, but has no `get`.
    names = getattr(features["label"], "names", ()) if "label" in features else ()
    classes = tuple(names or ())
    channels = features["image"].shape[-1]

    def part(records: Sequence[Any]) -> Source:
        def read(index: int) -> Example:
            record = records[index]
            return Example(
                _prepared(np.asarray(record["image"]), size, crop),
                int(record["label"]) if classes else -1,
            )

        return LazySource(name, (size, size, channels), len(records), read, classes)

    test = parts.get("test", parts.get("validation"))
    return Official(part(parts["train"]), None if test is None else part(test))


def _prepare(library: Any, name: str, place: str | None) -> None:
    try:
        library.builder(
            name, data_dir=place, file_format="array_record"
        ).download_and_prepare()
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"TFDS could not download {name} ({reason[:200]}): it needs a network and "
            "pip install 'gan-jax[data]'"
        ) from None


def _missing(name: str, place: str | None, error: Exception) -> str:
    root = Path(place or "~/tensorflow_datasets").expanduser()
    found = sorted({info.parts[-3] for info in root.glob("*/*/dataset_info.json")})
    if name in found:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return (
            f"TFDS set {name} in {root} cannot be read ({reason[:200]}): prepare it "
            "again with file format array_record"
        )
    have = f"it holds {', '.join(found)}" if found else "it holds no prepared set"
    return (
        f"TFDS set {name} is not in {root} ({have}); prepare it with: pip install "
        f"'gan-jax[data]' && tfds build {name} --file_format=array_record "
        f"--data_dir={root}, or add --config.data.download=True"
    )


_IDX = "-idx"


def arrays(path: str, size: int, crop: int = 0) -> Official:
    """Read `train` and `test` arrays: .npz (`image`, `label`), .npy or idx files.

    Eight-bit values are taken as they are; floats in [0, 1] or, where any is
    negative, in [-1, 1] are scaled to 0..255.

    Raises:
        InputError: no such arrays, another shape than [N, H, W] or [N, H, W, 1 or 3],
            or other values.
    """
    place = Path(path).expanduser()
    files = {"train": place} if place.is_file() else _array_files(place)
    if not files:
        raise InputError(f"data.path {path} holds no train.npz, train.npy or idx files")
    sources = {}
    for part, file in files.items():
        images, labels = _read_arrays(file)
        prepared = np.stack([_prepared(image, size, crop) for image in images])
        classes = () if labels is None else tuple(map(str, range(labels.max() + 1)))
        sources[part] = ArraySource(place.stem, prepared, labels, classes)
    return Official(sources["train"], sources.get("test"))


def _array_files(place: Path) -> dict[str, Path]:
    for suffix in (".npz", ".npy"):
        files = {
            part: place / f"{part}{suffix}"
            for part in ("train", "test")
            if (place / f"{part}{suffix}").is_file()
        }
        if "train" in files:
            return files
    files = {}
    for part, stem in (("train", "train-images"), ("test", "t10k-images")):
        found = sorted(place.glob(f"{stem}{_IDX}3-ubyte*"))
        if found:
            files[part] = found[0]
    if list(files) == ["test"]:
        files = {"train": files["test"]}
    return files


def _read_arrays(
    file: Path,
) -> tuple[UInt8[np.ndarray, "count height width channels"], np.ndarray | None]:
    labels = None
    try:
        if _IDX in file.name:
            images = _read_idx(file)
            beside = file.with_name(
                file.name.replace("images", "labels").replace("idx3", "idx1")
            )
            labels = _read_idx(beside) if beside.exists() else None
        else:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                images = loaded
            else:
                with loaded:
                    images = loaded["image"]
                    labels = loaded.get("label")
    except (OSError, ValueError, KeyError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file} cannot be read as arrays ({reason})") from None
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise InputError(
            f"{file} has images of shape {images.shape}: it must be [N, H, W] or "
            "[N, H, W, channels] with 1 or 3 channels"
        )
    if labels is not None:
        labels = np.asarray(labels).reshape(-1)
        if len(labels) != len(images) or labels.dtype.kind not in "iu":
            raise InputError(
                f"{file} has {len(images)} images and {len(labels)} labels of type "
                f"{labels.dtype}: give one whole number for each image"
            )
        labels = labels.astype(np.int32)
    return _to_8_bits(file, images), labels


def _to_8_bits(file: Path, images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind == "f" and np.isfinite(images).all():
        low, high = float(images.min()), float(images.max())
        if low >= -1 and high <= 1:
            unit = (images + 1) / 2 if low < 0 else images
            return np.rint(unit * 255).astype(np.uint8)
    raise InputError(
        f"{file} has values of type {images.dtype} that are not images: give 8-bit "
        "ones, or floats in [0, 1] or [-1, 1]"
    )


def _read_idx(file: Path) -> np.ndarray:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as stream:
        data: bytes = stream.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError("not an idx file of bytes")
    axes = data[3]
    shape = np.frombuffer(data, ">i4", axes, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _prepared(
    image: UInt8[np.ndarray, "height width channels"], size: int, crop: int
) -> UInt8[np.ndarray, "size size channels"]:
    if not crop and image.shape[:2] == (28, 28) and size == 32:
        # As is customary for MNIST: a border, not new pixels.
        return np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    return fit(image, size, crop)


def folder(
    path: str,
    size: int,
    crop: int = 0,
    pixel_limit: int = PIXEL_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
) -> Official:
    """Read a folder of images of any format that Pillow reads.

    Sub-folders are the classes; where they are called `train` and `test` (or
    `validation`, `valid`, `val`) they are the official parts. The images are grey
    where all of them are, else RGB. Every file is decoded once at the start; one that
    cannot be used is reported in `skipped`.

    Args:
        path: the folder.
        size: height and width of the images given.
        crop: side of the centre square to keep before resizing; 0 keeps the largest.
        pixel_limit: images of more pixels are skipped before decoding.
        memory_limit: bytes of prepared images above which they are decoded again at
            every reading.

    Raises:
        InputError: the folder is absent or holds no usable image.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(f"image folder {path} does not exist or is no directory")
    test = next(
        (
            root / name
            for name in ("test", "validation", "valid", "val")
            if (root / name).is_dir()
        ),
        None,
    )
    if test is None or not (root / "train").is_dir():
        return Official(
            _folder(root, root, size, crop, pixel_limit, memory_limit), None
        )
    limits = (size, crop, pixel_limit, memory_limit)
    return Official(
        _folder(root, root / "train", *limits), _folder(root, test, *limits)
    )


def _folder(
    root: Path, part: Path, size: int, crop: int, pixel_limit: int, memory_limit: int
) -> Source:
    name = root.resolve().name
    files = sorted(_image_files(part))
    skipped: list[Skipped] = []
    usable: list[Path] = []
    kept: list[np.ndarray] = []
    colour = False

    def attempt(file: Path) -> np.ndarray | str:
        try:
            return fit(decode(file, pixel_limit), size, crop)
        except BrokenImageError as error:
            return str(error)

    with ThreadPoolExecutor(_THREADS) as threads:
        for file, result in zip(files, threads.map(attempt, files), strict=True):
            if isinstance(result, str):
                skipped.append(Skipped(str(file), result))
                continue
            usable.append(file)
            colour |= result.shape[-1] == 3
            if len(usable) * size * size * 3 <= memory_limit:
                kept.append(result)
    if not usable:
        reasons = "; ".join(f"{Path(p).name}: {why}" for p, why in skipped[:3])
        raise InputError(f"{part} holds no usable image ({reasons or 'no image file'})")
    channels = 3 if colour else 1
    # Sub-folders name the classes only where every image lies in one.
    classes: tuple[str, ...] = ()
    if all(file.parent != part for file in usable):
        classes = tuple(sorted({file.relative_to(part).parts[0] for file in usable}))
    labels = [
        classes.index(file.relative_to(part).parts[0]) if classes else -1
        for file in usable
    ]
    if len(kept) == len(usable):
        images = np.stack([with_channels(image, channels) for image in kept])
        known = np.array(labels, np.int32) if classes else None
        return ArraySource(name, images, known, classes, tuple(skipped))

    def read(index: int) -> Example:
        try:
            image = fit(decode(usable[index], pixel_limit), size, crop)
        except BrokenImageError as error:
            raise InputError(
                f"{usable[index]} could be read at the start but not now ({error})"
            ) from None
        return Example(with_channels(image, channels), labels[index])

    shape = (size, size, channels)
    return LazySource(name, shape, len(usable), read, classes, tuple(skipped))


def _image_files(place: Path) -> Iterator[Path]:
    # os.walk does not follow links to directories, so there are no loops.
    for parent, folders, names in os.walk(place):
        folders.sort()
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(parent) / name
