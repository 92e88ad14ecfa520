"""Datasets of scikit-learn, which need no files and no network."""

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.decode import crop_and_resize, crop_and_resize_all

_DIGIT_CONTRAST = 1.75  # makes the share of grey among inked pixels that of MNIST


def digits(size: int | Size) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, white on black, enlarged.

    The 8x8 images (Alpaydin & Kaynak 1998, test part) count the ink in blocks of 4x4
    pixels. They are enlarged to 20x20 by bicubic interpolation, with as much contrast
    as gives the brightness and sharpness of MNIST, and centred on 28x28 as in MNIST. At
    size 32 these images are padded; at other sizes the proportions are the same. Oblong
    images are squares between black margins.

    Raises:
        InputError: If a side is less than 8.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    whole = size_of(size)
    short = min(whole)
    if short < 8:
        raise InputError(
            f"--config.data.size {size} is too small for digits: take 8 or more"
        )
    data = load_digits()
    # The image shows a window of 28/20 of the digit's 8 pixels. The padding lets the
    # ends of strokes fade as their sides do.
    window = (8 - 5.6, 8 - 5.6, 8 + 5.6, 8 + 5.6)
    side = 28 if short == 32 else short
    images = np.empty((len(data.images), side, side, 1), np.uint8)
    for image, ink in zip(images, data.images, strict=True):
        small = Image.fromarray(np.pad(ink / 16, 4).astype(np.float32))
        large = small.resize((side, side), Image.Resampling.BICUBIC, box=window)
        sharp = 0.5 + _DIGIT_CONTRAST * (np.asarray(large) - 0.5)
        image[..., 0] = np.rint(255 * sharp.clip(0, 1))
    classes = tuple(str(digit) for digit in range(10))
    prepared = crop_and_resize_all(images, short)
    margins = [((long - short) // 2, (long - short + 1) // 2) for long in whole]
    if any(map(any, margins)):
        prepared = np.pad(prepared, ((0, 0), *margins, (0, 0)))
    return Dataset(ArraySource("digits", prepared, data.target, classes), None)


def photos(size: int | Size, count: int = 2000) -> Dataset:
    """Return random crops of scikit-learn's two colour photographs.

    Training crops are from the left three quarters of each photograph (427x640 pixels),
    the `count` // 5 test crops from the rest, so that the parts do not overlap. Sides
    are from max(64, size) to 160 pixels, uniform in the logarithm; larger sizes are
    enlarged. Crops of bare sky or blurred background (a standard deviation below 24 of
    255) are drawn again. The same size and count always return the same crops. They
    have no labels. Oblong images are the centres of square crops.

    Raises:
        InputError: If size or count is not positive.
    """
    from sklearn.datasets import load_sample_images

    whole = size_of(size)
    if count < 1:
        raise InputError(f"photos need a count above 0, not {count}")
    pictures = load_sample_images().images
    draw = np.random.Generator(np.random.Philox(0))

    def crops(first: int, last: int, count: int) -> ArraySource:
        images = np.empty((count, *whole, 3), np.uint8)
        for image in images:
            flat = True
            while flat:
                picture = pictures[draw.integers(len(pictures))][:, first:last]
                height, width, _ = picture.shape
                longest = min(height, width, 160)
                shortest = min(max(64, *whole), longest)
                side = round(shortest * (longest / shortest) ** draw.random())
                top = int(draw.integers(height - side + 1))
                left = int(draw.integers(width - side + 1))
                square = picture[top : top + side, left : left + side]
                flat = square.std(axis=(0, 1)).mean() < 24
            image[...] = crop_and_resize(square, whole)
        return ArraySource("photos", images)

    width = pictures[0].shape[1]
    edge = width * 3 // 4
    return Dataset(crops(0, edge, count), crops(edge, width, max(1, count // 5)))
