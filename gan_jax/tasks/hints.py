"""Hints: a few known colours of an image, as a condition beside its lightness.

Zhang et al. 2017 (arXiv 1705.02999), section 3.2, train on simulated hints. The number
of points is geometric, their places are normal around the middle, and each reveals the
mean colour of a small patch. For a few images all colours are revealed, so that the
generator learns to copy what it is given.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gan_jax.config.limits import Size
from gan_jax.data import color
from gan_jax.data.feed import ImagesByRole
from gan_jax.data.masks import Known, known
from gan_jax.data.splits import Part
from gan_jax.report.page import Card
from gan_jax.tasks.plates.colors import plate
from gan_jax.tasks.task import (
    ConditionArray,
    Model,
    Picture,
    Request,
    Samples,
    Task,
    Variation,
)
from gan_jax.training.method import Batch, LossInputs, Term

NUMBERS = (1, 5, 10, 50)
"""Numbers of hints under which a colorizer is measured, beside none."""
MEASURES = ("ab_error", "psnr")
"""What is measured under them, as `ab_error_hints_5`."""

_CRITERION = "ab_error_hints_10"
_MOST = 10  # drawn hints of an image, at most, in multiples of their mean number
_SPREAD = 0.25  # standard deviation of a place, as a share of the side
_PIXELS_PER_STEP = 32  # of a side, for which the largest patch grows by one
_NEAR, _ALIKE = 0.1, 0.1  # scales of `spread`: a share of the side, scaled lightness
_SHOWN, _DRAWN = (0, 1, 10, 50), 10  # numbers of hints on a plate, and one drawn
_ROWS = 10  # images on a plate

DrawHints = Callable[[PRNGKeyArray, Float[Array, "batch height width 2"]], Known]
"""`draw(key, ab)`: some of the colours of images."""


class Hinted(NamedTuple):
    """The condition of a colorizer that takes hints."""

    lightness: Float[Array, "batch height width 1"]
    """Scaled lightness."""
    hints: Known
    """Scaled ab of the pixels that have a hint."""


CONDITION = (
    ConditionArray(
        "hints",
        (-1.0, 1.0),
        "ab of CIE Lab / 110 at pixels with a hint; 0 elsewhere",
    ),
    ConditionArray("mask", (0.0, 1.0), "1 where a pixel has a hint, 0 elsewhere"),
)
"""The arrays of hints, in the order of `Known`."""


def takes_hints(task: Task) -> bool:
    """Return whether the condition of a task is a `Hinted`."""
    return tuple(task.condition_arrays[-len(CONDITION) :]) == CONDITION


def largest_patch(size: Size) -> int:
    """Return the side of the largest patch of a simulated hint, in pixels.

    It is 9 at 256x256, as published, and 2 at 32x32.
    """
    return 1 + min(size) // _PIXELS_PER_STEP


def simulated(
    key: PRNGKeyArray,
    ab: Float[Array, "batch height width 2"],
    mean: float,
    patch: int,
    everything: float,
) -> Known:
    """Return hints for training, drawn for each image by itself.

    Args:
        key: Random key.
        ab: Scaled colours of images.
        mean: Mean number of hints. The number is geometric, from 0 on, and at most ten
            times the mean.
        patch: Side of the largest patch, in pixels. Sides are uniform from 1 on.
        everything: Share of images of which all colours are given.
    """
    keys = jax.random.split(key, 3)
    most = math.ceil(_MOST * mean)
    drawn = jax.random.geometric(keys[0], 1 / (1 + mean), (len(ab),)) - 1
    some = _revealed(keys[1], ab, drawn.clip(0, most), most, patch)
    shape = (len(ab), 1, 1, 1)
    whole = jax.random.bernoulli(keys[2], everything, shape)
    every = known(ab, jnp.ones_like(some.mask))
    return jax.tree.map(functools.partial(jnp.where, whole), every, some)


@functools.partial(jax.jit, static_argnames="number")
def at_random(
    key: PRNGKeyArray, ab: Float[Array, "batch height width 2"], number: int
) -> Known:
    """Return so many hints of one pixel for each image; fewer where places coincide."""
    numbers = jnp.full(len(ab), number)
    return _revealed(key, ab, numbers, max(number, 1), 1)


def _revealed(
    key: PRNGKeyArray,
    ab: Float[Array, "batch height width 2"],
    numbers: Int[Array, " batch"],
    most: int,
    patch: int,
) -> Known:
    """Return the mean colours of patches; where patches overlap, the mean of theirs.

    Args:
        key: Random key.
        ab: Scaled colours of images.
        numbers: Number of patches of each image.
        most: The largest number.
        patch: Side of the largest patch.
    """
    batch, height, width, _ = ab.shape
    keys = jax.random.split(key, 3)
    sides = jax.random.randint(keys[0], (batch, most), 1, patch + 1)

    def covered(key: PRNGKeyArray, length: int) -> Bool[Array, "batch most length"]:
        """Return the rows, or columns, of each patch."""
        drawn = _SPREAD * length * jax.random.normal(key, sides.shape)
        first = jnp.rint((length - sides) / 2 + drawn).clip(0, length - sides)
        at, first = jnp.arange(length).reshape(1, 1, -1), first[..., None]
        return (at >= first) & (at < first + sides[..., None])

    is_given = (jnp.arange(most).reshape(1, -1) < numbers[:, None])[..., None]
    rows = (covered(keys[1], height) & is_given).astype(jnp.float32)
    columns = covered(keys[2], width).astype(jnp.float32)
    # Accelerators multiply matrices in lower precision by default.
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    bands = product("bph,bhwc->bpwc", rows, ab)
    means = product("bpw,bpwc->bpc", columns, bands) / jnp.square(sides)[..., None]
    stripes = columns[..., None] * means[:, :, None]
    values = product("bph,bpwc->bhwc", rows, stripes)
    counts = product("bph,bpw->bhw", rows, columns)[..., None]
    mask = (counts > 0).astype(jnp.float32)
    return Known(values / jnp.maximum(counts, 1), mask)


def without_hints(lightness: Float[Array, "batch height width 1"]) -> Hinted:
    """Return the condition of images without a hint."""
    shape = (*lightness.shape[:-1], 2)
    return Hinted(lightness, Known(jnp.zeros(shape), jnp.zeros_like(lightness)))


def spread(condition: Hinted) -> Float[Array, "batch height width 2"]:
    """Return colours that are spread from hints by place and lightness.

    A pixel has the mean ab of all hints, weighted by a Gaussian of the distance and of
    the difference in lightness; 0 where an image has no hint.
    """
    most = int(condition.hints.mask.sum(axis=(1, 2, 3)).max())
    return _spread(condition, max(most, 1))


@functools.partial(jax.jit, static_argnames="most")
def _spread(condition: Hinted, most: int) -> Float[Array, "batch height width 2"]:
    shape = condition.lightness.shape[1:3]
    rows, columns = (
        axis.reshape(-1, 1) / (_NEAR * side)
        for axis, side in zip(jnp.indices(shape), shape, strict=True)
    )

    def of_one(image: Hinted) -> Float[Array, "height width 2"]:
        light = image.lightness.reshape(-1, 1) / _ALIKE
        pixels = jnp.concatenate([rows, columns, light], axis=1)
        given, at = jax.lax.top_k(image.hints.mask.reshape(-1), most)
        squares = jnp.square(pixels[:, None] - pixels[None, at]).sum(axis=-1)
        # A softmax does not underflow far from all hints.
        weights = jax.nn.softmax(jnp.where(given > 0, -squares / 2, -jnp.inf), axis=1)
        colours = weights @ image.hints.values.reshape(-1, 2)[at]
        return jnp.where(given.any(), colours, 0.0).reshape(*shape, 2)

    return jax.lax.map(of_one, condition)


def hinted(plain: Task, draw: DrawHints) -> Task:
    """Return a task of colours whose generator and critic see hints as well.

    Everything that the plain task does with a condition it does with the lightness. The
    measures are those without hints, and some under several numbers of hints, which
    are the same at every evaluation.
    """
    measured, report = plain.evaluation, plain.report

    def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
        real, lightness, _ = plain.present(key, images)
        condition = Hinted(lightness, draw(jax.random.fold_in(key, 1), real))
        return Batch(real, condition, condition)

    def requests(part: Part, key: PRNGKeyArray, count: int) -> Request:
        lightness, truth = plain.ask(part, key, count)
        return Request(without_hints(lightness), truth)

    def of_lightness(
        make: Callable[[Request, Part], Samples],
    ) -> Callable[[Request, Part], Samples]:
        return lambda request, part: make(
            request._replace(condition=request.condition.lightness), part
        )

    def spread_hints(request: Request, part: Part) -> Samples:
        condition = request.condition
        return np.asarray(plain.render(spread(condition), condition.lightness))

    def term(of: Term) -> Term:
        def value(inputs: LossInputs) -> Array:
            return of.value(inputs._replace(condition=inputs.condition.lightness))

        return Term(of.weight, value)

    def draw_plate(model: Model, part: Part, key: PRNGKeyArray) -> Picture:
        request = requests(part, key, _ROWS)
        given = {number: _with_hints(request, key, number) for number in _SHOWN}
        return _plate(
            given[_DRAWN],
            {
                f"under {number}": model.sample(
                    key, varied.condition, len(varied.truth)
                )
                for number, varied in given.items()
            },
            plain.render,
        )

    def comparison(
        models: Mapping[str, Model], part: Part, key: PRNGKeyArray
    ) -> Picture:
        request = _with_hints(requests(part, key, _ROWS), key, _DRAWN)
        images = {
            name: model.sample(key, request.condition, len(request.truth))
            for name, model in models.items()
        }
        return _plate(request, images, plain.render)

    variations = [
        Variation(
            functools.partial(_with_hints, number=number),
            {f"{name}_hints_{number}": measured.measures[name] for name in MEASURES},
        )
        for number in NUMBERS
    ]
    return plain._replace(
        present=present,
        condition_arrays=(*plain.condition_arrays, *CONDITION),
        generator_terms={name: term(of) for name, of in plain.generator_terms.items()},
        render=lambda ab, condition: plain.render(ab, condition.lightness),
        requests=requests,
        evaluation=measured._replace(
            variations=variations,
            criterion=(*measured.criterion, _CRITERION),
            baselines={
                **{name: of_lightness(of) for name, of in measured.baselines.items()},
                "hints spread": spread_hints,
            },
        ),
        report=report._replace(
            plate=draw_plate,
            cards=lambda metrics: [*report.cards(metrics), _card(metrics)],
            caption=(
                "Images that were not trained on: their lightness alone, as they were "
                "colorized under growing numbers of hints, and their true colours. "
                "Each hint is the true colour of one pixel at a random place; ten of "
                "them are drawn on their image."
            ),
            comparison=comparison,
        ),
    )


def _with_hints(request: Request, key: PRNGKeyArray, number: int) -> Request:
    """Return a request with hints of the true colours, at places of the key."""
    _, ab = color.split(request.truth)
    condition = request.condition._replace(hints=at_random(key, ab, number))
    return request._replace(condition=condition)


def _plate(
    request: Request,
    colorized: Mapping[str, Samples],
    render: Callable[[Array, Array], Array],
) -> Picture:
    """Draw images in grey, with the hints of a request, colorized, and in colour."""
    lightness, hints = request.condition
    columns = {
        "grey": render(jnp.zeros_like(hints.values), lightness),
        f"the {_DRAWN} hints": render(hints.values, lightness),
        **colorized,
        "true colours": request.truth,
    }
    images = {name: np.asarray(column) for name, column in columns.items()}
    return plate(images, len(request.truth))


def _card(metrics: Mapping[str, Any]) -> Card:
    return Card(
        "Colour error, 10 hints",
        metrics.get(_CRITERION),
        "at random places",
    )
