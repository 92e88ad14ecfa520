"""A trained detector as a function of users' images."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.detect.detector import DetectorRun
from gan_jax.apps.detect.scoring.maps import CHUNK, make_scores_and_maps
from gan_jax.config.limits import size_of
from gan_jax.data.decode import crop_and_resize, with_channels
from gan_jax.data.user_images import Image8


class Anomaly(NamedTuple):
    """How anomalous an image is."""

    score: float
    percentile: float
    """Percentage of validation images with a lower score."""
    above: bool
    """Whether the score lies above the threshold."""


class Scorer:
    """A detector as a function of images, compiled once."""

    def __init__(
        self, run: DetectorRun, false_positive_rate: float, chunk: int = CHUNK
    ):
        """Prepare to score images; nothing is compiled yet.

        Args:
            run: The detector.
            false_positive_rate: Share of validation images above the threshold.
            chunk: Images that are scored at once.
        """
        self._run = run
        self.size, self.crop = size_of(run.gan.data.size), run.gan.data.crop
        self.threshold = run.detector.threshold(false_positive_rate)
        self._scores_and_maps = make_scores_and_maps(
            run.method, run.detector, run.gan, chunk
        )

    def seen(self, image: Image8) -> Image8:
        """Return an image as the detector sees it.

        Raises:
            BrokenImageError: If it is smaller than the training images' crop, or has
                other channels.
        """
        return crop_and_resize(
            with_channels(image, self._run.channels), self.size, self.crop
        )

    def __call__(
        self, images: UInt8[np.ndarray, "count height width channels"]
    ) -> tuple[list[Anomaly], Float[np.ndarray, "count height width"]]:
        """Return how anomalous images are, as `seen` returns them, and their maps."""
        scores, maps = self._scores_and_maps(images)
        percentiles = self._run.detector.percentiles(scores)
        found = [
            Anomaly(float(score), float(percentile), bool(score > self.threshold))
            for score, percentile in zip(scores, percentiles, strict=True)
        ]
        return found, maps
