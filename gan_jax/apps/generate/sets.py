"""Sets of known values: their files, and their grids."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.generate.prior import Source
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, memory_limit, size_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.files.mask_names import pair
from gan_jax.data.files.pillow import image_suffixes
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.headers import number
from gan_jax.data.grids.known import read_known
from gan_jax.data.grids.points import KnownGrid, Points, placed
from gan_jax.data.grids.units import LEVELS
from gan_jax.data.memory import UnreadableFileError, check_fits
from gan_jax.data.user_images import InputFile, without_clashes
from gan_jax.report.files import short_name
from gan_jax.runs.apply import trained_levels

_TABLES = frozenset(
    {".csv", ".tsv", ".txt", ".gslib", ".dat", ".out", ".sgems", ".eas", ".pts"}
)
_ARRAYS = frozenset({".npz", ".npy"})
_BYTES = 64  # of the known values of a cell, while they are read
_UNKNOWN = "unconditional"  # name of the set without known values


class KnownFile(NamedTuple):
    """A file of known values."""

    name: str
    """Name of the set, and path of its folder of results, as `InputFile` has it."""
    path: Path
    mask: Path | None = None
    """The image that is its mask."""


class KnownSet(NamedTuple):
    """Known values on the grid on which images are generated."""

    name: str
    source: str
    """Path of the file; empty where nothing is known."""
    known: KnownGrid
    geometry: Geometry
    is_point_set: bool = False
    """Whether the file is one of GSLIB, so that results are written for GSLIB too."""

    @property
    def size(self) -> Size:
        """Height and width of the grid."""
        return Size(self.geometry.height, self.geometry.width)

    @property
    def digest(self) -> str:
        """Hash of the known values and of their places."""
        sha256 = hashlib.sha256(repr((self.geometry, self.is_point_set)).encode())
        for array in self.known:
            sha256.update(np.ascontiguousarray(array, np.float64).data)
        return sha256.hexdigest()


class Outline(NamedTuple):
    """What is kept of a set while others are made: its grid may be large."""

    file: KnownFile | None
    """Its file; None where nothing is known."""
    name: str
    size: Size
    """Height and width of the grid."""
    digest: str
    """As that of the set."""

    @property
    def source(self) -> str:
        """Path of the file; empty where nothing is known."""
        return str(self.file.path) if self.file else ""

    def read(self, config: ConfigDict, source: Source) -> KnownSet:
        """Return the set, read again.

        Raises:
            InputError: The file cannot be used, or holds other values than before.
        """
        known = read_set(self.file, config, source)
        if known.digest != self.digest:
            raise InputError(f"{self.source} was changed meanwhile: run again")
        return known


def outline(file: KnownFile | None, config: ConfigDict, source: Source) -> Outline:
    """Return what is kept of the set of a file; None = the set without known values.

    Raises:
        InputError: As `read_set`.
    """
    known = read_set(file, config, source)
    return Outline(file, known.name, known.size, known.digest)


def known_files(known: str) -> list[KnownFile]:
    """Return the files of known values (`known` of a config); none where it is empty.

    It is a file, an image and its mask joined by a comma, or a folder with files of all
    kinds, where `name_mask.png` is the mask of `name.png`.

    Raises:
        InputError: There is no such file, or no file of known values in the folder.
    """
    if not known:
        return []
    root = Path(known).expanduser()
    if root.is_dir():
        files = list(_of_folder(root))
        if not files:
            raise InputError(
                f"--config.known {known} holds no file of known values: give CSV, GSLIB"
                " or .npz files, or images each with a mask (name.png, name_mask.png)"
            )
        return files
    image, comma, mask = known.rpartition(",")
    if comma and not root.exists():
        path = Path(image).expanduser()
        return [KnownFile(_name(path), path, Path(mask.strip()).expanduser())]
    if not root.exists():
        raise InputError(f"--config.known {known} does not exist: check its spelling")
    return [KnownFile(_name(root), root)]


def _of_folder(root: Path) -> Iterator[KnownFile]:
    """Yield the files of known values in a folder and its sub-folders, in their order.

    Hidden ones are left out. Masks of no image, images without a mask, and links to
    nothing are among them: reading refuses each in a line.

    Raises:
        InputError: The folder cannot be read.
    """
    images = image_suffixes()
    try:
        every = sorted(
            path
            for path in root.rglob("*")
            if path.suffix.lower() in {*_TABLES, *_ARRAYS, *images}
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
            and (path.is_file() or path.is_symlink())
        )
    except OSError as error:
        raise InputError(f"--config.known {root}: {error.strerror}") from None
    files = [path for path in every if path.suffix.lower() in images]
    masks = pair(files, root, files, root)
    tables = {*every} - {*files}
    sets = [path for path in every if path in masks or path in tables]
    for path, name in _named_sets(sets, root):
        found = [mask for mask in masks.get(path, ()) if mask != path]
        yield KnownFile(name, path, found[0] if len(found) == 1 else None)


def _named_sets(paths: Sequence[Path], root: Path) -> list[InputFile]:
    """Return the files of sets in a folder with the names of their results' folders.

    No two are the same, and none lies inside another: a set's folder holds nothing of
    other sets.
    """
    folders = {
        parent.as_posix()
        for path in paths
        for parent in path.relative_to(root).parents[:-1]
    }
    files = [
        InputFile(path, (path.relative_to(root).parent / _name(path)).as_posix())
        for path in paths
    ]
    return without_clashes(files, folders.__contains__)


def _name(path: Path) -> str:
    """Return the name of a file's set, which can be one of a folder."""
    return short_name(path.stem) if path.stem.strip(".") else "known"


def read_set(file: KnownFile | None, config: ConfigDict, source: Source) -> KnownSet:
    """Return the known values of a file on the grid that a config asks for.

    Args:
        file: The file; None = nothing is known.
        config: Config of the run.
        source: The run that images come from.

    Raises:
        InputError: As `known_set`.
    """
    if file is None:
        return _unknown_set(config, source)
    what = f"--config.known {file.path}"
    known = known_values(file.path, file.mask, config, source, what)
    return KnownSet(file.name, str(file.path), *known)


def known_values(
    data: bytes | Path,
    mask: bytes | Path | None,
    config: ConfigDict,
    source: Source,
    what: str,
) -> tuple[KnownGrid, Geometry, bool]:
    """Return known values on the grid that a config asks for.

    Args:
        data: Content of a file of known values, or its path.
        mask: Content or path of the image that is its mask; None = it has none.
        config: Config of the run.
        source: The run that images come from.
        what: The file, for messages.

    Returns:
        The values, the grid, and whether they come from a point set of GSLIB.

    Raises:
        InputError: The file cannot be used, the message names the first bad point; or
            the run cannot make images of the size.
    """
    content = read_known(
        data,
        mask,
        levels=source.units == LEVELS,
        scaling=trained_levels(source.prior.config, source.prior.summary).scaling,
        variable=config.variable,
        usual=source.variable,
        what=what,
        memory=memory_limit(config),
    )
    size = source.trained_size
    if config.size:
        size = _asked_size(config.size)
    elif isinstance(content, KnownGrid):
        size = Size(*content.mask.shape)
    elif content.upward and source.geometry and source.makes_any_size:
        size = Size(source.geometry.height, source.geometry.width)
    source.check_size(size)
    geometry = _geometry(config, source, size)
    try:
        known = placed(
            content,
            geometry,
            source.channels,
            source.units,
            config.snap,
            source.makes_any_size,
        )
    except UnreadableFileError as error:
        raise InputError(f"{what}: {error}") from None
    return known, geometry, isinstance(content, Points) and content.upward


def _unknown_set(config: ConfigDict, source: Source) -> KnownSet:
    """Return the set in which nothing is known."""
    size = _asked_size(config.size) if config.size else source.trained_size
    source.check_size(size)
    known = KnownGrid(
        np.zeros((*size, source.channels)), np.zeros(size, bool), np.full(size, np.nan)
    )
    return KnownSet(_UNKNOWN, "", known, _geometry(config, source, size))


def outlines(config: ConfigDict, source: Source) -> tuple[list[Outline], list[Skipped]]:
    """Return the sets of known values that a config names, and files left out.

    Every file is read and checked, one at a time.

    Raises:
        InputError: A single file, or every file of a folder, cannot be used.
    """
    files = known_files(config.known)
    if not files:
        return [outline(None, config, source)], []
    sets: list[Outline] = []
    skipped: list[Skipped] = []
    for file in files:
        try:
            sets.append(outline(file, config, source))
        except InputError as error:
            if len(files) == 1:
                raise
            skipped.append(Skipped(str(file.path), str(error)))
    if not sets:
        raise InputError(f"no file of --config.known can be used: {skipped[0].reason}")
    return sets, skipped


def _asked_size(text: str) -> Size:
    """Return the size that text such as `250x300` stands for, as `size_of` does.

    Raises:
        InputError: It is no size, or its known values do not fit into memory.
    """
    size = size_of(text, "size")
    check_fits(f"--config.size={text}", _BYTES * size.pixels, "give a smaller one")
    return size


def _geometry(config: ConfigDict, source: Source, size: Size) -> Geometry:
    """Return where the cells of a grid of a size lie."""
    given = source.geometry or Geometry(*size)
    origin, cell = given.origin, given.cell
    if config.grid.origin:
        origin = _pair(config.grid.origin, "grid.origin")
    if config.grid.cell:
        cell = _pair(config.grid.cell, "grid.cell")
        if min(cell) <= 0:
            raise InputError(
                f"--config.grid.cell '{config.grid.cell}' has no size above 0: give the"
                " sides of a cell along x and y, e.g. 10,10"
            )
    return Geometry(*size, cell, origin)


def _pair(text: str, key: str) -> tuple[float, float]:
    """Return the two numbers of text joined by a comma; a cell may have one alone."""
    numbers = [number(word.strip()) for word in text.split(",")]
    if key == "grid.cell" and len(numbers) == 1:
        numbers *= 2
    if len(numbers) != 2 or not np.isfinite(numbers).all():
        raise InputError(
            f"--config.{key} '{text}' is not two numbers, of x and y: give e.g. 10,10"
        )
    return numbers[0], numbers[1]
