"""Completed images: made of what a search has found, measured, and written."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.report import Along, Arm, spread_shown
from gan_jax.evaluation import features
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.evaluation.restoration import restoration
from gan_jax.networks.compilation import compiled
from gan_jax.report import files
from gan_jax.report.grids import to_uint8
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior
from gan_jax.search.completion import Observation
from gan_jax.search.diverse import diverse
from gan_jax.search.latent import Found
from gan_jax.search.trace import Trace

_CHUNK = 100  # images generated or blended at once

Images = Float[np.ndarray, "count height width channels"]
Generate: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Makes of `[count, restarts, latent]` as many images."""


class Task(NamedTuple):
    """Images under one kind of hole, at the prior's size."""

    hole: str
    targets: Sequence[MaskedImage]
    truth: Images | None
    """None where it is not known."""
    masks: Float[np.ndarray, "count height width 1"] | None
    """Of the images; None where something else than their pixels was measured."""
    known: Observation
    """Of all images; every known value weighs 1 as yet."""


class Completion(NamedTuple):
    """What one loss makes of a task."""

    task: Task
    loss: str
    found: Found
    every: Float[np.ndarray, "count restarts height width channels"]
    """Of every restart what its best latent generates, under the known pixels where
    pixels are known."""
    composite: Images
    """The best of them."""
    pasted: Images
    """What the best one has in place of known pixels too."""
    blended: Images | None
    """Without a visible edge, where that was asked for."""
    seconds: float
    """Of the search, compilation included."""
    along: Along | None = None
    """Some of the images on the way; None where they are not drawn."""


def generating(prior: Prior) -> Generate:
    """Return a prior's generator, compiled once for many calls."""
    run = compiled(prior.method.generator.apply)

    def generate(
        latents: Float[np.ndarray, "count restarts latent"],
    ) -> Float[np.ndarray, "count restarts height width channels"]:
        flat = latents.reshape(-1, latents.shape[-1])
        every: np.ndarray = in_chunks(
            lambda at: run(prior.networks.generator, flat[at]), len(flat), _CHUNK
        )
        return every.reshape(*latents.shape[:2], *every.shape[1:])

    return generate


def complete(
    generate: Generate, task: Task, loss: str, found: Found, blend: bool, seconds: float
) -> Completion:
    """Make the images of the latents that a search has found.

    Args:
        generate: as `generating` gives it.
        task: what was completed.
        loss: by its name.
        found: what the search came to.
        blend: whether images without a visible edge are made too.
        seconds: that the search took.
    """
    generated = generate(found.restarts.latent)
    best = np.arange(len(generated)), found.restart
    every, pasted, blended = generated, generated[best], None
    if task.masks is not None:
        values = np.asarray(task.known.values)
        every = np.where(task.masks[:, None] > 0, values[:, None], generated)
        if blend:
            blended = _blend(pasted, values, task.masks)
    return Completion(task, loss, found, every, every[best], pasted, blended, seconds)


def _blend(generated: Images, known: Images, masks: Images) -> Images:
    blend = targets.blending()
    images: Images = in_chunks(
        lambda at: blend(generated[at], known[at], masks[at]), len(generated), _CHUNK
    )
    # What lies outside the range of images can neither be shown nor written.
    return images.clip(-1, 1)


class Figures(NamedTuple):
    """How good completions are, against the truth where it is known."""

    each: Sequence[Mapping[str, float]]
    """By image."""
    images: Measured
    """Means over the images, and distances of the whole set."""
    search: Measured
    """What the search of their latents came to."""

    @property
    def all(self) -> Measured:
        """Both together."""
        (metrics, failed), (more, others) = self.images, self.search
        return Measured(metrics | more, failed | others)


def figures(completion: Completion, judge: FeatureNetwork | None) -> Figures:
    """Measure completions; those of the blended images are called `blended_...`.

    Args:
        completion: what is measured.
        judge: gives the features that FID and KID compare with those of the truth;
            None leaves both out.
    """
    task, found = completion.task, completion.found
    each: list[dict[str, float]] = [{} for _ in task.targets]
    distances: dict[str, Callable[[], float]] = {}
    kinds = {"": completion.composite, "blended_": completion.blended}
    for prefix, images in kinds.items():
        if images is None or task.truth is None:
            continue
        holes = np.zeros_like(images[..., :1]) if task.masks is None else task.masks
        for line, one in zip(
            each, zip(images, task.truth, holes, strict=True), strict=True
        ):
            measured = restoration(*one)._asdict()
            line |= {f"{prefix}{name}": value for name, value in measured.items()}
        if judge is not None:
            distances |= _distances(prefix, judge, task.truth, images)

    def mean(name: str) -> float:
        return float(np.mean([line[name] for line in each]))

    means = {name: functools.partial(mean, name) for name in each[0]}
    of_search: dict[str, Callable[[], float]] = {
        "residual": lambda: float(found.residual.mean()),
        "iterations": lambda: float(found.restarts.steps.mean()),
        "spread": lambda: float(spread(completion).mean()),
    }
    return Figures(each, measure(means | distances), measure(of_search))


def _distances(
    prefix: str, judge: FeatureNetwork, truth: Images, images: Images
) -> dict[str, Callable[[], float]]:
    """Return the distances of completed images from the true ones, as sets."""

    @functools.cache
    def judged() -> list[np.ndarray]:
        return [judge(side).features for side in (truth, images)]

    return {
        f"{prefix}fid": lambda: features.frechet_distance(*judged()),
        f"{prefix}kid": lambda: features.kernel_distance(*judged()),
    }


def as_arm(
    completion: Completion,
    data: str,
    metrics: Mapping[str, float | None],
    count: int,
) -> Arm:
    """Bring a completion into the form in which it is shown.

    Args:
        completion: what is shown.
        data: the name of the images.
        metrics: of it.
        count: completions of each image that are shown, at most.
    """
    task = completion.task
    return Arm(
        data=data,
        hole=task.hole,
        loss=completion.loss,
        truth=task.truth,
        masked=np.asarray(task.known.values),
        masks=np.asarray(task.known.mask),
        composite=completion.composite,
        blended=completion.blended,
        spread=spread(completion),
        diverse=different(completion, count),
        metrics=metrics,
        history=_median(completion.found.history),
        along=completion.along,
    )


def along(generate: Generate, found: Found, trace: Trace) -> Along:
    """Make the images of the latents that searches went through.

    Args:
        generate: as `generating` gives it.
        found: what the searches came to.
        trace: of the first images.
    """
    best = found.best_step[: len(trace.ends)]
    return Along(trace.steps, generate(trace.latent), trace.ends, best)


def spread(completion: Completion) -> Float[np.ndarray, "count height width"]:
    """Return the standard deviation over the restarts, the mean of the channels."""
    deviation: np.ndarray = completion.every.std(axis=1).mean(axis=-1)
    return deviation


def different(
    completion: Completion, count: int
) -> Float[np.ndarray, "images some height width channels"]:
    """Choose completions of each image that differ, the best first.

    Args:
        completion: with so many restarts.
        count: of them at most.
    """
    some = min(count, completion.every.shape[1])
    losses = completion.found.restarts.loss
    return np.stack(
        [
            images[diverse(images, loss, some)]
            for images, loss in zip(completion.every, losses, strict=True)
        ]
    )


def _median(
    history: Float[np.ndarray, "images iterations"],
) -> Float[np.ndarray, " iterations"]:
    """Return the median loss of the searches that were running at each iteration."""
    under_way = np.isfinite(history).any(axis=0)
    last = int(np.flatnonzero(under_way).max(initial=0))
    medians = np.full(history.shape[1], np.nan)
    medians[under_way] = np.nanmedian(history[:, under_way], axis=0)
    return medians[: last + 1]


def write_images(
    completion: Completion,
    each: Sequence[Mapping[str, float]],
    folder: Path,
    workdir: Path,
    others: int = 0,
) -> list[dict[str, Any]]:
    """Write every completed image; give a line for each.

    Pixels come back at the size of the file they came from, with the known ones
    untouched, blended at that size; where something else was measured, images have
    the prior's size.

    Args:
        completion: what is written.
        each: its figures, by image.
        folder: for the images, inside `workdir`.
        workdir: to which the lines' paths are relative.
        others: so many different completions of each image and their spread are
            written too, in folders `others` and `spread`.
    """
    found, blend = completion.found, completion.blended is not None
    spreads = spread(completion)
    none: Sequence[Any] = [()] * len(completion.task.targets)
    alternatives = different(completion, others) if others else none
    for needed in (folder, *((folder / "others", folder / "spread") if others else ())):
        needed.mkdir(parents=True, exist_ok=True)

    def write(path: Path, target: MaskedImage, image: np.ndarray, blend: bool) -> None:
        whole = to_uint8(image)
        if completion.task.masks is not None:
            whole = targets.restored(target, whole, blend)
        files.write_image(path, whole)

    lines = []
    for index, target in enumerate(completion.task.targets):
        path = folder / f"{target.name}.png"
        write(path, target, completion.pasted[index], blend)
        for turn, image in enumerate(alternatives[index], 1):
            place = folder / "others" / f"{target.name}-{turn}.png"
            write(place, target, image, blend=False)
        if others:
            unknown = target._replace(image=np.zeros_like(target.image[..., :1]))
            shown = spread_shown(spreads[index, ..., None])
            place = folder / "spread" / f"{target.name}.png"
            write(place, unknown, shown, blend=False)
        line: dict[str, Any] = {
            "input": target.source,
            "done": True,
            "output": str(path.relative_to(workdir)),
            "hole": completion.task.hole,
            "loss": completion.loss,
            "best_step": int(found.best_step[index]),
            "restart": int(found.restart[index]),
        }
        numbers = {"residual": found.residual[index], **each[index]}
        line |= {
            key: float(value) if np.isfinite(value) else None
            for key, value in numbers.items()
        }
        lines.append(line)
    return lines
