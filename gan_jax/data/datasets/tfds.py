"""Datasets that TensorFlow Datasets (TFDS) has prepared, read without TensorFlow."""

import contextlib
import difflib
import importlib.util
import io
import logging
import os
import shlex
import socket
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data.datasets.dataset import Dataset, LabelledImage, LazySource
from gan_jax.data.datasets.prepared_sets import (
    PreparedSet,
    foreign_classes,
    prepared_sets,
)
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.decode import BrokenImageError, crop_and_resize, decode, with_channels
from gan_jax.data.files.contents import Content, content_by
from gan_jax.data.files.levels import AUTO, Scaling, given_range

_FORMAT = "array_record"  # the format with random access without TensorFlow


def data_directory(path: str = "") -> Path:
    """Return the TFDS data directory at a path; of an empty one, the default."""
    root = path or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(root).expanduser()


def read_tfds(
    name: str,
    path: str,
    size: int | Size,
    crop: int = 0,
    download: bool = False,
    levels: str = AUTO,
) -> Dataset:
    """Read an image dataset that TensorFlow Datasets has prepared.

    The test part is the split `test`, or else `validation`. Images are the feature
    `image`, labels the feature `label` if it has class names. Records are decoded on
    reading; `dataset.in_memory` reads all of them.

    Args:
        name: Name of the dataset, e.g. `mnist`, `celeb_a` or `emnist/letters`; may be
            empty if the path holds one dataset only.
        path: TFDS data directory; by default `TFDS_DATA_DIR`, else
            `~/tensorflow_datasets`.
        size: Size to which images are resized; a number is that of squares.
        crop: Longer side of the centre that is kept; 0 keeps the largest centre.
        download: Whether to download and prepare a missing dataset, which needs
            TensorFlow and a network.
        levels: How levels become 8 bits: `a:b`, or as `full` by the range of the files.

    Raises:
        InputError: If the dataset is missing (with the command that prepares it),
            cannot be downloaded or read, or holds no images.
    """
    place = data_directory(path)
    prepared = _newest(name, prepared_sets(place))
    if prepared is None and download and name:
        _download(name, place)
        prepared = _newest(name, prepared_sets(place))
    if prepared is None:
        raise InputError(_missing(name, place))
    name = name or prepared.name
    with _quiet():
        scaling = Scaling(given_range(levels))
        return _open(name, prepared.place, size_of(size), crop, scaling)


def _newest(name: str, sets: list[PreparedSet]) -> PreparedSet | None:
    """Return the newest version of a dataset; an empty name means the only dataset."""
    if not name and len({prepared.name for prepared in sets}) == 1:
        name = sets[0].name
    named = [prepared for prepared in sets if prepared.name == name]
    if not named and "/" not in name:  # a dataset with one variant
        named = [prepared for prepared in sets if prepared.name.split("/")[0] == name]
        if len({prepared.name for prepared in named}) > 1:
            named = []
    readable = [prepared for prepared in named if prepared.form == _FORMAT]
    if named and not readable:
        raise InputError(
            f"TFDS set {name} in {named[0].place} is prepared as {named[0].form}, "
            "which only TensorFlow reads: prepare it in another directory with "
            f"{_command(name, Path('DIR'))}"
        )
    return max(readable, key=lambda prepared: prepared.version, default=None)


def _command(name: str, place: Path) -> str:
    return (
        "pip install 'gan-jax[data]' && "
        f"tfds build {shlex.quote(name)} --file_format={_FORMAT} "
        f"{shlex.quote(f'--data_dir={place}')}"
    )


def _missing(name: str, place: Path) -> str:
    there = sorted({prepared.name for prepared in prepared_sets(place)})
    holds = f"it holds {', '.join(there)}" if there else "it holds no prepared set"
    if not name:
        return f"name a TFDS set of {place} with --config.data.name ({holds})"
    stem, known = name.split("/")[0], _own_sets()
    if stem not in known:
        near = difflib.get_close_matches(stem, {*there, *known}, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "check the name."
        return (
            f"TFDS has no set {name!r}, and none is in {place} ({holds}): {hint} "
            f"Prepare a set of your own with {_command(name, place)}"
        )
    return (
        f"TFDS set {name} is not in {place} ({holds}): prepare it with "
        f"{_command(name, place)}, or add --config.data.download=True"
    )


def _own_sets() -> list[str]:
    """Return the names of the sets whose code is part of TFDS, or was registered."""
    with _quiet():
        import tensorflow_datasets

        names: list[str] = tensorflow_datasets.list_builders(
            with_community_datasets=False
        )
        return names


def _download(name: str, place: Path) -> None:
    """Download and prepare a set by the code of TFDS, never by files in the place.

    `tensorflow_datasets.builder` would read a set that it has no code for, and ask
    other sites for names with a namespace.
    """
    stem, _, variant = name.partition("/")
    if stem not in _own_sets():
        raise InputError(_missing(name, place))
    for description in sorted((place / stem).rglob("features.json")):
        _check_classes(name, description.parent)
    problem = None
    if importlib.util.find_spec("tensorflow") is None:
        problem = "TensorFlow is not installed: pip install 'gan-jax[data]'"
    elif not any(os.environ.get(key) for key in ("https_proxy", "HTTPS_PROXY")):
        try:  # without a network TFDS retries for minutes before it fails
            socket.getaddrinfo("storage.googleapis.com", 443)
        except OSError:
            problem = "there is no network: prepare it elsewhere and copy the directory"
    if problem is None:
        try:
            with _quiet():
                import tensorflow_datasets

                builder = tensorflow_datasets.builder_cls(stem)(
                    data_dir=place, config=variant or None, file_format=_FORMAT
                )
                builder.download_and_prepare(file_format=_FORMAT)
        except Exception as error:  # any error of the network or of the archive
            problem = f"{_words(error)}: run {_command(name, place)} to see more"
    if problem is not None:
        raise InputError(f"TFDS set {name} cannot be downloaded: {problem}")


def _check_classes(name: str, place: Path) -> None:
    """Raise an `InputError` if a set's description names a class outside TFDS."""
    try:
        foreign = foreign_classes(place)
    except (OSError, ValueError) as error:
        raise InputError(_unreadable(name, place, error)) from None
    if foreign:
        raise InputError(
            f"TFDS set {name} in {place} is refused: its features.json names the "
            f"Python class '{foreign[0]}', whose module would be run; only features of "
            "TFDS itself are read: prepare it without others"
        )


def _open(name: str, place: Path, size: Size, crop: int, scaling: Scaling) -> Dataset:
    # Read by the directory's own description: TFDS needs neither the code that prepared
    # the dataset nor the network.
    _check_classes(name, place)
    import tensorflow_datasets

    try:
        builder = tensorflow_datasets.builder_from_directory(place)
        features = dict(builder.info.features)
        splits = [
            key for key, split in builder.info.splits.items() if split.num_examples
        ]
    except Exception as error:
        raise InputError(_unreadable(name, place, error)) from None
    image = features.get("image")
    if not isinstance(image, tensorflow_datasets.features.Image):
        raise InputError(
            f"TFDS set {name} has no feature 'image' (it has {', '.join(features)}): "
            "choose an image set"
        )
    if image.np_dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"TFDS set {name} has images of {image.np_dtype}, not of 8 or 16 bits: "
            "choose another set"
        )
    if "train" not in splits:
        raise InputError(
            f"TFDS set {name} has no split 'train' (it has {', '.join(splits)}): "
            "choose another set"
        )
    label = features.get("label")
    classes = tuple(getattr(label, "names", None) or ())
    wanted = {"image": image} | ({"label": label} if classes else {})
    read_features = tensorflow_datasets.features.FeaturesDict(wanted)
    # Images are decoded by `decode`, as in folders: TFDS would use OpenCV if it is
    # installed, whose pixels differ.
    undecoded = {"image": tensorflow_datasets.decode.SkipDecoding()}

    def part(split: str) -> LazySource:
        try:
            records = builder.as_data_source(
                split,
                deserialize_method=tensorflow_datasets.decode.DeserializeMethod.RAW_BYTES,
            )
        except Exception as error:
            raise InputError(_unreadable(name, place, error)) from None

        def example(index: int, raw: bytes, channels: int | None) -> LabelledImage:
            try:
                record = read_features.deserialize_example_np(raw, decoders=undecoded)
                decoded = decode(record["image"], scaling=scaling)
                pixels = crop_and_resize(decoded, size, crop)
                if channels is not None:
                    pixels = with_channels(pixels, channels)
            except BrokenImageError as error:
                raise InputError(
                    f"TFDS set {name}, split {split}, image {index}: {error}"
                ) from None
            return LabelledImage(pixels, int(record["label"]) if classes else -1)

        def examples(
            indices: Sequence[int], channels: int | None = None
        ) -> list[LabelledImage]:
            try:
                raw = records.__getitems__(list(indices))  # one by one takes 3 times
                return [
                    example(index, record, channels)
                    for index, record in zip(indices, raw, strict=True)
                ]
            except InputError:
                raise
            except Exception as error:
                raise InputError(_unreadable(name, place, error)) from None

        # The channels that the dataset declares, or else those of the first image.
        declared = {1: 1, 3: 3, 4: 3}.get(image.shape[-1])
        first = examples([0], declared)[0]
        shape = (*size, first.image.shape[-1])
        return LazySource(
            name,
            shape,
            len(records),
            lambda indices: examples(indices, shape[-1]),
            classes,
        )

    def content(split: str) -> Content:
        """Return the content of a split, told by the sizes of its files.

        Images are compressed in them: others have another size. Reading all of a large
        set would take minutes.
        """
        info = builder.info.splits[split]
        names = sorted(info.filenames)
        shards = {name: (place / name).stat().st_size for name in names}
        description = (place / "features.json").read_bytes() + repr(shards).encode()
        holds = f"{info.num_examples:,} images of version {builder.info.version}"
        return content_by(description, sum(shards.values()), holds)

    test = next((split for split in ("test", "validation") if split in splits), None)
    dataset = Dataset(
        part("train"),
        None if test is None else part(test),
        contents={split: content(split) for split in ("train", test) if split},
    )
    if None in image.shape[:2]:
        return dataset
    # As they are stored, before they are cropped.
    height, width = image.shape[:2]
    channels = dataset.train.shape[-1]
    shapes = {(height, width, channels): sum(map(len, dataset.parts))}
    return dataset._replace(reading=Reading(shapes=shapes))


def _unreadable(name: str, place: Path, error: Exception) -> str:
    return (
        f"TFDS set {name} in {place} cannot be read ({_words(error)}): delete it and "
        f"prepare it again with {_command(name, Path('DIR'))}"
    )


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress output, logs and warnings of TFDS and of its imports."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    nowhere = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
