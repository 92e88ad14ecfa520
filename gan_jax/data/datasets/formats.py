"""Recognition of the format of a dataset on disk."""

from pathlib import Path
from typing import Literal

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.arrays import array_files, is_array_file
from gan_jax.data.datasets.prepared_sets import prepared_sets
from gan_jax.data.datasets.training_images import is_raster, is_text
from gan_jax.data.files.listing import (
    image_files,
    list_folder,
    looks_like_images,
    nothing_read,
)
from gan_jax.data.grids import rasters
from gan_jax.data.grids.headers import GRID_LINES


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
        if is_raster(place) or is_text(place):
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
    left = list_folder(place).left
    if looks_like_images(left):
        raise InputError(nothing_read(f"--config.data.path {path}", left))
    raise InputError(
        f"--config.data.path {path} holds no images: give a folder of images, a "
        "directory with train.npz, train.npy or MNIST-style idx files, or a TFDS data "
        "directory"
    )
