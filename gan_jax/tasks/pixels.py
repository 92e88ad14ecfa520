"""Generation under a few known pixels.

Ruffino, Herault, Laloy & Gasso 2019 (arXiv 1911.00689, 2002.01281): the condition is a
sparse map of known pixels, and a weighted mean squared error holds the generator to
them. The critic never sees the images that known pixels are taken from as real.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.data.feed import ImagesByRole, read, to_float
from gan_jax.data.masks import known
from gan_jax.data.splits import Part
from gan_jax.evaluation.image import honoured, pixel_mse
from gan_jax.losses.reconstruction import moment_distance, pixel_fidelity
from gan_jax.report.cards import diversity_card, fid_card
from gan_jax.report.page import Card, Table
from gan_jax.tasks.plates.constraints import constraint_grid
from gan_jax.tasks.task import (
    ConditionArray,
    Measure,
    Model,
    Picture,
    Request,
    Task,
    TaskEvaluation,
    TaskReport,
)
from gan_jax.training.method import Batch, LossInputs, Term

CONSTRAINT_SHARE = 0.2
"""Share of every part of the data whose pixels are the known ones (section 4)."""

_CONDITION = (
    ConditionArray(
        "values",
        (-1.0, 1.0),
        "known pixels, as images have them; 0 elsewhere",
        of_images=True,
    ),
    ConditionArray("mask", (0.0, 1.0), "1 where a pixel is known, 0 elsewhere"),
)
"""The arrays of a condition, in the order of `masks.Known`."""

_ROWS = 6  # sets of known pixels on a plate

_PUBLISHED: Mapping[str, Sequence[tuple[float, float, float]]] = {
    "mnist": (
        (0.1, 1.629, 0.454),
        (0.4, 0.166, 0.157),
        (0.7, 0.100, 0.097),
        (1, 0.174, 0.055),
        (2, 0.092, 0.049),
        (5, 0.108, 0.035),
        (10, 0.087, 0.021),
        (28, 0.096, 0.0056),
        (142, 0.106, 0.0016),
        (701, 0.105, 0.0013),
        (2030, 0.224, 0.0022),
        (10000, 1.556, 0.0008),
    ),
    "fashion_mnist": (
        (0.1, 3481, 0.821),
        (0.4, 1568, 0.196),
        (0.7, 1491, 0.131),
        (1, 1518, 0.136),
        (2, 1595, 0.094),
        (5, 998, 0.046),
        (10, 1215, 0.019),
        (28, 1425, 0.0069),
        (142, 1663, 0.0026),
        (701, 1836, 0.0015),
        (2030, 2098, 0.0005),
        (10000, 2178, 0.0004),
    ),
}
"""Medians on test by data set: lambda, FID and constraint error (arXiv 1911.00689,
section 5); up to 0.1 every run collapsed to black."""


DrawMask = Callable[[PRNGKeyArray, int], Float[Array, "batch height width 1"]]
"""`draw(key, batch)`: masks of known pixels, 1 = known."""


def _fidelity(inputs: LossInputs) -> Float[Array, "batch"]:
    return pixel_fidelity(inputs.fake, inputs.condition.values, inputs.condition.mask)


def _moments(inputs: LossInputs) -> Float[Array, ""]:
    return moment_distance(inputs.fake, inputs.real)


def task(draw_mask: DrawMask, weight: float, moments: float = 0.0) -> Task:
    """Return the task.

    Args:
        draw_mask: Draws the masks of known pixels.
        weight: Lambda, the weight of the mean squared error over known pixels; 0 with a
            critic that does not see the condition is the plain GAN.
        moments: Weight of `moment_distance` between a batch of generated images and one
            of real images.
    """
    terms = {
        "pixel_fidelity": Term(weight, _fidelity),
        "moments": Term(moments, _moments),
    }

    def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
        real, source = (to_float(images[role].image) for role in ("real", "constraint"))
        keys = jax.random.split(key)
        masks = [draw_mask(key, len(real)) for key in keys]
        # Where the critic sees conditions, a real image comes with its own pixels.
        return Batch(real, known(source, masks[0]), known(real, masks[1]))

    def requests(part: Part, key: PRNGKeyArray, count: int) -> Request:
        """Draw known pixels of the images set aside, which repeat under other masks."""
        source = part["constraint"]
        images = to_float(read(source, np.arange(count) % len(source)).image)
        condition = known(images, draw_mask(key, count))
        return Request(condition, np.asarray(images))

    def plate(model: Model, part: Part, key: PRNGKeyArray) -> Picture:
        columns = 6
        keys = jax.random.split(key)
        condition, originals = requests(part, keys[0], _ROWS)
        repeated = jax.tree.map(lambda maps: jnp.repeat(maps, columns, 0), condition)
        generated = model.sample(keys[1], repeated, _ROWS * columns)
        return constraint_grid(
            np.asarray(condition.values),
            np.asarray(condition.mask),
            generated.reshape(_ROWS, columns, *generated.shape[1:]),
            original=originals,
        )

    def comparison(
        models: Mapping[str, Model], part: Part, key: PRNGKeyArray
    ) -> Picture:
        """Draw images of several generators for the same known pixels."""
        keys = jax.random.split(key)
        condition, originals = requests(part, keys[0], _ROWS)
        generated = [
            model.sample(keys[1], condition, _ROWS) for model in models.values()
        ]
        return constraint_grid(
            np.asarray(condition.values),
            np.asarray(condition.mask),
            np.stack(generated, axis=1),
            original=originals,
            titles=list(models),
        )

    evaluation = TaskEvaluation(
        measures={"pixel_mse": _of_known(pixel_mse), "honoured": _of_known(honoured)},
        criterion=("fid", "pixel_mse"),
    )
    report = TaskReport(
        plate=plate,
        cards=_cards,
        caption=(
            "Each row: the known pixels alone, the unseen image they were taken from, "
            "and generations for the same pixels from different latents. A thin teal "
            "ring is a constraint met, a thick orange one a constraint missed."
        ),
        published=lambda dataset, metrics: _published(dataset, weight, metrics),
        published_along=_published_along,
        comparison=comparison,
    )
    return Task(
        present,
        condition_arrays=_CONDITION,
        generator_terms={name: term for name, term in terms.items() if term.weight > 0},
        roles={"real": 1 - CONSTRAINT_SHARE, "constraint": CONSTRAINT_SHARE},
        requests=requests,
        evaluation=evaluation,
        report=report,
    )


def _of_known(measure: Callable[..., float]) -> Measure:
    """Return a measure of images and known pixels as one of a task."""
    return lambda generated, request: measure(
        generated, *map(np.asarray, request.condition)
    )


def _published(dataset: str, weight: float, metrics: Mapping[str, Any]) -> Table | None:
    """Return a table of this run's figures and published ones, by lambda."""
    if dataset not in _PUBLISHED:
        return None
    rows: list[tuple[float, str, Any, Any]] = [
        (place, "published median", fid, mse) for place, fid, mse in _PUBLISHED[dataset]
    ]
    rows.append((weight, "this run", metrics.get("fid"), metrics.get("pixel_mse")))
    rows.sort(key=lambda row: row[0])
    return Table(
        "Beside the published figures",
        ("lambda", "", "FID", "pixel_mse"),
        rows,
        "Ruffino et al. 2019 (arXiv 1911.00689): medians of ten runs on the test part, "
        "1 in 200 pixels known. Their FID is a sum over chunks with features of "
        "another network: only the shape of its course over lambda can be compared. Up "
        "to lambda 0.1 all their runs collapsed to black.",
    )


def _published_along(dataset: str) -> Mapping[float, Mapping[str, float]]:
    return {
        weight: {"fid": fid, "pixel_mse": mse}
        for weight, fid, mse in _PUBLISHED.get(dataset, ())
    }


def _cards(metrics: Mapping[str, Any]) -> Sequence[Card]:
    return [
        Card(
            "Constraint error",
            metrics.get("pixel_mse"),
            "mean squared error on known pixels, images in [-1, 1]",
        ),
        diversity_card("Diversity", "diversity", metrics),
        diversity_card("Diversity for the same pixels", "diversity_within", metrics),
        fid_card(metrics),
    ]
