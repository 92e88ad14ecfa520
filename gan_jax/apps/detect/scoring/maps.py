"""Maps of anomalies: which pixels of an image a detector finds anomalous."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict
from scipy import ndimage

from gan_jax.apps.detect.classes import Roles
from gan_jax.apps.detect.detector import Detector, anomaly_scores
from gan_jax.apps.detect.scoring.labels import LabelledFolder
from gan_jax.apps.detect.total_variation import Scale
from gan_jax.build import networks as architectures
from gan_jax.config.limits import Size, size_of
from gan_jax.data.decode import (
    BrokenImageError,
    Image8,
    crop_and_resize,
    with_channels,
)
from gan_jax.data.feed import to_float
from gan_jax.data.files.levels import Scaling
from gan_jax.data.mask_files import Layers, read_mask
from gan_jax.data.user_images import InputFile, decode_files
from gan_jax.evaluation.detection import Detection, detection
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.networks.compilation import compiled
from gan_jax.runs.inference import in_chunks
from gan_jax.training.method import Method
from gan_jax.training.state import Variables

CHUNK = 250  # images scored at once
MOST_PIXELS = 2**23
"""Pixels of all images that pixel measures are computed from, at most."""
_SMOOTHING = 1 / 32  # standard deviation of a map's blur, of the smaller side

Maps = Float[Array, "batch height width"]
MapOf = Callable[[Method, Scale, Variables, Array], Maps]
ScoresAndMaps = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A function from 8-bit images to their anomaly scores and their maps."""


def _residuals(method: Method, scale: Scale, critic: Variables, images: Array) -> Maps:
    """Return squared reconstruction errors, whose mean is an autoencoder's energy."""
    errors: Any = method.critic.apply(critic, images, method="errors")
    residuals: Maps = errors.reshape(images.shape).mean(axis=-1)
    return residuals


def _patch_scores(
    method: Method, scale: Scale, critic: Variables, images: Array
) -> Maps:
    """Return the anomaly score of the patch around each pixel, interpolated."""
    scores: Any = method.critic.apply(critic, images)
    return jax.image.resize(-scale(scores), images.shape[:3], "linear")


def _slopes(method: Method, scale: Scale, critic: Variables, images: Array) -> Maps:
    """Return how steeply the anomaly score changes with each pixel."""

    def total(images: Array) -> Array:
        # The gradient of the sum holds every image's: scores are independent.
        return anomaly_scores(method, scale, critic, images).sum()

    return jnp.abs(jax.grad(total)(images)).mean(axis=-1)


class MapKind(NamedTuple):
    """A kind of maps."""

    name: str
    of: MapOf


def map_kind(config: ConfigDict) -> MapKind:
    """Return the kind of maps that the critic of a training config allows."""
    if architectures.gives_energies(config):
        return MapKind("reconstruction error", _residuals)
    if config.network.critic in architectures.MAP_SCORES:
        return MapKind("scores of patches", _patch_scores)
    return MapKind("slope of the score", _slopes)


def make_scores_and_maps(
    method: Method, detector: Detector, config: ConfigDict, chunk: int = CHUNK
) -> ScoresAndMaps:
    """Return a function of 8-bit images to their anomaly scores and maps.

    Maps are blurred a little, and are comparable between images.

    Args:
        method: Method of the detector's critic.
        detector: The detector.
        config: Training config that describes its critic.
        chunk: Images that are scored at once.
    """
    kind, scale = map_kind(config), detector.scale
    blur = _SMOOTHING * min(size_of(config.data.size))

    @compiled
    def run(critic: Variables, images: Array) -> tuple[Array, Array]:
        values = to_float(images)
        scores = anomaly_scores(method, scale, critic, values)
        return scores, kind.of(method, scale, critic, values)

    def scores_and_maps(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, maps = in_chunks(
            lambda at: run(detector.critic, images[at]), len(images), chunk
        )
        return scores, ndimage.gaussian_filter(maps, (0, blur, blur))

    return scores_and_maps


def reduced_mask(
    file: Path, image: Image8, size: Size, crop: int
) -> Bool[np.ndarray, "rows columns"]:
    """Return the anomalous pixels, white in a mask, as a detector sees its image.

    A pixel is anomalous if half of it is, or more.

    Args:
        file: The mask's file.
        image: Its image.
        size: Size at which the image is seen.
        crop: Longer side of the centre that is seen; 0 = the largest centre.

    Raises:
        BrokenImageError: If it cannot be read, is no mask of the image, or marks
            nothing.
    """
    anomalous = read_mask(file, image=image)
    if not anomalous.any():
        raise BrokenImageError("none of its pixels is white, as anomalous ones are")
    levels = np.where(anomalous, np.uint8(255), np.uint8(0))[..., None]
    seen: Bool[np.ndarray, "rows columns"]
    seen = crop_and_resize(levels, size, crop)[..., 0] > 127
    return seen


class PixelScores(NamedTuple):
    """Pixels of an image of which it is known whether they are anomalous."""

    scores: Float[np.ndarray, " pixels"]
    anomalous: Bool[np.ndarray, " pixels"]


def pixel_scores(
    scores: Float[np.ndarray, "height width"],
    anomalous: Bool[np.ndarray, "height width"],
    images: int,
) -> PixelScores:
    """Return the pixels of an image that are measured.

    They are all pixels, or every second, third, ... one, so that at most `MOST_PIXELS`
    of all images are measured together.

    Args:
        scores: The map of the image.
        anomalous: Its anomalous pixels.
        images: Number of images that are measured together.
    """
    step = -(-images * scores.size // MOST_PIXELS)
    return PixelScores(scores.ravel()[::step], anomalous.ravel()[::step])


def folder_pixels(
    folder: LabelledFolder,
    found: Roles,
    scores_and_maps: ScoresAndMaps,
    channels: int,
    data: ConfigDict,
    scaling: Scaling,
) -> list[PixelScores]:
    """Return the pixels of a folder's test images whose anomalous pixels are known.

    They are anomalous images with a mask, and the normal ones of an official test part.
    Images and masks that cannot be used are left out.

    Args:
        folder: The folder that the detector was trained on.
        found: What its classes are.
        scores_and_maps: As `make_scores_and_maps` returns it.
        channels: Channels that the detector sees.
        data: `data` of the detector's training config.
        scaling: How levels of the images it was trained on became 8 bits.
    """
    size, crop = size_of(data.size), data.crop
    test = {
        file: place.kind
        for file, place in folder.images.items()
        if place.part != "train"
    }
    masks = folder.masks_of([file for file in test if test[file] in found.anomalous])
    normal = [
        file
        for file, kind in test.items()
        if kind in found.normal and folder.images[file].part
    ]

    def seen(file: InputFile, layers: Layers) -> tuple[Image8, np.ndarray]:
        fitted = crop_and_resize(with_channels(layers.image, channels), size, crop)
        mask = masks.get(file.path)
        if mask is None:
            return fitted, np.zeros(fitted.shape[:2], bool)
        return fitted, reduced_mask(mask, layers.image, size, crop)

    pixels: list[PixelScores] = []
    files = [InputFile(file, str(file)) for file in (*masks, *normal)]
    for chunk in decode_files(files, seen, CHUNK, scaling=scaling):
        if chunk.images:
            images, truths = zip(*chunk.images, strict=True)
            _, maps = scores_and_maps(np.stack(images))
            pixels += [
                pixel_scores(scores, anomalous, len(files))
                for scores, anomalous in zip(maps, truths, strict=True)
            ]
    return pixels


def pixel_measures(images: Sequence[PixelScores]) -> Measured:
    """Return the detection measures of the pixels of all images."""

    @functools.cache
    def found() -> Detection:
        if not images:
            raise ValueError("no mask says which pixels are anomalous")
        scores = np.concatenate([each.scores for each in images])
        anomalous = np.concatenate([each.anomalous for each in images])
        return detection(scores[~anomalous], scores[anomalous])

    def value(name: str) -> float:
        number: float = getattr(found(), name)
        return number

    names = ("auroc", "auprc", "base_rate")
    return measure({f"pixel_{name}": functools.partial(value, name) for name in names})
