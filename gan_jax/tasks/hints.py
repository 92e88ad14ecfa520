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
_NEAR, _ALIKE = 0.2, 0.2  # scales of `spread`: a share of the side, scaled lightness
# What is like a pixel: scaled lightness and ab, and a share of the longer side.
_SAME_LIGHTNESS, _SAME_AB, _REACH = 0.4, 0.15, (0.1, 0.6)
_CHROMA = 0.7  # of new colours, scaled, at most
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
    Lumigraph, section 3.4): averages over ever larger blocks, each of the hints in it,
    fill the gaps of the smaller ones. A few single pixels among many zeros are too weak
    an input: a generator needs long to spread them by itself.
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

    far, farness = map(enlarged, coarse)
    ab = weights * values + (1 - weights) * far
    return ab, weights + (1 - weights) * farness / 2


def _blocks(maps: Array) -> Array:
    """Return sums over blocks of 2x2 pixels; beyond the edges there are zeros."""
    for axis in (1, 2):
        if maps.shape[axis] % 2:  # jax2onnx pads no array whose batch size is free
            edge = jnp.zeros_like(jax.lax.slice_in_dim(maps, 0, 1, axis=axis))
            maps = jnp.concatenate([maps, edge], axis)
    count, height, width, channels = maps.shape
    shape = (count, height // 2, 2, width // 2, 2, channels)
    return maps.reshape(shape).sum(axis=(2, 4))


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
    none: float,
    everything: float,
) -> Known:
    """Return hints for training, drawn for each image by itself.

    Args:
        key: Random key.
        ab: Scaled colours of images.
        mean: Mean number of hints. The number is geometric, from 0 on, and at most ten
            times the mean.
        patch: Side of the largest patch, in pixels. Sides are uniform from 1 on.
        none: Share of images without a hint, beside those for which none is drawn.
        everything: Share of images of which all colours are given.
    """
    keys = jax.random.split(key, 4)
    most = math.ceil(_MOST * mean)
    drawn = jax.random.geometric(keys[0], 1 / (1 + mean), (len(ab),)) - 1
    is_hinted = jax.random.bernoulli(keys[3], 1 - none, (len(ab),))
    some = _revealed(keys[1], ab, is_hinted * drawn.clip(0, most), most, patch)
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


def recoloured(
    key: PRNGKeyArray,
    lightness: Float[Array, "batch height width 1"],
    ab: Float[Array, "batch height width 2"],
    mask: Float[Array, "batch height width 1"],
    share: float,
) -> Float[Array, "batch height width 2"]:
    """Return the colours of images, in some of which one thing has another colour.

    It is as if a user made a red hat blue: a pixel of a hint gets a random colour, and
    what is like it around it moves along. Otherwise the colour of one thing would
    nearly always tell that of all others, and a generator would give one hint to the
    whole image.

    Args:
        key: Random key.
        lightness: Scaled lightness of images.
        ab: Their scaled colours.
        mask: 1 where they have a hint. Images without one stay as they are.
        share: Share of the images that are changed.
    """
    keys, batch = jax.random.split(key, 5), len(ab)
    noise = jax.random.uniform(keys[0], mask.shape, minval=0.5)
    at = (mask * noise).reshape(batch, -1).argmax(axis=1)

    def of_pixel(maps: Array) -> Array:
        """Return the values of the chosen pixels, which are at `at`."""
        pixels = maps.reshape(batch, -1, maps.shape[-1])
        return jnp.take_along_axis(pixels, at[:, None, None], axis=1)[:, None]

    sides = jnp.array(mask.shape[1:3])
    places = jnp.stack(jnp.indices(mask.shape[1:3]), axis=-1) / sides.max()
    places = jnp.broadcast_to(places, (batch, *places.shape))
    shape = (batch, 1, 1, 1)
    reach = jax.random.uniform(keys[1], shape, minval=_REACH[0], maxval=_REACH[1])
    measured = ((lightness, _SAME_LIGHTNESS), (ab, _SAME_AB), (places, reach))
    is_like = jnp.ones(mask.shape, bool)
    for maps, largest in measured:
        squares = jnp.square(maps - of_pixel(maps)).sum(axis=-1, keepdims=True)
        is_like &= squares <= largest**2
    angle = jax.random.uniform(keys[2], shape, maxval=2 * jnp.pi)
    chroma = jax.random.uniform(keys[3], shape, maxval=_CHROMA)
    colour = chroma * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    chosen = jax.random.bernoulli(keys[4], share, shape)
    chosen &= mask.any(axis=(1, 2, 3), keepdims=True)
    moved = (ab + colour - of_pixel(ab)).clip(-1, 1)
    return jnp.where(chosen & is_like, moved, ab)


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
        # A critic that saw hints would compare them with the image, pixel by pixel. A
        # generator cannot match them so exactly, and would learn nothing else from it.
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
) -> Picture:
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


def _card(metrics: Mapping[str, Any]) -> Card:
    return Card(
        "Colour error, 10 hints",
        metrics.get(_CRITERION),
        "at random places",
    )
