"""Recognition of the format of a dataset on disk."""

from pathlib import Path
from typing import Literal

from gan_jax.config.errors import InputError
from gan_jax.data.datasets import training_images
from gan_jax.data.datasets.arrays import array_files, is_array_file
from gan_jax.data.datasets.folders import image_files
from gan_jax.data.datasets.prepared_sets import prepared_sets


def recognise(path: str) -> Literal["tfds", "arrays", "training_image", "folder"]:
    """Return the kind of data at a path (`data.path` of a config).

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
            return "arrays"
        if place.suffix.lower() in training_images.SUFFIXES:
            return "training_image"
        raise InputError(
            f"--config.data.path {path} is a file, but not .npz, .npy, idx, .sgems or "
            ".gslib: give one of those or a directory"
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
