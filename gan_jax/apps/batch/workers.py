"""The work of a batch job on one block of files, for every engine."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
from ml_collections import ConfigDict

from gan_jax.apps.collaborate.completions import kept_where_trusted
from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.collaborate.run import collaboration
from gan_jax.apps.colorize.apply import open_colorizing
from gan_jax.apps.detect.apply import open_scoring
from gan_jax.apps.inpaint.masked_images import read_files
from gan_jax.apps.inpaint.observations import (
    ObservedImages,
    Observer,
    check_prior,
    named_holes,
)
from gan_jax.apps.inpaint.results import Completion, complete, finite, write_images
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.build import datasets, searches
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation
from gan_jax.data.user_images import Read
from gan_jax.networks.compilation import compiled
from gan_jax.runs.apply import Application, apply_to_files, result_line
from gan_jax.runs.inference import make_model
from gan_jax.runs.prior import Prior, describe, open_prior
from gan_jax.search.latent import Found
from gan_jax.search.streaming import StreamingSearch
from gan_jax.tasks.task import Model

Row: TypeAlias = dict[str, Any]
"""The result of one file: flat, with `input`, `done`, and `output` or `reason`."""
Columns: TypeAlias = Mapping[str, Any]
"""Types of a row's entries by name: bool, int, float, str, or lists of numbers."""

_BLOCK = 50  # files of a block whose latents are searched
_EVERY: Columns = {"input": str, "done": bool, "output": str, "reason": str}
_SEARCHED: Columns = {
    "hole": str,
    "loss": str,
    "best_step": int,
    "restart": int,
    "residual": float,
    "iterations": int,
    "loss_value": float,
    "latent": list[float],
}


class Work(NamedTuple):
    """A trained run, ready for blocks of files."""

    prior: Mapping[str, Any]
    """Workdir of the run, and the hash of its parameters."""
    columns: Columns
    """Columns of the rows; a row may lack some."""
    together: int
    """Default number of files in a block."""
    apply: Callable[[Sequence[Path], Read], list[Row]]
    """`apply(files, read)` writes an image for each file and returns its row, after
    the image is complete. It may be called from several threads at once."""
    close: Callable[[], None]
    """Ends the work under way by an error."""


def open_work(config: ConfigDict, out: Path) -> Work:
    """Open the trained run that a config names.

    Args:
        config: A config of `inpaint`, `collaborate`, `detect` or `colorize`.
        out: Folder of the results; images go into `<out>/images`.

    Raises:
        InputError: the user can mend it; nothing was written.
    """
    make = look_up(_WORKS, "program", config.program)
    work: Work = make(config, out)
    return work


def failed(skipped: Sequence[Skipped]) -> list[Row]:
    """Return the rows of files that were skipped."""
    return [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]


def _applying(
    open_application: Callable[[ConfigDict, Path], Application[Any, Any]],
) -> Callable[[ConfigDict, Path], Work]:
    """Return what opens the work of an application to images one by one."""

    def open_applying(config: ConfigDict, out: Path) -> Work:
        application = open_application(config, out)

        def apply(block: Sequence[Path], read: Read) -> list[Row]:
            rows: list[Row] = []
            for given, outcomes in apply_to_files(application, block, out, read):
                rows += failed(given.skipped)
                rows += [
                    result_line(application, out, file, outcome)
                    for file, outcome in zip(given.files, outcomes, strict=True)
                ]
            return rows

        return Work(
            application.description,
            {**_EVERY, **application.columns},
            application.chunk_size,
            apply,
            lambda: None,
        )

    return open_applying


def _completing(config: ConfigDict, out: Path) -> Work:
    """Open the completion of images."""
    prior, model = _open_prior(config)
    text = config.degradation
    degradation = searches.degradation(text) if text else None

    def finish(images: ObservedImages, loss: str, found: Found) -> list[Row]:
        completion = complete(model, images, loss, found, config.blend)
        return _written(completion, out)

    return _searching(config, prior, degradation, {}, finish)


def _refining(config: ConfigDict, out: Path) -> Work:
    """Open the completion of images and their refinement by the prior's critic."""
    prior, model = _open_prior(config)
    if config.shaping.epochs:
        raise InputError(
            "a batch job refines with the critic as it was trained: give "
            "--config.shaping.epochs=0"
        )
    how = collaboration(config, prior, "refinement")
    if how.stopping.drawn:
        raise InputError(
            "a batch job refines blocks of images, and numbers of steps are drawn for "
            "all images at once: give --config.refinement.stopping=deterministic or "
            "best"
        )
    part = datasets.parts(prior.config)["validation"]
    refiner = Refiner(prior, how, part, config.refinement.slack, together=_BLOCK)
    critic = prior.networks.critic
    real, unused_key = refiner.standard(critic), jax.random.key(config.seed)

    def finish(images: ObservedImages, loss: str, found: Found) -> list[Row]:
        proposals = complete(model, images, loss, found)
        after = refiner.refine(critic, found.latent, images.known, unused_key, real)
        rows = _written(kept_where_trusted(proposals, after), out)
        for index, row in enumerate(rows):
            row["cost_before"] = finite(after.proposed[index])
            row["cost"] = finite(after.cost[index])
            row["steps"] = int(after.steps[index])
            row["refined"] = bool(after.trusted[index])
        return rows

    columns = {"cost_before": float, "cost": float, "steps": int, "refined": bool}
    return _searching(config, prior, None, columns, finish)


def _open_prior(config: ConfigDict) -> tuple[Prior, Model]:
    commands = FIRST_COMMANDS[config.program]
    prior = open_prior(config.prior, commands)
    check_prior(prior, commands)
    return prior, make_model(prior.method)(prior.networks)


def _written(completion: Completion, out: Path) -> list[Row]:
    """Write completed images, and return their rows, without metrics."""
    nothing: list[Row] = [{} for _ in completion.images.sources]
    return write_images(completion, nothing, out / "images", out)


def _searching(
    config: ConfigDict,
    prior: Prior,
    degradation: Degradation | None,
    columns: Columns,
    finish: Callable[[ObservedImages, str, Found], list[Row]],
) -> Work:
    """Open a latent search that is kept full by all blocks that are under way.

    Args:
        config: Config of the job.
        prior: The prior whose latents are searched.
        degradation: The degradation of the images; None = only pixels are missing.
        columns: Columns of the rows that `finish` adds.
        finish: `finish(images, loss, found)` writes images and returns a row
            for each.
    """
    (name, hole), *more = named_holes(config.masks).items()
    (loss, (key, settings)), *others = losses_of(config).items()
    if more or others:
        raise InputError(
            "a batch job has one kind of hole and one loss: name one in config.masks, "
            "and one variant of losses with one setting in config.sweep, and give each "
            "other one an --out of its own"
        )
    search = LatentSearch(config, prior, settings, key, degradation)
    observer = Observer(config, prior, name, hole, degradation)
    mask = observer.masker()
    slots, length = config.search.slots, config.search.length
    streaming = StreamingSearch(search.turns.search, slots, length, compiled)

    def apply(block: Sequence[Path], read: Read) -> list[Row]:
        given, skipped = read_files(block, mask, read)
        images, blank = observer.observe(given)
        rows = failed([*skipped, *blank])
        if images is None:
            return rows
        found = streaming.minimise(*search.inputs(images))
        for index, row in enumerate(finish(images, loss, found)):
            row["loss_value"] = finite(found.loss[index])
            row["iterations"] = int(found.restarts.steps[index].sum())
            row["latent"] = found.latent[index].tolist()
            rows.append(row)
        return rows

    return Work(
        describe(prior),
        {**_EVERY, **_SEARCHED, **columns},
        _BLOCK,
        apply,
        streaming.close,
    )


_WORKS: Mapping[str, Callable[[ConfigDict, Path], Work]] = {
    "inpaint": _completing,
    "collaborate": _refining,
    "detect": _applying(open_scoring),
    "colorize": _applying(open_colorizing),
}
"""By program."""
