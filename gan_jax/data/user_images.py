"""The user's own images: names for their outputs, and decoding a few at a time."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Skipped, threads
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.decode import (
    PIXEL_LIMIT,
    BrokenImageError,
    Header,
    LargeImageError,
    decode_stored,
    read_file,
    read_header,
)
from gan_jax.data.files.levels import (
    WHOLE,
    Range,
    Scaling,
    Stored,
    choose,
    given_range,
    in_use,
    whole_range,
)
from gan_jax.data.files.listing import image_files, list_users_images
from gan_jax.data.files.mask_names import pair
from gan_jax.data.mask_files import Layers, decode_layers


class InputFile(NamedTuple):
    """A file of the user's, and the name of what is made of it."""

    path: Path
    name: str
    """Path in the folder of inputs, without the suffix and with slashes, e.g.
    `good/000`. Outputs have it, and random numbers of the file depend on it alone."""


def user_images(folder: str) -> list[InputFile]:
    """Return the image files of a folder (`images` of a config) and its sub-folders.

    Files that differ in nothing but their suffix have the same name.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    listing = list_users_images(folder)
    return named_files(listing.images, Path(folder).expanduser())


def named_files(paths: Iterable[Path], root: Path) -> list[InputFile]:
    """Return files of a folder and its sub-folders with their names."""
    places = [(path, path.relative_to(root)) for path in paths]
    return [
        InputFile(path, (place.parent / place.stem).as_posix())
        for path, place in places
    ]


def without_clashes(
    files: Iterable[InputFile], is_taken: Callable[[str], bool] = lambda name: False
) -> list[InputFile]:
    """Return files whose names are neither taken nor those of files before them.

    To a name that clashes the file's suffix is added: of `a.jpg` and `a.png` the names
    are `a` and `a.png`. A number follows where that clashes too.

    Args:
        files: The files.
        is_taken: Whether something else has a name.
    """
    names: set[str] = set()
    renamed: list[InputFile] = []
    for file in files:
        whole = file.name + file.path.suffix
        numbered = (f"{whole}-{number}" for number in itertools.count(2))
        name = next(
            name
            for name in itertools.chain((file.name, whole), numbered)
            if name not in names and not is_taken(name)
        )
        names.add(name)
        renamed.append(file._replace(name=name))
    return renamed


Image8 = UInt8[np.ndarray, "_ _ _"]
"""`[height, width, channels]`; each image has its own shape."""

Prepared = TypeVar("Prepared")
Read = Callable[[Path], bytes]
"""Returns the content of a file, or raises `BrokenImageError`."""

Attempt: TypeAlias = tuple[Prepared, str] | BrokenImageError
"""A prepared image and the SHA-256 of its file, or why there is none."""


class UsersImages(NamedTuple):
    """A folder of the user's images, whose headers were read."""

    files: list[Path]
    """Files with the suffix of an image format."""
    reading: Reading
    """What is known of them before they are decoded."""


def open_folder(
    folder: str,
    choice: str,
    trained: Mapping[str, Range] | None = None,
    files: Sequence[Path] | None = None,
) -> UsersImages:
    """Read the headers of the images of a folder, and choose how levels become 8 bits.

    Images in more than 8 bits are decoded for it, and released.

    Args:
        folder: The folder; its sub-folders belong to it.
        choice: As `levels.choose` takes it.
        trained: Ranges of the images that the applied run was trained on, by kind.
        files: Those of its images that are read; None = all.

    Raises:
        InputError: If there is no such folder, no image in it, or no such choice.
    """
    given_range(choice)
    listing, known = list_users_images(folder), trained or {}
    chosen = listing.images if files is None else [*files]

    def look(file: Path) -> tuple[Header, Stored | None] | None:
        try:
            return _look(file, known)
        except BrokenImageError:
            return None  # it is reported when its turn comes

    with threads() as pool:
        looks = [each for each in pool.map(look, chosen) if each is not None]
    used = in_use(stored for _, stored in looks if stored is not None)
    reading = Reading(
        shapes=Counter((each.height, each.width, each.channels) for each, _ in looks),
        left=listing.left,
        pages=sum(each.pages - 1 for each, _ in looks),
        levels=used,
        scaling=choose(choice, used, known),
    )
    return UsersImages(chosen, reading)


def _look(
    data: bytes | Path, trained: Mapping[str, Range], pixel_limit: int = PIXEL_LIMIT
) -> tuple[Header, Stored | None]:
    """Return the header of an image, and its levels if they may be stretched."""
    header = read_header(data, pixel_limit)
    kind = header.kind
    stretched = trained.get(kind, whole_range(kind)) != whole_range(kind)
    decoded = stretched or not kind.startswith("8-bit")
    return header, decode_stored(data, pixel_limit).stored if decoded else None


def decode_alone(
    content: bytes,
    choice: str,
    trained: Mapping[str, Range],
    pixel_limit: int = PIXEL_LIMIT,
) -> Layers:
    """Decode one file with its transparency, as if it lay in a folder alone.

    Args:
        content: Content of the file.
        choice: As `levels.choose` takes it.
        trained: Ranges of the images that the applied run was trained on, by kind.
        pixel_limit: Largest number of pixels.

    Raises:
        BrokenImageError: As `decode`.
        InputError: If there is no such choice.
    """
    _, stored = _look(content, trained, pixel_limit)
    used = in_use([] if stored is None else [stored])
    return decode_layers(content, pixel_limit, choose(choice, used, trained))


def list_masked(
    files: Sequence[Path], images: str, masks: str
) -> dict[Path, list[Path]]:
    """Return image files, each with the files of its masks, and no masks among them.

    Args:
        files: The image files of a folder and its sub-folders.
        images: That folder (`images` of a config).
        masks: The folder of the masks, or one mask for all (`masks` of a config).

    Raises:
        InputError: If the folder of the masks holds no images, or cannot be read.
    """
    place = Path(masks).expanduser()
    found = [*image_files(place)] if place.is_dir() else [place]
    if not found:
        raise InputError(
            f"--config.masks {masks} holds no image files: give a mask of every "
            "image's name, or one mask for all"
        )
    return pair(files, Path(images).expanduser(), found, place)


class DecodedFiles(NamedTuple, Generic[Prepared]):
    """A chunk of the files: the prepared images, and the files that were skipped."""

    files: list[InputFile]
    images: list[Prepared]
    digests: list[str]
    """SHA-256 of each file that was decoded."""
    skipped: list[Skipped]


def decode_files(
    files: Sequence[InputFile],
    preprocess: Callable[[InputFile, Layers], Prepared],
    chunk_size: int,
    read: Read = read_file,
    scaling: Scaling = WHOLE,
) -> Iterator[DecodedFiles[Prepared]]:
    """Yield files decoded in threads, a chunk at a time.

    Files that cannot be used are skipped with the reason.

    Args:
        files: The files.
        preprocess: Function of a file and its image with its transparency; it may raise
            `BrokenImageError`.
        chunk_size: Number of files in a chunk. It has fewer where images are large:
            chunks end before the large ones have more than `PIXEL_LIMIT` pixels.
        read: Function that returns the content of a file.
        scaling: How levels become 8 bits.
    """

    def attempt(file: InputFile, pixel_limit: int = PIXEL_LIMIT) -> Attempt[Prepared]:
        try:
            data = read(file.path)
            prepared = preprocess(file, decode_layers(data, pixel_limit, scaling))
            return prepared, hashlib.sha256(data).hexdigest()
        except BrokenImageError as error:
            return error

    def attempt_small(file: InputFile) -> Attempt[Prepared]:
        # However many there are of them, they have no more pixels together.
        return attempt(file, PIXEL_LIMIT // chunk_size)

    def finish(first: tuple[InputFile, Attempt[Prepared]]) -> Attempt[Prepared]:
        file, result = first
        return attempt(file) if isinstance(result, LargeImageError) else result

    with threads() as pool:
        for first in range(0, len(files), chunk_size):
            some = files[first : first + chunk_size]
            attempts = zip(some, pool.map(attempt_small, some), strict=True)
            for group in _groups(attempts):
                chunk: DecodedFiles[Prepared] = DecodedFiles([], [], [], [])
                results = pool.map(finish, group)
                for (file, _), result in zip(group, results, strict=True):
                    if isinstance(result, BrokenImageError):
                        chunk.skipped.append(Skipped(str(file.path), str(result)))
                    else:
                        chunk.files.append(file)
                        image, digest = result
                        chunk.images.append(image)
                        chunk.digests.append(digest)
                yield chunk


def _groups(
    attempts: Iterable[tuple[InputFile, Attempt[Prepared]]],
) -> Iterator[list[tuple[InputFile, Attempt[Prepared]]]]:
    """Yield the attempts in groups whose large images may be decoded together."""
    group: list[tuple[InputFile, Attempt[Prepared]]] = []
    total = 0
    for file, result in attempts:
        pixels = result.pixels if isinstance(result, LargeImageError) else 0
        if group and total + pixels > PIXEL_LIMIT:
            yield group
            group, total = [], 0
        group.append((file, result))
        total += pixels
    yield group
