"""Completed images: made from the latents found, measured, and written."""

import errno
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan_jax.apps.inpaint.composites import blending, restored
from gan_jax.apps.inpaint.fit import Fit
from gan_jax.apps.inpaint.observations import Images, ObservedImages
from gan_jax.apps.inpaint.placement import PlacedImage, windows_of_each
from gan_jax.data.decode import AT_WORK
from gan_jax.evaluation import features
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.evaluation.restoration import restoration
from gan_jax.report.files import UnwritableError
from gan_jax.report.grids import to_uint8
from gan_jax.report.ownership import unwritten, write_image
from gan_jax.runs.inference import in_chunks
from gan_jax.search.completion import diverse
from gan_jax.search.latent import Found
from gan_jax.search.trace import Trace
from gan_jax.tasks.task import Model

_CHUNK = 100  # images blended at once


class Completion(NamedTuple):
    """The completions of images under one kind of hole by one loss."""

    images: ObservedImages
    loss: str
    """Name of the loss."""
    found: Found
    restarts: Float[np.ndarray, "count restarts height width channels"]
    """The image of each restart's best latent, with known pixels put over it."""
    composite: Images
    """The best restart's image, with known pixels put over it."""
    generated: Images
    """The best restart's image, without known pixels."""
    blended: Images | None
    """The best restart's image, blended into its hole. None where `blend` is false or a
    degradation was measured."""
    trace: Trace | None = None
    """Latents of the first images along their searches; None if they are not drawn."""
    traced: Float[np.ndarray, "some recorded height width channels"] | None = None
    """The images of `trace`."""
    fit: Fit | None = None
    """What the search reaches on validation images; None if that is not known."""

    @property
    def spread(self) -> Float[np.ndarray, "count height width"]:
        """Standard deviation over the restarts, the mean of the channels."""
        deviation: np.ndarray = self.restarts.std(axis=1).mean(axis=-1)
        return deviation

    def diverse(
        self, count: int
    ) -> Float[np.ndarray, "images some height width channels"]:
        """Return `count` diverse completions of each image, the best first.

        There are at most as many as restarts.
        """
        count = min(count, self.restarts.shape[1])
        losses = self.found.restarts.loss
        return np.stack(
            [
                images[diverse(images, loss, count)]
                for images, loss in zip(self.restarts, losses, strict=True)
            ]
        )


def generate_grouped(
    model: Model, latents: Float[np.ndarray, "count some latent"]
) -> Float[np.ndarray, "count some height width channels"]:
    """Return the images of latents that have two leading axes."""
    flat: np.ndarray = model.generate(latents.reshape(-1, latents.shape[-1]))
    return flat.reshape(*latents.shape[:2], *flat.shape[1:])


def complete(
    model: Model, images: ObservedImages, loss: str, found: Found, blend: bool = False
) -> Completion:
    """Return the images of the latents that a search has found.

    Blended images are made only with `blend`.
    """
    restarts = generate_grouped(model, found.restarts.latent)
    best = np.arange(len(restarts)), found.restart
    generated, blended = restarts[best], None
    if (masks := images.masks) is not None:
        values = np.asarray(images.known.values)
        restarts = np.where(masks[:, None] > 0, values[:, None], restarts)
        if blend:
            blended = in_chunks(
                lambda at: blending()(generated[at], values[at], masks[at]),
                len(generated),
                _CHUNK,
            ).clip(-1, 1)
    return Completion(images, loss, found, restarts, restarts[best], generated, blended)


def image_metrics(
    completion: Completion, feature_network: FeatureNetwork | None
) -> tuple[list[dict[str, float]], Measured]:
    """Measure completed images against the truth, where it is known.

    Without a feature network FID and KID are left out.

    Returns:
        The metrics of each image, and the means over the images with the distances of
        the whole set. Metrics of blended images are called `blended_...`.
    """
    truth, masks = completion.images.truth, completion.images.masks
    by_image: list[dict[str, float]] = [{} for _ in completion.images.sources]
    distances: dict[str, Callable[[], float]] = {}
    kinds = {"": completion.composite, "blended_": completion.blended}
    for prefix, images in kinds.items():
        if images is None or truth is None:
            continue
        holes = np.zeros_like(images[..., :1]) if masks is None else masks
        for metrics, image, original, mask in zip(
            by_image, images, truth, holes, strict=True
        ):
            values = restoration(image, original, mask)._asdict()
            metrics |= {f"{prefix}{name}": value for name, value in values.items()}
        if feature_network is not None:
            distances |= _distances(prefix, feature_network, truth, images)

    def mean(name: str) -> float:
        return float(np.mean([metrics[name] for metrics in by_image]))

    means = {name: functools.partial(mean, name) for name in by_image[0]}
    return by_image, measure(means | distances)


def _distances(
    prefix: str, feature_network: FeatureNetwork, truth: Images, images: Images
) -> dict[str, Callable[[], float]]:
    """Return the distances between the sets of completed and of true images."""

    @functools.cache
    def both() -> list[np.ndarray]:
        return [feature_network(part).features for part in (truth, images)]

    return {
        f"{prefix}fid": lambda: features.frechet_distance(*both()),
        f"{prefix}kid": lambda: features.kernel_distance(*both()),
    }


def search_metrics(completion: Completion) -> Measured:
    """Measure a search: its residual, its iterations, and the spread of restarts.

    Where it is known, the residual of validation images stands beside that of the
    images, with the share of images that the prior does not fit.
    """
    found, fit = completion.found, completion.fit
    measures: dict[str, Callable[[], float]] = {
        "residual": lambda: float(found.residual.mean()),
        "iterations": lambda: float(found.restarts.steps.mean()),
        "spread": lambda: float(completion.spread.mean()),
    }
    if fit is not None:
        groups = windows_of_each(completion.images.sources)
        worst = np.array([found.residual[numbers].max() for numbers in groups])
        measures["residual_validation"] = lambda: fit.mean
        measures["misfits"] = lambda: float(np.mean(worst > fit.limit))
    return measure(measures)


def spread_shown(spread: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return standard deviations as grey levels in [-1, 1].

    Black is 0; white is 0.5, a quarter of the range of images, or more.
    """
    return np.clip(4 * spread - 1, -1, 1)


def write_images(
    completion: Completion,
    metrics: Sequence[Mapping[str, float]],
    folder: Path,
    workdir: Path,
    blend: bool = False,
    others: int = 0,
) -> list[dict[str, Any]]:
    """Write every completed image, and return a line of `results.jsonl` for each.

    Images have the size of their source, with its known pixels untouched; blended
    images are blended at that size. After a degradation they have the prior's size.
    Where an image cannot be written, or one before it has the name of its output, its
    line has the reason. Of an image under several windows the line has the largest
    residual and the means of the metrics.

    Args:
        completion: The completed images.
        metrics: Metrics of each window.
        folder: Folder of the images, inside `workdir`.
        workdir: Folder to which the lines' paths are relative.
        blend: Whether generated pixels are blended into holes.
        others: Number of diverse completions of each image that are written into
            `<folder>/others`, their spread into `<folder>/spread`; 0 = none.

    Raises:
        OSError: If no image can be written.
    """
    found = completion.found
    if others:
        alternatives, spreads = completion.diverse(others), completion.spread

    written: set[Path] = set()

    def write(
        path: Path, windows: list[PlacedImage], images: np.ndarray, blend: bool
    ) -> None:
        if path in written:  # an image of a folder `others` or `spread` of the user's
            reason = "another output has its name"
            raise UnwritableError(errno.EEXIST, reason, str(path))
        written.add(path)
        made = to_uint8(images)
        with AT_WORK.holding(windows[0].masked.known.size):
            if completion.images.masks is None:
                (whole,) = made
            else:
                whole = restored(windows, [*made], blend)
            write_image(workdir, path, whole)

    def write_all(numbers: list[int], windows: list[PlacedImage]) -> Path:
        name = windows[0].masked.name
        path = folder / f"{name}.png"
        write(path, windows, completion.generated[numbers], blend)
        if others:
            for number, images in enumerate(alternatives[numbers].swapaxes(0, 1), 1):
                place = folder / "others" / f"{name}-{number}.png"
                write(place, windows, images, blend=False)
            black = np.zeros_like(windows[0].masked.image[..., :1])
            unknown = windows[0].masked._replace(image=black)
            blank = [each._replace(masked=unknown) for each in windows]
            shown = spread_shown(spreads[numbers][..., None])
            place = folder / "spread" / f"{name}.png"
            write(place, blank, shown, blend=False)
        return path

    lines = []
    for numbers in windows_of_each(completion.images.sources):
        windows = [completion.images.sources[number] for number in numbers]
        line: dict[str, Any] = {"input": windows[0].masked.source}
        lines.append(line)
        try:
            path = write_all(numbers, windows)
        except UnwritableError as error:
            line |= {"done": False, "reason": unwritten(workdir, error)}
        else:
            line |= {"done": True, "output": str(path.relative_to(workdir))}
        line |= {"hole": completion.images.hole, "loss": completion.loss}
        line["missing"] = windows[0].masked.missing
        if line["done"]:
            worst = numbers[int(found.residual[numbers].argmax())]
            line["best_step"] = int(found.best_step[worst])
            line["restart"] = int(found.restart[worst])
            line["residual"] = finite(residual := found.residual[worst])
            if completion.fit is not None:
                note = completion.fit.note(float(residual))
                line |= {"residual_validation": completion.fit.mean, "fits": not note}
                line |= {"note": note} if note else {}
            line |= mean_of([metrics[number] for number in numbers])
            if windows[0].place:
                line["place"] = windows[0].place
                line["windows"] = [side for each in windows for side in each.window]
    return lines


def mean_of(metrics: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Return the mean of each metric over the windows of an image."""
    return {
        name: finite(np.mean([values[name] for values in metrics]))
        for name in metrics[0]
    }


def finite(value: float | np.floating) -> float | None:
    """Return a number as JSON can hold it: None if it is not finite."""
    return float(value) if np.isfinite(value) else None
