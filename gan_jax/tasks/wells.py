"""Geostatistics: realisations of the underground that agree with what wells show.

What the pixel-wise conditioned GAN was made for (Ruffino et al. 2019, arXiv 1911.00689,
section 1; Laloy et al. 2018, arXiv 1708.04975): many images for one set of wells tell
what is sure between them and what is not.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.feed import read, to_float
from gan_jax.data.splits import Part
from gan_jax.evaluation.variogram import variogram_error, variograms
from gan_jax.report.page import Figure
from gan_jax.tasks import pixels
from gan_jax.tasks.plates.wells import lags_figure, realisation_grid
from gan_jax.tasks.task import Asked, Model, Samples, Task

_ROWS, _REALISATIONS = 5, 64  # sets of wells on a plate, and images for each
_COMPARED = 500  # images whose variograms are averaged


def task(draw_mask: pixels.DrawMask, weight: float) -> Task:
    """Make the task: known pixels are wells, drawn for every image.

    Args:
        draw_mask: draws where the wells are.
        weight: of the mean squared error at wells.
    """
    plain = pixels.task(draw_mask, weight)

    def picture(
        model: Model, part: Part, key: PRNGKeyArray
    ) -> UInt8[np.ndarray, "h w 3"]:
        keys = jax.random.split(key)
        asked = plain.ask(part, keys[0], _ROWS)
        made = _realisations(model, asked, keys[1])
        return realisation_grid(
            np.asarray(asked.condition.values),
            np.asarray(asked.condition.mask),
            _truth(asked),
            made,
        )

    def figures(model: Model, part: Part, key: PRNGKeyArray) -> Sequence[Figure]:
        keys = jax.random.split(key)
        asked = plain.ask(part, keys[0], _COMPARED)
        made = model.sample(keys[1], asked.condition, _COMPARED)
        lags = _lags(made)
        source = part["real"]
        first = np.arange(min(_COMPARED, len(source)))
        real = np.asarray(to_float(read(source, first).image))
        return [
            lags_figure(
                {"training image": variograms(real, lags)},
                {"generated": variograms(made, lags)},
            )
        ]

    return plain._replace(
        channels=_grey,
        picture=picture,
        figures=figures,
        scores={
            **plain.scores,
            "variogram_error": lambda made, asked: variogram_error(
                made, _truth(asked), _lags(made)
            ),
        },
        caption=(
            f"Each row: wells, the image they were taken from, some of "
            f"{_REALISATIONS} realisations, their mean, and where they differ (bright: "
            "their standard deviation). A thin teal ring is a well that is honoured, "
            "a thick orange one is missed."
        ),
        published=lambda dataset, metrics: None,
        published_along=lambda dataset: {},
    )


def _grey(channels: int) -> int:
    if channels != 1:
        raise InputError(
            f"the data has {channels} channels: wells are of grey images, one property "
            "of the ground; task pixels takes colours"
        )
    return channels


def _realisations(
    model: Model, asked: Asked, key: PRNGKeyArray
) -> Float[np.ndarray, "rows realisations height width 1"]:
    repeated = jax.tree.map(
        lambda maps: jnp.repeat(maps, _REALISATIONS, axis=0), asked.condition
    )
    rows = len(_truth(asked))
    made = model.sample(key, repeated, rows * _REALISATIONS)
    return made.reshape(rows, _REALISATIONS, *made.shape[1:])


def _truth(asked: Asked) -> Samples:
    assert asked.truth is not None  # the pixels of the task have a source
    return asked.truth


def _lags(images: Samples | Float[Array, "count height width 1"]) -> int:
    """Return up to which distance variograms are looked at: half the image."""
    return min(images.shape[1:3]) // 2
