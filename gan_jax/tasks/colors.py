"""Colorization: the condition is the lightness of an image, the output its colours.

Isola et al. 2016 (arXiv 1611.07004) train such a generator; Fabbri 2017 compares
objectives; Vitoria, Raad & Ballester 2020 (arXiv 1907.09837) add a teacher that
classifies the image. Lightness and ab of CIE Lab are scaled to [-1, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.config.errors import InputError
from gan_jax.data import color
from gan_jax.data.feed import ImagesByRole, first_images, to_float
from gan_jax.data.splits import Part
from gan_jax.evaluation.color import ab_error, colourfulness
from gan_jax.evaluation.restoration import pooled_psnr, psnr, ssim
from gan_jax.losses.reconstruction import class_distribution
from gan_jax.networks import classifier
from gan_jax.report.cards import fid_card
from gan_jax.report.page import Card
from gan_jax.tasks.plates.colors import plate, published
from gan_jax.tasks.task import (
    ConditionArray,
    Model,
    Picture,
    Request,
    Samples,
    Task,
    TaskEvaluation,
    TaskReport,
)
from gan_jax.training.method import Batch, LossInputs, Term

TEACHER = "teacher"
"""Key of a teacher's variables among the frozen arrays."""

_LIGHTNESS = ConditionArray(
    "lightness", (-1.0, 1.0), "CIE lightness L, from -1 for black to 1 for white"
)
_ROWS = 10  # images below each other on a plate
_MEAN_OF = 2000  # training images of the mean colour, at most

Distance = Callable[[Array, Array], Float[Array, "batch"]]
"""`distance(generated, truth)` of ab."""


def task(distance: Distance, weight: float, class_weight: float) -> Task:
    """Return the task: the distance of generated from true colours has the weight.

    `class_weight` is that of the divergence of the generator's class probabilities from
    the teacher's; 0 = there is no teacher.
    """

    def reconstruction(inputs: LossInputs) -> Float[Array, "batch"]:
        return distance(inputs.fake, inputs.real)

    terms = {"reconstruction": Term(weight, reconstruction)}
    if class_weight:
        terms["class_distribution"] = Term(class_weight, _class_distribution)
    evaluation = TaskEvaluation(
        measures={
            "psnr": lambda images, request: _mean(psnr, images, request.truth),
            "psnr_pooled": lambda images, request: pooled_psnr(images, request.truth),
            "ssim": lambda images, request: _mean(ssim, images, request.truth),
            "ab_error": lambda images, request: ab_error(images, request.truth),
            "colourfulness": lambda images, request: colourfulness(images),
            "colourfulness_real": lambda images, request: colourfulness(request.truth),
        },
        baselines={"grey": _grey, "mean colour": _mean_colour},
    )
    report = TaskReport(
        plate=lambda model, part, key: comparison({"colorized": model}, part, key),
        cards=_cards,
        caption=(
            "Images that were not trained on: their lightness alone, as they were "
            "colorized, and their true colours."
        ),
        published=lambda dataset, metrics: published(metrics.get("psnr")),
        comparison=comparison,
    )
    return Task(
        present,
        condition_arrays=(_LIGHTNESS,),
        generator_terms=terms,
        channels=_channels,
        in_colour=True,
        render=lambda ab, lightness: color.merge(lightness, ab),
        requests=requests,
        evaluation=evaluation,
        report=report,
    )


def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
    """Return the colours of images with their lightness, half of them mirrored."""
    real = to_float(images["real"].image)
    mirrored = jax.random.bernoulli(key, shape=(len(real), 1, 1, 1))
    real = jnp.where(mirrored, real[:, :, ::-1], real)
    lightness, ab = color.split(real)
    return Batch(ab, lightness, lightness)


def requests(part: Part, key: PRNGKeyArray, count: int) -> Request:
    """Return the lightness of the first images of a part."""
    images = first_images(part["real"], count)
    lightness, _ = color.split(images)
    return Request(lightness, np.asarray(images))


def comparison(models: Mapping[str, Model], part: Part, key: PRNGKeyArray) -> Picture:
    """Draw images in grey, as colorized by each model, and in their true colours."""
    request = requests(part, key, 4 * _ROWS)
    truth = request.truth
    colorized = {
        name: model.sample(key, request.condition, len(truth))
        for name, model in models.items()
    }
    return plate(
        {"grey": _grey(request, part), **colorized, "true colours": truth},
        min(_ROWS, len(truth)),
    )


def _class_distribution(inputs: LossInputs) -> Float[Array, "batch"]:
    variables = inputs.frozen[TEACHER]
    teacher = classifier.classifier_for(variables)
    wanted: Any = teacher.apply(variables, inputs.condition)
    return class_distribution(inputs.generated.logits, wanted.logits)


def _channels(channels: int) -> int:
    if channels != 3:
        raise InputError(
            "colorization learns from colour images, and these are grey: choose other "
            "data"
        )
    return 2


def _mean(
    measure: Callable[[np.ndarray, np.ndarray], float], images: Samples, truth: Samples
) -> float:
    return float(np.mean([measure(*pair) for pair in zip(images, truth, strict=True)]))


def _grey(request: Request, part: Part) -> Samples:
    return _uniform(request, np.zeros(2))


def _mean_colour(request: Request, part: Part) -> Samples:
    _, ab = color.split(first_images(part["real"], _MEAN_OF))
    return _uniform(request, np.asarray(ab).mean(axis=(0, 1, 2)))


def _uniform(request: Request, ab: Float[np.ndarray, "2"]) -> Samples:
    """Return images of the lightness with one colour at all pixels."""
    shape = (*request.condition.shape[:-1], 2)
    flat = jnp.broadcast_to(jnp.asarray(ab, jnp.float32), shape)
    return np.asarray(color.merge(request.condition, flat))


def _cards(metrics: Mapping[str, Any]) -> Sequence[Card]:
    real = metrics.get("colourfulness_real")
    return [
        Card("PSNR", metrics.get("psnr"), "dB, the mean over images"),
        Card("PSNR, pooled", metrics.get("psnr_pooled"), "dB, of their mean error"),
        Card("Colour error", metrics.get("ab_error"), "mean distance in Lab's ab"),
        Card(
            "Colourfulness",
            metrics.get("colourfulness"),
            "not measured" if real is None else f"the real images' is {real:.1f}",
        ),
        fid_card(metrics),
    ]
