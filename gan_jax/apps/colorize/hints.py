"""The user's hints: colours at places of an image, and the files that hold them."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError, printable
from gan_jax.config.limits import Size
from gan_jax.data.files.listing import list_users_images
from gan_jax.data.grids.csv_files import decoded, read_points
from gan_jax.data.masks import Known
from gan_jax.data.memory import UnreadableFileError, read_file
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.tasks.hints import takes_hints

Hints: TypeAlias = Float[np.ndarray, "hints 5"]
"""Rows x, y, red, green, blue: column and row in an image, from 0 at the upper left,
and levels from 0 to 255."""

NO_HINTS: Hints = np.zeros((0, 5), np.float32)

_LARGEST = 2**24  # bytes of a file of hints
_SHOWN = 3  # files that are named


def check_hints(hints: np.ndarray, size: Size) -> None:
    """Refuse hints that lie outside an image of a size, or that are no colours.

    Raises:
        InputError: Names the first of them.
    """
    if hints.ndim != 2 or hints.shape[1] != NO_HINTS.shape[1]:
        raise InputError(
            f"hints of the shape {hints.shape}: give rows of x, y, red, green, blue"
        )
    places, colours = np.floor(hints[:, :2] + 0.5), hints[:, 2:]
    sides = np.array([size.width, size.height])
    outside = ~np.all((places >= 0) & (places < sides), axis=1)  # NaN is outside
    if outside.any():
        raise InputError(
            f"{_hint(hints, outside)} lies outside the image: x (column) runs from 0 "
            f"to {size.width - 1} and y (row) from 0 to {size.height - 1}, from the "
            "upper left"
        )
    wrong = ~np.all((colours >= 0) & (colours <= 255), axis=1)
    if wrong.any():
        raise InputError(
            f"{_hint(hints, wrong)} is no colour: red, green and blue are numbers from "
            "0 to 255"
        )


def _hint(hints: Hints, marked: np.ndarray) -> str:
    at = int(np.argmax(marked))
    x, y, *colour = (f"{value:.9g}" for value in hints[at])
    return f"hint {at + 1} (x={x}, y={y}, colour {', '.join(colour)})"


def check_takes_hints(prior: Prior) -> None:
    """Refuse a prior that was trained without hints.

    Raises:
        InputError: If it was.
    """
    if not takes_hints(prior.task):
        raise InputError(
            f"prior {prior.workdir} takes no hints: leave them out, or train one that "
            "does with --config=configs/colorize.py:hints"
        )


def on_grid(
    hints: Hints, ab: Float[np.ndarray, "hints 2"], image: Size, grid: Size
) -> Known:
    """Return the hints of an image as known colours, a batch of one, for a network.

    A hint at whole numbers is in the cell that holds the middle of its pixel. A cell
    with several has the mean of their ab.

    Args:
        hints: The hints, which lie inside the image.
        ab: Scaled ab of their colours.
        image: Size of the image.
        grid: Size of the images that the network sees, whose pixels are the cells.
    """
    cells, sides = np.array(grid[::-1]), np.array(image[::-1])
    places = (hints[:, :2].astype(np.float64) + 0.5) * cells / sides
    columns, rows = places.clip(0, cells - 1).astype(int).T
    sums, counts = np.zeros((*grid, 2)), np.zeros((*grid, 1))
    np.add.at(sums, (rows, columns), ab)
    np.add.at(counts, (rows, columns), 1)
    # NumPy alone: each number of hints would be compiled anew.
    maps = sums / np.maximum(counts, 1), counts > 0
    return Known(*(jnp.asarray(map_[None].astype(np.float32)) for map_ in maps))


def read_hints(content: bytes) -> Hints:
    """Return the hints of a CSV file with the columns x, y, r, g and b.

    Raises:
        UnreadableFileError: It holds none; the message is one line.
    """
    points = read_points(decoded(content))
    if points.values.shape[1] != 3:
        raise UnreadableFileError(
            "it has one column of values, and a hint is a colour: its first line must "
            "name the columns x,y,r,g,b"
        )
    return np.column_stack([points.x, points.y, points.values]).astype(np.float32)


def hint_files(config: ConfigDict) -> dict[Path, Path]:
    """Return the files of hints that a config names, by the image that each is for.

    A file is for all images. Of a folder, `NAME.csv` or `NAME.png.csv` is for the image
    `NAME.png` of the same sub-folder; an image without one is not in the result.

    Raises:
        InputError: There is no image, or the folder holds no hints of one.
    """
    if not (config.hints and config.images):
        return {}
    images = list_users_images(config.images).images
    root = Path(config.hints).expanduser()
    if not root.is_dir():
        return dict.fromkeys(images, root)
    files = {
        _name(path.relative_to(root).with_suffix("")): path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() == ".csv" and not path.name.startswith(".")
    }
    folder, found = Path(config.images).expanduser(), {}
    for image in images:
        own = image.relative_to(folder)
        for name in (_name(own), _name(own.with_suffix(""))):
            if name in files:
                found[image] = files[name]
                break
    others = sorted(set(files.values()) - set(found.values()))
    if not found:
        raise InputError(
            f"--config.hints {config.hints} holds no hints of an image: name them as "
            "the images, NAME.csv for NAME.png"
        )
    if others:
        shown = ", ".join(printable(path.name) for path in others[:_SHOWN])
        more = ", ..." if len(others) > _SHOWN else ""
        say(f"hints of no image are not read: {shown}{more}")
    return found


def _name(path: Path) -> str:
    """Return a name by which files of one name are found, however accents are coded."""
    return unicodedata.normalize("NFC", path.as_posix())


def hints_reader(config: ConfigDict) -> Callable[[Path], Hints]:
    """Return the function from the path of an image to its hints.

    One file for all images is read at once; those of a folder as they are asked for.
    The function then raises `UnreadableFileError`, which names the file of hints.

    Raises:
        InputError: As `hint_files`; or the file for all images cannot be read.
    """
    files = hint_files(config)
    if files and not Path(config.hints).expanduser().is_dir():
        try:
            only = _read(Path(config.hints).expanduser())
        except UnreadableFileError as error:
            raise InputError(f"--config.hints: {error}") from None
        return lambda image: only
    return lambda image: _read(files[image]) if image in files else NO_HINTS


def _read(file: Path) -> Hints:
    try:
        return read_hints(read_file(file, _LARGEST))
    except UnreadableFileError as error:
        raise UnreadableFileError(f"hints {printable(str(file))}: {error}") from None
