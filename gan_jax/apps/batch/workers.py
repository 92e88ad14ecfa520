"""The work of a batch job on one block of files, for every engine."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from gan_jax.apps.batch.table import Columns, Row
from gan_jax.apps.collaborate.completions import kept_where_trusted
from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.collaborate.run import collaboration
from gan_jax.apps.colorize.apply import open_colorizing
from gan_jax.apps.detect.scoring.apply import open_scoring
from gan_jax.apps.detect.scoring.labels import scored_files
from gan_jax.apps.generate.prior import open_source
from gan_jax.apps.generate.realisations import Maker
from gan_jax.apps.generate.run import check_sets
from gan_jax.apps.generate.sets import known_files, outline
from gan_jax.apps.inpaint.fit import (
    Fit,
    best_windows,
    measure_fit,
    say_misfits,
)
from gan_jax.apps.inpaint.masked_images import masked_files, named_holes
from gan_jax.apps.inpaint.memory import completion_demands
from gan_jax.apps.inpaint.observations import (
    ObservedImages,
    Observer,
    open_latent_prior,
)
from gan_jax.apps.inpaint.placement import windows_of_each
from gan_jax.apps.inpaint.results import Completion, complete, finite, write_images
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.build import datasets, searches
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation
from gan_jax.data.user_images import InputFile, Read, UsersImages, decode_files
from gan_jax.report.files import UnwritableError
from gan_jax.report.ownership import unwritten
from gan_jax.runs.apply import (
    Application,
    apply_to_files,
    files_of,
    open_images,
    result_line,
    trained_levels,
)
from gan_jax.runs.inference import make_model
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import Prior, describe
from gan_jax.search.latent import Found
from gan_jax.search.streaming import StreamingSearch

_BLOCK_SIZE = 50  # files of a block whose latents are searched
_ALL: Columns = {"input": str, "done": bool, "output": str, "reason": str}
_SEARCHED: Columns = {
    "hole": str,
    "loss": str,
    "missing": float,
    "place": str,
    "windows": list[int],
    "best_step": int,
    "restart": int,
    "residual": float,
    "residual_validation": float,
    "fits": bool,
    "note": str,
    "iterations": int,
    "loss_value": float,
    "latent": list[float],
}
_SHARES = ("facies", "facies_training")
_GENERATED: Columns = {
    "set": str,
    **dict.fromkeys(("count", "height", "width", "known"), int),
    **{
        f"{measure}{stage}": float
        for stage in ("", "_generated", "_refined")
        for measure in ("honoured", "largest_miss")
    },
    "diversity": float,
    **dict.fromkeys(_SHARES, list[float]),
}


class Work(NamedTuple):
    """A trained run, ready for blocks of files."""

    origin: Mapping[str, Any]
    """Workdir of the run, and the hash of its parameters."""
    columns: Columns
    """Columns of the rows; a row may lack some."""
    block_size: int
    """Default number of files in a block."""
    apply: Callable[[Sequence[InputFile], Read], list[Row]]
    """`apply(files, read)` writes an image for each file and returns its row, after
    the image is complete. It may be called from several threads at once."""
    close: Callable[[], None]
    """Cancels searches under way, whose callers get an error; other work ends its
    block."""
    images: UsersImages | None = None
    """The folder of images, as its headers were read; None for other inputs."""


def open_work(config: ConfigDict, out: Path) -> Work:
    """Open the trained run that a config names.

    Images are written to `<out>/images`.

    Raises:
        InputError: If the user can mend it; nothing was written.
    """
    work: Work = look_up(_WORKS, "program", config.program)(config, out)
    return work


def failed(skipped: Sequence[Skipped]) -> list[Row]:
    """Return the rows of files that were skipped."""
    return [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]


def _applying(
    open_application: Callable[[ConfigDict, Path], Application[Any, Any]],
    list_files: Callable[[ConfigDict], list[InputFile]] = files_of,
) -> Callable[[ConfigDict, Path], Work]:
    """Return the function that opens the work of an application."""

    def open_applying(config: ConfigDict, out: Path) -> Work:
        application = open_application(config, out)
        images = open_images(config, application.levels, list_files(config))
        scaling = images.reading.scaling

        def apply(block: Sequence[InputFile], read: Read) -> list[Row]:
            rows: list[Row] = []
            for applied in apply_to_files(application, block, out, read, scaling):
                rows += failed(applied.skipped)
                rows += [result_line(application, out, *pair) for pair in applied.done]
            return rows

        return Work(
            application.description,
            {**_ALL, **application.columns},
            application.chunk_size,
            apply,
            lambda: None,
            images,
        )

    return open_applying


def _generating(config: ConfigDict, out: Path) -> Work:
    """Open the generation under known values, a file of which is a block."""
    source = open_source(config)
    maker = Maker(config, source, out)
    files = {file.path: file for file in known_files(config.known)}
    closed = threading.Event()

    def apply(block: Sequence[InputFile], read: Read) -> list[Row]:
        rows: list[Row] = []
        for path, _ in block:
            try:
                known = outline(files[path], config, source)
                check_sets(config, source, maker, [known])
                with contextlib.closing(maker.make(known)) as making:
                    for made in making:
                        if closed.is_set():
                            raise CancelledError
                        line = made.line or {}
            except UnwritableError as error:
                rows += failed([Skipped(str(path), unwritten(out, error))])
            except InputError as error:
                rows += failed([Skipped(str(path), str(error))])
            else:
                shares = {name: list(line.get(name, {}).values()) for name in _SHARES}
                rows.append(line | shares)
        return rows

    return Work(describe(source.prior), {**_ALL, **_GENERATED}, 1, apply, closed.set)


def _completing(config: ConfigDict, out: Path) -> Work:
    """Open the completion of images."""
    prior = open_latent_prior(config)
    model = make_model(prior.method)(prior.networks)

    def finish(
        images: ObservedImages, loss: str, found: Found, fit: Fit | None
    ) -> list[Row]:
        completion = complete(model, images, loss, found)
        return _write(completion._replace(fit=fit), out, config.blend)

    degradation = searches.degradation(config.degradation)
    return _searching(config, prior, degradation, {}, finish)


def _refining(config: ConfigDict, out: Path) -> Work:
    """Open the completion of images and their refinement by the prior's critic."""
    prior = open_latent_prior(config)
    if config.shaping.epochs:
        raise InputError(
            "a batch job refines with the critic as it was trained: give "
            "--config.shaping.epochs=0"
        )
    refinement = collaboration(config, prior, "refinement")
    if refinement.stopping.drawn:
        raise InputError(
            "a batch job refines blocks of images, and numbers of steps are drawn for "
            "all images at once: give --config.refinement.stopping=deterministic or "
            "best"
        )
    part = datasets.parts(prior.config)["validation"]
    slack = config.refinement.slack
    refiner = Refiner(prior, refinement, part, slack, chunk=_BLOCK_SIZE)
    critic = prior.networks.critic
    real, unused_key = refiner.standard(critic), jax.random.key(config.seed)

    def finish(
        images: ObservedImages, loss: str, found: Found, fit: Fit | None
    ) -> list[Row]:
        proposals = complete(refiner.model, images, loss, found)._replace(fit=fit)
        after = refiner.refine(critic, found.latent, images.known, unused_key, real)
        rows = _write(kept_where_trusted(proposals, after), out)
        for row, numbers in zip(rows, windows_of_each(images.sources), strict=True):
            if not row["done"]:
                continue
            row["cost_before"] = finite(after.proposed[numbers].mean())
            row["cost"] = finite(after.cost[numbers].mean())
            row["steps"] = int(after.steps[numbers].sum())
            row["refined"] = bool(after.trusted[numbers].all())
        return rows

    columns = {"cost_before": float, "cost": float, "steps": int, "refined": bool}
    return _searching(config, prior, None, columns, finish)


def _write(completion: Completion, out: Path, blend: bool = False) -> list[Row]:
    """Write completed images, and return their rows, without metrics."""
    no_metrics: list[Row] = [{} for _ in completion.images.sources]
    return write_images(completion, no_metrics, out / "images", out, blend)


def _searching(
    config: ConfigDict,
    prior: Prior,
    degradation: Degradation | None,
    columns: Columns,
    finish: Callable[[ObservedImages, str, Found, Fit | None], list[Row]],
) -> Work:
    """Open a latent search whose slots all running blocks share.

    `finish(images, loss, found, fit)` writes images and returns a row for each, with
    more `columns`.
    """
    (name, hole), *other_holes = named_holes(config.masks).items()
    (loss, (key, settings)), *other_losses = losses_of(config).items()
    if other_holes or other_losses:
        raise InputError(
            "a batch job has one kind of hole and one loss: name one in "
            "--config.masks, and one variant of losses with one setting in "
            "--config.sweep, and give each other one an --out of its own"
        )
    check_memory(config, completion_demands(config, prior, _BLOCK_SIZE))
    search = LatentSearch(config, prior, settings, key, degradation)
    folder = open_images(config, trained_levels(prior.config, prior.summary))
    scaling = folder.reading.scaling
    observer = Observer(config, prior, name, hole, degradation)
    mask = observer.masker(masked_files(config, folder.files))
    streaming = StreamingSearch(search.compiled_search, config.search.slots)
    fits: list[Fit | None] = []
    measuring = threading.Lock()

    def minimise(
        images: ObservedImages, name: str, restarts: int | None = None
    ) -> Found:
        return streaming.minimise(*search.inputs(images, restarts))

    def fit_beside(images: ObservedImages) -> Fit | None:
        """Return what validation images reach under the masks of the first block."""
        with measuring:
            if not fits:
                fits.append(measure_fit(observer, images, minimise, "validation"))
        return fits[0]

    def apply(block: Sequence[InputFile], read: Read) -> list[Row]:
        rows: list[Row] = []
        for chunk in decode_files(block, mask, len(block), read, scaling):
            images, blank = observer.observe(chunk.images)
            rows += failed([*chunk.skipped, *blank])
            if images is None:
                continue
            images = best_windows(observer, images, partial(minimise, restarts=1))
            found = minimise(images, "images")
            fit = fit_beside(images)
            say_misfits(images.sources, found, fit)
            finished = finish(images, loss, found, fit)
            for row, numbers in zip(
                finished, windows_of_each(images.sources), strict=True
            ):
                rows.append(row)
                if not row["done"]:
                    continue
                row["loss_value"] = finite(found.loss[numbers].mean())
                row["iterations"] = int(found.restarts.steps[numbers].sum())
                row["latent"] = found.latent[numbers].ravel().tolist()
        return rows

    return Work(
        describe(prior),
        {**_ALL, **_SEARCHED, **columns},
        _BLOCK_SIZE,
        apply,
        streaming.close,
        folder,
    )


_WORKS: Mapping[str, Callable[[ConfigDict, Path], Work]] = {
    "inpaint": _completing,
    "generate": _generating,
    "collaborate": _refining,
    "detect": _applying(open_scoring, scored_files),
    "colorize": _applying(open_colorizing),
}
"""By program."""
