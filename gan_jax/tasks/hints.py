"""Colorization with hints: a few known colours are a condition beside the lightness.

Zhang et al. 2017 (arXiv 1705.02999) train a generator so, without a critic.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.data import color
from gan_jax.data.feed import ImagesByRole
from gan_jax.data.masks import Known, known
from gan_jax.data.splits import Part
from gan_jax.report.page import Card
from gan_jax.tasks.plates.colors import plate
from gan_jax.tasks.simulated_hints import at_random, recoloured
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
_NEAR, _ALIKE = 0.2, 0.2  # scales of `spread`: a share of the side, scaled lightness
_SHOWN, _DRAWN = (0, 1, 10, 50), 10  # numbers of hints on a plate, and one drawn
_ROWS = 10  # images on a plate

DrawHints = Callable[[PRNGKeyArray, Float[Array, "batch height width 2"]], Known]
"""`draw(key, ab)`: some of the colours of images."""


class Hinted(NamedTuple):
    """The condition of a colorizer that takes hints."""

    lightness: Float[Array, "batch height width 1"]
    """Scaled lightness."""
    ab: Float[Array, "batch height width 2"]
    """Scaled ab of the hints where they are, and filled in from them elsewhere."""
    nearness: Float[Array, "batch height width 1"]
    """1 where a hint is, less the farther the next one is, 0 where there is none."""

    @property
    def hints(self) -> Known:
        """The hints themselves."""
        return known(self.ab, (self.nearness == 1).astype(jnp.float32))


CONDITION = (
    ConditionArray("ab", (-1.0, 1.0), "ab of CIE Lab / 110, filled in from hints"),
    ConditionArray("nearness", (0.0, 1.0), "1 where a hint is, falling to 0"),
)
"""The arrays of a `Hinted` beside the lightness."""

GIVEN = (
    ConditionArray(
        "hints", (-1.0, 1.0), "ab of CIE Lab / 110 where a hint is, 0 elsewhere"
    ),
    ConditionArray("mask", (0.0, 1.0), "1 where a hint is, 0 elsewhere"),
)
"""The arrays from which the condition is made, in the order of `Known`."""


def takes_hints(task: Task) -> bool:
    """Return whether the condition of a task is a `Hinted`."""
    return tuple(task.condition_arrays[-len(CONDITION) :]) == CONDITION


def conditioned(
    lightness: Float[Array, "batch height width 1"], hints: Known
) -> Hinted:
    """Return the condition of images with hints: their colours, filled in.

    Between hints colours are interpolated by pull-push (Gortler et al. 1996, The
    Lumigraph): the mean of the hints in a block fills the gaps between them, and blocks
    without a hint are filled from larger ones. A few pixels among many zeros are too
    weak an input: a generator needs long to learn to spread them.
    """
    ab, nearness = _filled(hints)
    return Hinted(lightness, ab, nearness)


def _filled(hints: Known) -> tuple[Array, Array]:
    """Return the colours of hints, filled in, and how near the hints are."""
    values, weights = hints
    _, height, width, _ = values.shape
    if max(height, width) == 1:
        return values, weights
    summed = _blocks(weights)
    mean = _blocks(values * weights) / jnp.maximum(summed, 1e-6)
    coarse = _filled(Known(mean, summed.clip(0, 1)))

    def enlarged(maps: Array) -> Array:
        count, rows, columns, channels = maps.shape
        shape = (count, 2 * rows, 2 * columns, channels)
        return jax.image.resize(maps, shape, "bilinear")[:, :height, :width]

    around, nearness = map(enlarged, coarse)
    ab = weights * values + (1 - weights) * around
    return ab, weights + (1 - weights) * nearness / 2


def _blocks(maps: Array) -> Array:
    """Return sums over blocks of 2x2 pixels; beyond the edges there are zeros."""
    for axis in (1, 2):
        if maps.shape[axis] % 2:  # jax2onnx pads no array whose batch size is free
            edge = jnp.zeros_like(jax.lax.slice_in_dim(maps, 0, 1, axis=axis))
            maps = jnp.concatenate([maps, edge], axis)
    count, height, width, channels = maps.shape
    shape = (count, height // 2, 2, width // 2, 2, channels)
    return maps.reshape(shape).sum(axis=(2, 4))


def without_hints(lightness: Float[Array, "batch height width 1"]) -> Hinted:
    """Return the condition of images without a hint."""
    shape = (*lightness.shape[:-1], 2)
    return Hinted(lightness, jnp.zeros(shape), jnp.zeros_like(lightness))


def spread(condition: Hinted) -> Float[Array, "batch height width 2"]:
    """Return colours that are spread from hints by place and lightness.

    A pixel has the mean ab of all hints, weighted by a Gaussian of the distance and of
    the difference in lightness; 0 where an image has no hint.
    """
    hints = condition.hints
    most = int(hints.mask.sum(axis=(1, 2, 3)).max())
    return _spread(condition.lightness, hints, max(most, 1))


@functools.partial(jax.jit, static_argnames="most")
def _spread(
    lightness: Float[Array, "batch height width 1"], hints: Known, most: int
) -> Float[Array, "batch height width 2"]:
    shape = lightness.shape[1:3]
    rows, columns = (
        axis.reshape(-1, 1) / (_NEAR * side)
        for axis, side in zip(jnp.indices(shape), shape, strict=True)
    )

    def of_one(image: tuple[Array, Known]) -> Float[Array, "height width 2"]:
        light, given = image
        features = [rows, columns, light.reshape(-1, 1) / _ALIKE]
        pixels = jnp.concatenate(features, axis=1)
        marked, at = jax.lax.top_k(given.mask.reshape(-1), most)
        squares = jnp.square(pixels[:, None] - pixels[None, at]).sum(axis=-1)
        # A softmax does not underflow far from all hints.
        weights = jax.nn.softmax(jnp.where(marked > 0, -squares / 2, -jnp.inf), axis=1)
        colours = weights @ given.values.reshape(-1, 2)[at]
        return jnp.where(marked.any(), colours, 0.0).reshape(*shape, 2)

    return jax.lax.map(of_one, (lightness, hints))


def hinted(plain: Task, draw: DrawHints, recoloured_share: float) -> Task:
    """Return a task of colours whose generator sees hints beside the lightness.

    Everything that the plain task does with a condition it does with the lightness. The
    measures are those without hints, and some under several numbers of hints, which
    are the same at every evaluation.

    Args:
        plain: The task without hints.
        draw: Draws the hints of training.
        recoloured_share: Share of images in training that are `recoloured`.
    """
    measured, report = plain.evaluation, plain.report

    def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
        real, lightness, _ = plain.present(key, images)
        keys = [jax.random.fold_in(key, number) for number in (1, 2)]
        mask = draw(keys[0], real).mask
        real = recoloured(keys[1], lightness, real, mask, recoloured_share)
        condition = conditioned(lightness, draw(keys[0], real))
        # A critic that saw hints could tell fakes by comparing single pixels with them.
        return Batch(real, condition, lightness)

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
                _title(number): model.sample(key, varied.condition, len(varied.truth))
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
        critic_condition=lambda condition: condition.lightness,
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
    condition = request.condition
    hints = at_random(key, ab, number)
    return request._replace(condition=conditioned(condition.lightness, hints))


def _plate(
    request: Request,
    colorized: Mapping[str, Samples],
    render: Callable[[Array, Array], Array],
) -> UInt8[np.ndarray, "tall wide 3"]:
    """Draw images in grey, with the hints of a request, colorized, and in colour."""
    lightness, hints = request.condition.lightness, request.condition.hints
    columns = {
        "grey": render(jnp.zeros_like(hints.values), lightness),
        f"the {_DRAWN} hints": render(hints.values, lightness),
        **colorized,
        "true colours": request.truth,
    }
    images = {name: np.asarray(column) for name, column in columns.items()}
    return plate(images, len(request.truth))


def _title(number: int) -> str:
    return {0: "no hint", 1: "1 hint"}.get(number, f"{number} hints")


def _card(metrics: Mapping[str, Any]) -> Card:
    return Card(
        "Colour error, 10 hints",
        metrics.get(_CRITERION),
        "at random places",
    )
