"""Training images of geostatistics: one large image, of which crops are the dataset.

A training image shows the expected patterns of the underground, drawn by hand or
from an outcrop (Strebelle 2002, Math. Geology 34(1)).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data.datasets.crops import cut, free_places
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.files.contents import content_of
from gan_jax.data.files.pillow import image_suffixes
from gan_jax.data.grids import channels, gaps, rasters, units
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.tables import read_table
from gan_jax.data.grids.units import Chosen
from gan_jax.data.grids.volumes import Volume, gridded, section_of, volume_of
from gan_jax.data.memory import UnreadableFileError, check_fits, open_file

COUNT = 8000
"""Training crops; a quarter as many are for the test."""

_FLAG = "data.path"
_HEAD = 4096  # bytes of which a text is told
_MARGIN = 16  # least number of columns of each part beyond the width of a crop


class Choices(NamedTuple):
    """What a user chooses of a file; an empty text is chosen by what the file holds."""

    variable: str = ""
    """Name of the variable."""
    no_data: str = ""
    """Numbers that stand for no value, joined by commas; or `none`."""
    scale: str = ""
    """`linear`, `log` or `rank` for a property, `codes` for facies."""
    layer: int = 0
    """Layer of a volume, counted from 1, the lowest; 0 = it has only one."""
    grid: str = ""
    """Numbers of cells of a table that states none, as `volumes.gridded` takes them."""


RECOGNISED = Choices()
"""Everything is chosen by what the file holds."""


class TrainingImage(NamedTuple):
    """A training image in native values."""

    name: str
    values: Float[np.ndarray, "height width"]
    """Native values, the upper row first; NaN where there is none."""
    geometry: Geometry
    chosen: Chosen
    """Its units."""
    gaps: str = ""
    """How many cells have no value, and how they are written; empty if all have one."""
    notes: tuple[str, ...] = ()
    """What was chosen in reading, in one line each."""
    variable: str = ""
    """Name of the variable; empty where the file has none."""


def read_training_image(path: str, choices: Choices = RECOGNISED) -> TrainingImage:
    """Read a training image: a text table, an array, or an image of one channel.

    y runs up in tables, so that their last row is the upper one of the image. Arrays
    and images have their upper row first. Of a vertical section z runs up.

    Raises:
        InputError: If the file cannot be read, is too large, has several variables or
            layers and none is chosen, or has the same value in all cells.
    """
    what = f"--config.{_FLAG} {path}"
    codes = gaps.parse(choices.no_data, "data.no_data")
    place = Path(path).expanduser()
    volume = _volume(path, choices, what)
    values, geometry = section_of(volume, choices.layer, what)
    found = gaps.fill_gaps(values, codes)
    written = ", ".join(f"{code:g}" for code in found) or "NaN"
    finite = np.isfinite(values)
    least = float(values.min(where=finite, initial=np.inf))
    most = float(values.max(where=finite, initial=-np.inf))
    if not finite.any():
        raise InputError(f"{what}: no cell has a value ({written}): give another file")
    if least >= most:
        but = ", but for cells without a value" if not finite.all() else ""
        if found:
            but += f" ({written}; --config.data.no_data={gaps.NONE} keeps them)"
        raise InputError(
            f"{what} has the same value in all cells{but}: give a grid that has a "
            "pattern"
        )
    notes = [*volume.notes]
    missing = values.size - int(finite.sum())
    without = ""
    if missing:
        share = missing / values.size
        without = f"{missing} cells ({share:.1%}) have no value ({written})"
        notes.append(f"{without}: no crop touches them")
    chosen = units.of_image(values, choices.scale, "data.scale")
    if chosen.reason:
        notes.append(chosen.reason)
    return TrainingImage(
        place.stem, values, geometry, chosen, without, tuple(notes), volume.name
    )


def read_crops(
    path: str, size: int | Size, count: int = COUNT, choices: Choices = RECOGNISED
) -> Dataset:
    """Return random crops of a training image, in grey with its minimum black.

    A number is the height and width of square crops.
    Errors are those of `read_training_image` and `crops_of`.
    """
    image = read_training_image(path, choices)
    dataset = crops_of(image, *size_of(size), count, f"--config.{_FLAG} {path}")
    rows, columns = image.values.shape
    file = Path(path).expanduser()
    content = content_of(file, f"{rows}x{columns} cells")
    return dataset._replace(contents={file.name: content})


def embedded_crops(size: int | Size, count: int = COUNT) -> Dataset:
    """Return crops of the channels that are made here; errors are of `crops_of`."""
    values = channels.channels().astype(np.float32)
    image = TrainingImage(
        "channels",
        values,
        Geometry(len(values), values.shape[1], origin=(0.5, 0.5)),
        units.of_image(values, "", "data.scale"),
    )
    return crops_of(image, *size_of(size), count, "the training image channels")


def crops_of(
    image: TrainingImage, height: int, width: int, count: int, what: str
) -> Dataset:
    """Return random crops of a training image as 8-bit levels.

    `count` training crops are from the left part of the image, a quarter as many test
    crops from the right one, so that they do not overlap. No crop holds a cell without
    a value. Facies have the same shares in the crops as in their part of the image. The
    same size and count always return the same crops.

    Args:
        image: The training image.
        height: Height of a crop in cells.
        width: Width of a crop in cells.
        count: Number of training crops.
        what: The image, for messages.

    Raises:
        InputError: If the image is too small for the crops, or no place is left between
            the cells without a value.
    """
    rows, columns = image.values.shape
    edge = columns - max(width + _MARGIN, columns // 4)
    if edge < width + _MARGIN or rows < height:
        raise InputError(
            f"{what} has {rows}x{columns} cells (height x width), too small for "
            f"training and test crops of {height}x{width}: choose a smaller "
            "--config.data.size"
        )
    check_fits(
        f"{what}: {count + count // 4} crops of {height}x{width}",
        2 * (count + count // 4) * height * width,
        "lower --config.data.size",
    )
    holes = np.isnan(image.values)
    free = None
    if holes.any():
        free = free_places(holes, height, width)
        places = np.flatnonzero(free.any(axis=0))
        if not places.size or places[0] + width > places[-1]:
            raise InputError(
                f"{what}: {image.gaps}, and no two crops of {height}x{width} side by "
                "side are free of them: fill them, or choose a smaller "
                "--config.data.size"
            )
        # The parts meet where each has a place.
        edge = min(max(edge, int(places[0]) + width), int(places[-1]))
    levels = image.chosen.units.levels(image.values)
    generator = np.random.Generator(np.random.Philox(0))
    parts = []
    for first, last, number in ((0, edge, count), (edge, columns, count // 4)):
        inside = None if free is None else free[:, first : last - width + 1]
        part = levels[:, first:last]
        images = cut(part, height, width, number, generator, inside)
        parts.append(ArraySource(image.name, images))
    return Dataset(
        train=parts[0],
        test=parts[1],
        units=image.chosen.units,
        geometry=image.geometry,
        variable=image.variable,
        proportions=image.chosen.shares,
        reading=Reading({(rows, columns, 1): 1}, notes=image.notes),
    )


def _volume(path: str, choices: Choices, what: str) -> Volume:
    if is_raster(Path(path)):
        if choices.grid:
            raise InputError(
                f"{what} is an array or an image, which has numbers of cells of its "
                "own: leave out --config.data.grid"
            )
        return rasters.read_raster(path, choices.variable, what)
    table = read_table(path, _FLAG)
    if choices.grid:
        table = gridded(table, choices.grid, what)
    return volume_of(table, choices.variable, what)


def is_raster(file: Path) -> bool:
    """Return whether a file holds an array or an image, by its suffix.

    A text is none, whatever its suffix.
    """
    named = file.suffix.lower() in (*rasters.SUFFIXES, *image_suffixes())
    return named and not is_text(file)


def is_text(file: Path) -> bool:
    """Return whether a file begins as text does, in any 8-bit encoding or UTF-16."""
    try:
        with open_file(file) as stream:
            head = stream.read(_HEAD)
    except UnreadableFileError:
        return False
    return head[:2] in (b"\xff\xfe", b"\xfe\xff") or not any(
        byte < 32 and byte not in b"\t\n\v\f\r\x1a" for byte in head
    )
