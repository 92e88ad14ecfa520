"""What a batch job does with one block of files, the same whoever does it."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.collaborate import run as collaborate
from gan_jax.apps.collaborate.completions import kept_where_trusted
from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.colorize import run as colorize
from gan_jax.apps.colorize.apply import open_colorizing
from gan_jax.apps.detect import run as detect
from gan_jax.apps.detect.apply import open_scoring
from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint import run as inpaint
from gan_jax.apps.inpaint.observations import check_prior, cuts, measured, named_holes
from gan_jax.apps.inpaint.results import Completion, complete, generating, write_images
from gan_jax.apps.inpaint.search import Searched, make_search, question
from gan_jax.build import datasets, searches
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation
from gan_jax.data.user_images import Read
from gan_jax.networks.compilation import compiled
from gan_jax.runs.apply import Application, applied, said
from gan_jax.runs.prior import Prior, describe, open_prior
from gan_jax.search.queue import Continuous
from gan_jax.search.refinement import Observation

Row: TypeAlias = dict[str, Any]
"""What became of one file: flat, with `input`, `done`, and `output` or `reason`."""
Columns: TypeAlias = Mapping[str, Any]
"""Types by name: bool, int, float, str, or lists of numbers."""

_BLOCK = 50  # files whose searches enter together
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
    """Which run: its place, and the hash of its parameters."""
    columns: Columns
    """Of its rows; a row may lack some."""
    together: int
    """Files in a block that suits it."""
    apply: Callable[[Sequence[Path], Read], list[Row]]
    """`apply(files, read)`: writes an image for each file and gives its row; from
    several threads at once. A row is given once its image is whole."""
    close: Callable[[], None]
    """Ends what is under way, by an error."""


def open_work(config: ConfigDict, out: Path) -> Work:
    """Open the run that a config names.

    Args:
        config: of `inpaint`, `collaborate`, `detect` or `colorize`.
        out: images go into `<out>/images`.

    Raises:
        InputError: the user can mend it; nothing was written.
    """
    make = look_up(_WORKS, "program", config.program)
    work: Work = make(config, out)
    return work


def failed(skipped: Sequence[Skipped]) -> list[Row]:
    """Return the rows of files that cannot be used."""
    return [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]


def _applying(
    commands: str, open_application: Callable[..., Application[Any, Any]]
) -> Callable[[ConfigDict, Path], Work]:
    def make(config: ConfigDict, out: Path) -> Work:
        application = open_application(config, out, commands)

        def apply(block: Sequence[Path], read: Read) -> list[Row]:
            rows: list[Row] = []
            for given, outcomes in applied(application, block, out, read):
                rows += failed(given.skipped)
                rows += [
                    said(application, out, file, outcome)
                    for file, outcome in zip(given.files, outcomes, strict=True)
                ]
            return rows

        return Work(
            application.prior,
            {**_EVERY, **application.columns},
            application.together,
            apply,
            lambda: None,
        )

    return make


def _completing(config: ConfigDict, out: Path) -> Work:
    prior = _open_prior(config, inpaint.COMMANDS)
    text = config.degradation
    degradation = searches.degradation(text) if text else None
    generate = generating(prior)

    def finish(loss: str, searched: Searched) -> list[Row]:
        task, found, seconds = searched
        completion = complete(generate, task, loss, found, config.blend, seconds)
        return _written(completion, out)

    return _searching(config, prior, degradation, {}, finish)


def _refining(config: ConfigDict, out: Path) -> Work:
    """Complete images, and refine them with the critic as it was trained."""
    prior = _open_prior(config, collaborate.COMMANDS)
    if config.shaping.epochs:
        raise InputError(
            "a batch job refines with the critic as it was trained: give "
            "--config.shaping.epochs=0"
        )
    who = collaborate.collaboration(config, prior, "refinement")
    if who.stopping.drawn:
        raise InputError(
            "lots are drawn for all images at once, and a batch job has some at a "
            "time: give --config.refinement.stopping=deterministic or best"
        )
    part = datasets.parts(prior.config)["validation"]
    slack = config.refinement.slack
    refiner = Refiner(prior, who, part, slack, together=_BLOCK)
    critic = prior.networks.critic
    real = refiner.standard(critic)
    generate, no_lots = generating(prior), jax.random.key(config.seed)

    def finish(loss: str, searched: Searched) -> list[Row]:
        task, found, seconds = searched
        proposals = complete(generate, task, loss, found, False, seconds)
        problems = Observation(None, task.known.values, task.known.mask)
        after = refiner.refine(critic, found.latent, problems, no_lots, real)
        rows = _written(kept_where_trusted(proposals, after), out)
        for row, before, cost, steps, trusted in zip(
            rows, after.proposed, after.cost, after.steps, after.trusted, strict=True
        ):
            row |= {"cost_before": _number(before), "cost": _number(cost)}
            row |= {"steps": int(steps), "refined": bool(trusted)}
        return rows

    columns = {"cost_before": float, "cost": float, "steps": int, "refined": bool}
    return _searching(config, prior, None, columns, finish)


def _open_prior(config: ConfigDict, commands: str) -> Prior:
    prior = open_prior(config.prior, commands)
    check_prior(prior, commands)
    return prior


def _written(completion: Completion, out: Path) -> list[Row]:
    """Write completed images; their rows say nothing yet of the search."""
    nothing: list[Row] = [{} for _ in completion.task.targets]
    return write_images(completion, nothing, out / "images", out)


def _searching(
    config: ConfigDict,
    prior: Prior,
    degradation: Degradation | None,
    columns: Columns,
    finish: Callable[[str, Searched], list[Row]],
) -> Work:
    """Search what explains images; `finish` makes rows of what was found.

    One search is compiled and kept full by all blocks that are under way.
    """
    (name, hole), *more = named_holes(config.masks).items()
    (loss, (key, settings)), *others = losses_of(config).items()
    if more or others:
        raise InputError(
            "a batch job has one kind of hole and one loss: name one in config.masks, "
            "and one variant of losses with one setting in config.sweep, and give each "
            "other one an --out of its own"
        )
    weights, search = make_search(prior, settings, config.search, key, degradation)
    cut = targets.cutter(*cuts(config, prior, name, hole, degradation))
    continuous = Continuous(search, config.search.slots, config.search.length, compiled)

    def apply(block: Sequence[Path], read: Read) -> list[Row]:
        given, skipped = targets.read_files(block, cut, read)
        task, blank = measured(config, prior, name, hole, given, degradation)
        rows = failed([*skipped, *blank])
        if task is None:
            return rows
        began = time.monotonic()
        found = continuous.minimise(*question(config, prior, task, weights))
        searched = Searched(task, found, time.monotonic() - began)
        for index, row in enumerate(finish(loss, searched)):
            row["loss_value"] = _number(found.loss[index])
            row["iterations"] = int(found.restarts.steps[index].sum())
            row["latent"] = found.latent[index].tolist()
            rows.append(row)
        return rows

    return Work(
        describe(prior),
        {**_EVERY, **_SEARCHED, **columns},
        _BLOCK,
        apply,
        continuous.close,
    )


def _number(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


_WORKS: Mapping[str, Callable[[ConfigDict, Path], Work]] = {
    "inpaint": _completing,
    "collaborate": _refining,
    "detect": _applying(detect.COMMANDS, open_scoring),
    "colorize": _applying(colorize.COMMANDS, open_colorizing),
}
"""By program."""
