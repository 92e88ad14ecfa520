"""Recognition of the format of a dataset on disk."""

from pathlib import Path
from typing import Literal

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.arrays import array_files, is_array_file
from gan_jax.data.datasets.folders import image_files
from gan_jax.data.datasets.prepared_sets import prepared_sets
from gan_jax.data.datasets.training_images import is_raster
from gan_jax.data.grids import rasters
from gan_jax.data.grids.headers import GRID_LINES
from gan_jax.data.memory import UnreadableFileError, open_file

_HEAD = 4096  # bytes of which a text is told


def recognise(
    path: str, grid: bool = False
) -> Literal["tfds", "arrays", "training_image", "folder"]:
    """Return the kind of data at a path (`data.path` of a config).

    A text, an image, and an array of two axes are training images.

    Args:
        path: A file or a folder.
        grid: Whether any array is a training image.

    Raises:
        InputError: If the path does not exist or holds no images.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(
            f"--config.data.path {path} does not exist: check its spelling"
        )
    if not place.is_dir():
        if is_array_file(place):
            if place.suffix.lower() not in rasters.SUFFIXES:  # idx
                return "arrays"
            axes = {len(shape) for shape in rasters.shapes_of(place).values()}
            return "training_image" if grid or axes == {2} else "arrays"
        if is_raster(place) or _is_text(place):
            return "training_image"
        raise InputError(
            f"--config.data.path {path} is a file, but neither an array (.npz, .npy, "
            "idx), nor an image, nor a grid of GSLIB, SGeMS or geone (a text that "
            f"begins like {GRID_LINES}): give one of those or a directory"
        )
    if prepared_sets(place):
        return "tfds"
    if array_files(place):
        return "arrays"
    if next(image_files(place), None) is not None:
        return "folder"
    raise InputError(
        f"--config.data.path {path} holds no images: give a folder of images, a "
        "directory with train.npz, train.npy or MNIST-style idx files, or a TFDS data "
        "directory"
    )


def _is_text(place: Path) -> bool:
    """Return whether a file begins as text does, in any 8-bit encoding or UTF-16."""
    try:
        with open_file(place) as stream:
            head = stream.read(_HEAD)
    except UnreadableFileError:
        return False
    return head[:2] in (b"\xff\xfe", b"\xfe\xff") or not any(
        byte < 32 and byte not in b"\t\n\v\f\r\x1a" for byte in head
    )
