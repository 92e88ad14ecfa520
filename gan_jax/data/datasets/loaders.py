"""Where images come from: two embedded sets, TFDS, folders of images, arrays.

`digits` and `photos` need no network and no files. Each function gives the official
parts of a set as `Source`s; `recognise` tells what a path holds.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets import training_images
from gan_jax.data.datasets.arrays import array_files, arrays, is_array_file
from gan_jax.data.datasets.dataset import (
    ArraySource,
    Dataset,
)
from gan_jax.data.datasets.folders import folder, image_files
from gan_jax.data.datasets.prepared import prepared_sets, tfds
from gan_jax.data.decode import fit, fit_all

__all__ = ["arrays", "digits", "folder", "photos", "recognise", "tfds"]


def recognise(path: str) -> Literal["tfds", "arrays", "training_image", "folder"]:
    """Return what a path holds: TFDS sets, arrays, a training image, or a folder.

    Raises:
        InputError: the path is absent or holds none of them.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"data.path {path} does not exist: check its spelling")
    if not place.is_dir():
        if is_array_file(place):
            return "arrays"
        if place.suffix.lower() in training_images.SUFFIXES:
            return "training_image"
        raise InputError(
            f"data.path {path} is a file, but not .npz, .npy, idx, .sgems or .gslib: "
            "give one of those or a directory"
        )
    if prepared_sets(place):
        return "tfds"
    if array_files(place):
        return "arrays"
    if next(image_files(place), None) is not None:
        return "folder"
    raise InputError(
        f"data.path {path} holds no images: give a folder of images, a directory with "
        "train.npz, train.npy or MNIST-style idx files, or a TFDS data directory"
    )


def digits(size: int) -> Dataset:
    """Return scikit-learn's 1,797 real handwritten digits, white on black.

    The 8x8 images (Alpaydin & Kaynak 1998, test part) count the ink in blocks of 4x4
    pixels. They are enlarged smoothly to 20x20, with contrast added until strokes are
    as bright and edges as sharp as MNIST's, and centred on 28x28 as MNIST does. At
    size 32 they stay 20x20, as padded MNIST does; other sizes keep the proportion.

    Args:
        size: height and width of the images given, at least 8.

    Raises:
        InputError: the size is too small.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    if size < 8:
        raise InputError(f"data.size {size} is too small for digits: take 8 or more")
    data = load_digits()
    # The window of the source, in its pixels, that the whole image shows: 28/20 of the
    # digit's 8. The padding lets the ends of strokes fade as their sides do.
    window = (8 - 5.6, 8 - 5.6, 8 + 5.6, 8 + 5.6)
    side = 28 if size == 32 else size
    images = np.empty((len(data.images), side, side, 1), np.uint8)
    for image, ink in zip(images, data.images, strict=True):
        small = Image.fromarray(np.pad(ink / 16, 4).astype(np.float32))
        large = small.resize((side, side), Image.Resampling.BICUBIC, box=window)
        sharp = 0.5 + _DIGIT_CONTRAST * (np.asarray(large) - 0.5)
        image[..., 0] = np.rint(255 * sharp.clip(0, 1))
    classes = tuple(str(digit) for digit in range(10))
    prepared = fit_all(images, size)
    return Dataset(ArraySource("digits", prepared, data.target, classes), None)


_DIGIT_CONTRAST = 1.75
"""Gives the share of MNIST of grey among inked pixels: 60% against 62%."""


def photos(size: int, count: int = 2000) -> Dataset:
    """Return random square crops of scikit-learn's two colour photographs.

    Training crops lie in the left three quarters of each photograph (427x640 pixels),
    the `count` // 5 test crops in the rest, so that the parts never overlap. Both have
    the same scales: sides from max(64, size) to 160 pixels, uniform in the logarithm.
    Crops of bare sky or blurred background (a standard deviation below 24 of 255) are
    drawn again.
    The same size and count always give the same crops; they carry no labels.

    Args:
        size: height and width of the images given; above 160 crops are enlarged.
        count: number of training images.

    Raises:
        InputError: size or count is not positive.
    """
    from sklearn.datasets import load_sample_images

    if size < 1 or count < 1:
        raise InputError(f"photos need a size and count above 0, not {size}, {count}")
    pictures = load_sample_images().images
    draw = np.random.Generator(np.random.Philox(0))

    def crops(first: int, last: int, count: int) -> ArraySource:
        images = np.empty((count, size, size, 3), np.uint8)
        for image in images:
            flat = True
            while flat:
                picture = pictures[draw.integers(len(pictures))][:, first:last]
                height, width, _ = picture.shape
                longest = min(height, width, 160)
                shortest = min(max(64, size), longest)
                side = round(shortest * (longest / shortest) ** draw.random())
                top = int(draw.integers(height - side + 1))
                left = int(draw.integers(width - side + 1))
                square = picture[top : top + side, left : left + side]
                flat = square.std(axis=(0, 1)).mean() < 24
            image[...] = fit(square, size)
        return ArraySource("photos", images)

    width = pictures[0].shape[1]
    edge = width * 3 // 4
    return Dataset(crops(0, edge, count), crops(edge, width, max(1, count // 5)))
