"""Generation under a handful of known pixels.

Ruffino, Herault, Laloy & Gasso 2019 (arXiv 1911.00689, 2002.01281): the generator sees
a sparse map of known pixels and is held to them by a weighted mean squared error; the
images that the constraints come from are never shown to the critic as real.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.data.feed import Batch, read, to_float
from gan_jax.data.masks import known
from gan_jax.data.splits import Part
from gan_jax.evaluation.image import honoured, pixel_mse
from gan_jax.losses.reconstruction import pixel_fidelity
from gan_jax.report.page import Card, Table
from gan_jax.tasks.cards import diversity_card, fid_card
from gan_jax.tasks.plates.constraints import constraint_grid
from gan_jax.tasks.task import Asked, Model, Score, Task, Told
from gan_jax.training.method import Example, LossInputs, Term

CONSTRAINT_SHARE = 0.2
"""Share of every part of the data that is set aside for constraints (section 4)."""

_TOLD = (
    Told("values", (-1.0, 1.0), "known pixels, as images have them; 0 elsewhere"),
    Told("mask", (0.0, 1.0), "1 where a pixel is known, 0 elsewhere"),
)
"""What a generator is told, in the order of `masks.Known`."""

_ROWS = 6  # constraints of a plate

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


DrawMask = Callable[[PRNGKeyArray, int], Float[Array, "batch size size 1"]]
"""`draw(key, batch)`: which pixels are known, 1 = known."""


def _fidelity(inputs: LossInputs) -> Float[Array, "batch"]:
    return pixel_fidelity(inputs.fake, inputs.condition.values, inputs.condition.mask)


def task(draw_mask: DrawMask, weight: float) -> Task:
    """Make the task.

    Args:
        draw_mask: draws which pixels are known.
        weight: lambda, of the mean squared error over known pixels; 0 with a critic
            that does not see the condition is the plain GAN.
    """

    def present(key: PRNGKeyArray, batch: Batch) -> Example:
        real, source = (to_float(batch[role].image) for role in ("real", "constraint"))
        keys = jax.random.split(key)
        masks = [draw_mask(each, len(real)) for each in keys]
        # Where the critic sees conditions, a real image comes with its own pixels.
        return Example(real, known(source, masks[0]), known(real, masks[1]))

    def ask(part: Part, key: PRNGKeyArray, count: int) -> Asked:
        """Draw constraints from the images set aside, repeated under other masks."""
        source = part["constraint"]
        chosen = np.arange(count) % len(source)
        images = to_float(read(source, chosen).image)
        condition = known(images, draw_mask(key, count))
        return Asked(condition, np.asarray(images))

    def picture(
        model: Model, part: Part, key: PRNGKeyArray
    ) -> UInt8[np.ndarray, "h w 3"]:
        columns = 6
        keys = jax.random.split(key)
        condition, originals = ask(part, keys[0], _ROWS)
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
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Draw what each of several generators makes of the same known pixels."""
        keys = jax.random.split(key)
        condition, originals = ask(part, keys[0], _ROWS)
        made = [each.sample(keys[1], condition, _ROWS) for each in models.values()]
        return constraint_grid(
            np.asarray(condition.values),
            np.asarray(condition.mask),
            np.stack(made, axis=1),
            original=originals,
            titles=list(models),
        )

    return Task(
        roles={"real": 1 - CONSTRAINT_SHARE, "constraint": CONSTRAINT_SHARE},
        told=_TOLD,
        present=present,
        generator_terms=(
            {"pixel_fidelity": Term(weight, _fidelity)} if weight > 0 else {}
        ),
        ask=ask,
        scores={"pixel_mse": _of_known(pixel_mse), "honoured": _of_known(honoured)},
        judge=None,
        criterion=("fid", "pixel_mse"),
        picture=picture,
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


def _of_known(measure: Callable[..., float]) -> Score:
    """Return a measure of images and known pixels as a task's."""
    return lambda generated, asked: measure(
        generated, *map(np.asarray, asked.condition)
    )


def _published(dataset: str, weight: float, metrics: Mapping[str, Any]) -> Table | None:
    """Set this run's figures among the published ones, in the order of lambda."""
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
