"""Colorization: a generator is given the lightness of an image and makes its colours.

Isola et al. 2016 (arXiv 1611.07004) for the setting; Fabbri 2017 compares objectives in
it; Vitoria, Raad & Ballester 2020 (arXiv 1907.09837) add a teacher, who tells what the
image shows. The networks see lightness and ab, each scaled to [-1, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.config.errors import InputError
from gan_jax.data import color
from gan_jax.data.feed import Batch, read, to_float
from gan_jax.data.splits import Part
from gan_jax.evaluation.color import ab_error, colourfulness
from gan_jax.evaluation.restoration import pooled_psnr, psnr, ssim
from gan_jax.losses.reconstruction import class_distribution
from gan_jax.networks import classifier
from gan_jax.report.page import Card
from gan_jax.tasks.cards import fid_card
from gan_jax.tasks.plates.colors import plate, published
from gan_jax.tasks.task import Asked, Model, Samples, Task, Told
from gan_jax.training.method import Example, LossInputs, Term

TEACHER = "teacher"
"""Under which name a teacher's variables lie among what is frozen."""

_LIGHTNESS = Told(
    "lightness", (-1.0, 1.0), "CIE lightness L, from -1 for black to 1 for white"
)
_ROWS = 10  # images of a plate, one below the other
_MEAN_OF = 2000  # training images whose mean colour is taken

Distance = Callable[[Array, Array], Float[Array, "batch"]]
"""`distance(generated, truth)` of images' ab."""


def task(distance: Distance, weight: float, class_weight: float) -> Task:
    """Make the task.

    Args:
        distance: between the colours made and the true ones.
        weight: of that distance.
        class_weight: of the divergence of what the generator takes images for from
            what a teacher does; 0 = there is no teacher.
    """

    def reconstruction(inputs: LossInputs) -> Float[Array, "batch"]:
        return distance(inputs.fake, inputs.real)

    terms = {"reconstruction": Term(weight, reconstruction)}
    if class_weight:
        terms["class_distribution"] = Term(class_weight, _class_distribution)
    return Task(
        roles={"real": 1.0},
        told=(_LIGHTNESS,),
        present=present,
        generator_terms=terms,
        ask=ask,
        scores={
            "psnr": lambda images, asked: _mean(psnr, images, _truth(asked)),
            "psnr_pooled": lambda images, asked: pooled_psnr(images, _truth(asked)),
            "ssim": lambda images, asked: _mean(ssim, images, _truth(asked)),
            "ab_error": lambda images, asked: ab_error(images, _truth(asked)),
            "colourfulness": lambda images, asked: colourfulness(images),
            "colourfulness_real": lambda images, asked: colourfulness(_truth(asked)),
        },
        judge=None,
        criterion=("fid",),
        picture=_picture,
        cards=_cards,
        caption=(
            "Images that were not trained on: their lightness alone, as they were "
            "colorized, and their true colours."
        ),
        published=lambda dataset, metrics: published(metrics.get("psnr")),
        channels=_channels,
        render=lambda ab, lightness: color.merge(lightness, ab),
        baselines={"grey": _grey, "mean colour": _mean_colour},
        comparison=comparison,
    )


def present(key: PRNGKeyArray, batch: Batch) -> Example:
    """Return the colours of images, each mirrored by lot, under their lightness."""
    images = to_float(jnp.asarray(batch["real"].image))
    mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    images = jnp.where(mirrored, images[:, :, ::-1], images)
    lightness, ab = color.split(images)
    return Example(ab, lightness, lightness)


def ask(part: Part, key: PRNGKeyArray, count: int) -> Asked:
    """Return the lightness of the first images of a part, each once."""
    source = part["real"]
    images = to_float(read(source, np.arange(min(count, len(source)))).image)
    lightness, _ = color.split(images)
    return Asked(lightness, np.asarray(images))


def comparison(
    models: Mapping[str, Model], part: Part, key: PRNGKeyArray
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw images grey, as each generator colorizes them, and as they are."""
    asked = ask(part, key, 4 * _ROWS)
    truth = _truth(asked)
    made = {
        name: each.sample(key, asked.condition, len(truth))
        for name, each in models.items()
    }
    return plate(
        {"grey": _grey(asked, part), **made, "true colours": truth},
        min(_ROWS, len(truth)),
    )


def _picture(model: Model, part: Part, key: PRNGKeyArray) -> UInt8[np.ndarray, "h w 3"]:
    return comparison({"colorized": model}, part, key)


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


def _truth(asked: Asked) -> Samples:
    assert asked.truth is not None  # `ask` gives it
    return asked.truth


def _mean(
    measure: Callable[[np.ndarray, np.ndarray], float], images: Samples, truth: Samples
) -> float:
    return float(np.mean([measure(*pair) for pair in zip(images, truth, strict=True)]))


def _grey(asked: Asked, part: Part) -> Samples:
    return _uniform(asked, np.zeros(2))


def _mean_colour(asked: Asked, part: Part) -> Samples:
    source = part["real"]
    images = read(source, np.arange(min(_MEAN_OF, len(source)))).image
    _, ab = color.split(to_float(images))
    return _uniform(asked, np.asarray(ab).mean(axis=(0, 1, 2)))


def _uniform(asked: Asked, ab: Float[np.ndarray, "2"]) -> Samples:
    """Return all pixels one colour."""
    shape = (*asked.condition.shape[:-1], 2)
    flat = jnp.broadcast_to(jnp.asarray(ab, jnp.float32), shape)
    return np.asarray(color.merge(asked.condition, flat))


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
