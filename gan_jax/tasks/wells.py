"""Geostatistics: realisations of the underground that agree with wells.

This is the purpose of the pixel-conditioned GAN (Ruffino et al. 2019, arXiv 1911.00689,
section 1; Laloy et al. 2018, arXiv 1708.04975): many images for one set of wells show
what is certain between the wells and what is not.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data.feed import first_images
from gan_jax.data.splits import Part
from gan_jax.evaluation.fields.connectivity import connectivity, connectivity_error
from gan_jax.evaluation.fields.facies import levels, nearest, proportion_error
from gan_jax.evaluation.fields.patterns import patterns_distance
from gan_jax.evaluation.fields.variogram import variogram_error, variograms
from gan_jax.report.page import Figure
from gan_jax.tasks import pixels
from gan_jax.tasks.plates.wells import (
    connectivity_figure,
    lags_figure,
    realisation_grid,
)
from gan_jax.tasks.task import (
    Measure,
    Model,
    Picture,
    Request,
    Samples,
    Task,
    TaskReport,
)

_ROWS, _REALISATIONS = 5, 64  # sets of wells on a plate, and images for each
_COMPARED = 500  # images whose variograms are averaged

_Facies = UInt8[np.ndarray, "_ height width"]
"""Facies of cells, counted from 0."""


def task(draw_mask: pixels.DrawMask, weight: float, moments: float = 0.0) -> Task:
    """Return the task; known pixels are wells, and arguments those of `pixels.task`."""
    plain = pixels.task(draw_mask, weight, moments)

    def plate(model: Model, part: Part, key: PRNGKeyArray) -> Picture:
        keys = jax.random.split(key)
        request = plain.ask(part, keys[0], _ROWS)
        return realisation_grid(
            np.asarray(request.condition.values),
            np.asarray(request.condition.mask),
            request.truth,
            _realisations(model, request, keys[1]),
        )

    def figures(model: Model, part: Part, key: PRNGKeyArray) -> Sequence[Figure]:
        keys = jax.random.split(key)
        request = plain.ask(part, keys[0], _COMPARED)
        generated = model.sample(keys[1], request.condition, _COMPARED)
        lags = _lags(generated)
        real = np.asarray(first_images(part["real"], _COMPARED))
        drawn = [
            lags_figure(
                {"training image": variograms(real, lags)},
                {"generated": variograms(generated, lags)},
            )
        ]
        try:
            values = levels(real)
        except ValueError:  # a continuous property has no facies
            return drawn
        curves = [
            connectivity(nearest(images, values), len(values), lags)
            for images in (real, generated)
        ]
        return [*drawn, connectivity_figure(*curves)]

    measures = {
        **plain.evaluation.measures,
        "variogram_error": lambda images, request: variogram_error(
            images, request.truth, _lags(images)
        ),
        "proportion_error": _of_facies(proportion_error),
        "connectivity_error": _of_facies(
            lambda facies, truth, kinds: connectivity_error(
                facies, truth, kinds, _lags(facies)
            )
        ),
        "patterns_distance": _of_facies(patterns_distance),
    }
    report = TaskReport(
        plate=plate,
        figures=figures,
        cards=plain.report.cards,
        comparison=plain.report.comparison,
        caption=(
            f"Each row: wells, the image they were taken from, some of "
            f"{_REALISATIONS} realisations, their mean, and where they differ (bright: "
            "their standard deviation). A thin teal ring is a well that is honoured, "
            "a thick orange one is missed."
        ),
    )
    # Wells can be put in or searched for afterwards, the patterns cannot.
    criterion = ("fid", "variogram_error")
    evaluation = plain.evaluation._replace(measures=measures, criterion=criterion)
    return plain._replace(channels=_grey, evaluation=evaluation, report=report)


def _grey(channels: int) -> int:
    if channels != 1:
        raise InputError(
            f"the data has {channels} channels: wells are of grey images, one property "
            "of the ground; task pixels takes colours"
        )
    return channels


def _of_facies(distance: Callable[[_Facies, _Facies, int], float]) -> Measure:
    """Return a distance of two sets of facies as a measure of generated images.

    Every cell of a generated image belongs to the facies whose value is nearest. The
    measure fails where real images show a continuous property.
    """

    def measure(images: Samples, request: Request) -> float:
        values = levels(request.truth)
        facies, truth = (nearest(each, values) for each in (images, request.truth))
        return distance(facies, truth, len(values))

    return measure


def _realisations(
    model: Model, request: Request, key: PRNGKeyArray
) -> Float[np.ndarray, "rows realisations height width 1"]:
    repeated = jax.tree.map(
        lambda maps: jnp.repeat(maps, _REALISATIONS, axis=0), request.condition
    )
    rows = len(request.truth)
    generated = model.sample(key, repeated, rows * _REALISATIONS)
    return generated.reshape(rows, _REALISATIONS, *generated.shape[1:])


def _lags(images: Samples | Float[Array, "count height width 1"] | _Facies) -> int:
    """Return the largest distance of variograms and connectivity: half the image."""
    return min(images.shape[1:3]) // 2
