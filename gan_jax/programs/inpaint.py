"""Complete images by latent search under a trained prior."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.config import flatten
from gan_jax.data.degradations import Degradation, known_values
from gan_jax.data.holes import HOLES, Hole
from gan_jax.data.sources import Skipped
from gan_jax.errors import InputError, Interrupted
from gan_jax.evaluation.judgement import Judge
from gan_jax.losses import inpainting
from gan_jax.networks.compilation import compiled
from gan_jax.programs import targets
from gan_jax.programs.assembly import make_mesh, say
from gan_jax.programs.classifier import open_judge
from gan_jax.programs.completions import (
    Completion,
    Task,
    as_arm,
    complete,
    figures,
    write_images,
)
from gan_jax.programs.findings import read_found, write_found
from gan_jax.programs.prior import Prior, open_prior
from gan_jax.programs.results import environment
from gan_jax.programs.signals import Signals
from gan_jax.programs.targets import Target
from gan_jax.programs.workdir import check_workdir, claimed
from gan_jax.report import files
from gan_jax.report.inpainting import Arm, plate, report
from gan_jax.report.progress import Progress
from gan_jax.report.training import command
from gan_jax.search.completion import Problem, Terms, completion_loss, for_one
from gan_jax.search.latent import Found, Search, prepare

_COMMANDS = (
    "Train one, then complete images with it: python -m gan_jax.main "
    "--config=configs/wgan_gp.py --workdir=runs/wgan_gp; python -m gan_jax.main "
    "--config=configs/inpaint.py --config.prior=runs/wgan_gp"
)

Prepared: TypeAlias = tuple[Callable[[Array], Array], Callable[..., Found]]
"""The weights, made from a mask, that a loss gives known values; and its search, which
is compiled once for all kinds of holes."""


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Complete unseen images of a prior's data, or the user's, and report.

    Test images are degraded first; those of the user are what a degradation has left.
    Every loss under every kind of hole is a search of its own, kept in
    `<workdir>/searches` as soon as it has ended: the same call goes on from there.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        Interrupted: by SIGINT or SIGTERM; searches that ended are kept.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    prior = open_prior(config.prior, _COMMANDS)
    _check_prior(prior)
    degradation = recipes.degradation(config.degradation)
    searches = {
        name: _prepare(prior, config, degradation, name) for name in config.losses
    }
    found = [
        _task(config, prior, degradation, name, hole)
        for name, hole in _holes(config.masks).items()
    ]
    skipped = list(dict.fromkeys(one for _, some in found for one in some))
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    with claimed(config, workdir, skipped), Signals() as signals:
        completions = [
            _complete(config, prior, task, name, prepared, workdir, signals)
            for task, _ in found
            for name, prepared in searches.items()
        ]
        return conclude(config, prior, completions, skipped, workdir, began)


def _check_prior(prior: Prior) -> None:
    task = recipes.task(prior.config)
    for wrong, what in (
        (task.conditional, "generates under conditions"),
        (prior.config.task == "points", "generates points in the plane"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a search needs one that makes images "
                f"from latents alone. {_COMMANDS}"
            )


def _holes(masks: str) -> dict[str, Hole | None]:
    """Give the kinds of holes by name; None is a folder with a mask for each image."""
    names = [name for name in masks.split(",") if name]
    if not names:
        raise InputError("--config.masks is empty: name holes, or a folder of masks")
    is_named = names[0].partition(":")[0] in HOLES
    if not is_named and Path(masks).expanduser().is_dir():
        return {masks: None}
    return dict(zip(names, recipes.holes(masks), strict=True))


def _task(
    config: ConfigDict,
    prior: Prior,
    degradation: Degradation,
    name: str,
    hole: Hole | None,
) -> tuple[Task, list[Skipped]]:
    """Gather images, and what is known of them."""
    size = prior.config.data.size
    given, skipped, measured = _gather(config, prior, degradation, hole)
    if not config.degradation:
        given, whole = targets.with_holes(given)
        skipped = [*skipped, *whole]
    pairs = [targets.reduced(target, measured) for target in given]
    if not pairs:
        raise InputError(f"no image can be completed ({skipped[0].reason})")
    images, masks, truth = (np.stack(side) for side in zip(*pairs, strict=True))
    values, known = jnp.asarray(images), jnp.asarray(masks)
    if config.degradation and not config.images:
        keys = jnp.stack([_key(config, target, _NOISE) for target in given])
        values = jax.vmap(degradation.measure)(keys, values)
        known = jax.vmap(lambda mask: known_values(degradation, mask, prior.channels))(
            known
        )
    seen = np.asarray(known).any(axis=(1, 2, 3))
    reason = f"nothing is known of it at the prior's size of {size}x{size}"
    blank = [given[index] for index in np.flatnonzero(~seen)]
    skipped += [Skipped(target.source, reason) for target in blank]
    if len(blank) == len(given):
        raise InputError(f"no image can be completed ({reason})")
    # A user's file that has holes of its own hides what was there.
    has_truth = not config.images or (hole is not None and not config.degradation)
    return Task(
        name,
        [given[index] for index in np.flatnonzero(seen)],
        truth[seen] if has_truth else None,
        None if config.degradation else masks[seen],
        Problem(jnp.where(known > 0, values, 0)[seen], known[seen], known[seen]),
    ), skipped


def _gather(
    config: ConfigDict, prior: Prior, degradation: Degradation, hole: Hole | None
) -> tuple[list[Target], list[Skipped], int]:
    """Read images, with the size at which they enter: that of what is measured.

    What a degradation leaves of test images is still to be measured.
    """
    size = prior.config.data.size
    image = jax.ShapeDtypeStruct((size, size, prior.channels), jnp.float32)
    try:
        rows, _, parts = jax.eval_shape(degradation.apply, image).shape
    except ValueError as error:
        raise InputError(f"degradation '{config.degradation}': {error}") from None
    if config.images:
        masks = config.masks if hole is None else hole
        found = targets.files(config.images, masks, rows, parts, config.seed)
        return *found, rows
    if hole is None:
        raise InputError("--config.masks is a folder: name one with --config.images")
    given = targets.unseen(prior, config.count, hole, config.seed)
    if len(given) < config.count:
        say(f"there are {len(given)} test images, less than count {config.count}")
    return given, [], size


_NOISE, _START = 1, 2  # what an image's key is for


def _key(config: ConfigDict, target: Target, use: int) -> PRNGKeyArray:
    return jax.random.fold_in(targets.key_of(target.name, config.seed), use)


def _prepare(
    prior: Prior, config: ConfigDict, degradation: Degradation, name: str
) -> Prepared:
    """Make the search of a loss, and the loss's weights."""
    settings, how = config.losses[name], config.search
    if settings.composite and config.degradation:
        raise InputError(
            f"losses.{name}.composite puts known pixels into images, and "
            f"degradation '{config.degradation}' leaves none: give "
            f"--config.losses.{name}.composite=False"
        )
    recipe, networks = prior.recipe, prior.networks
    key = f"losses.{name}"
    if settings.unlikely == "trained":
        unlikely = recipes.unlikely(prior.config)
    else:
        unlikely = recipes.look_up(
            inpainting.PRIORS, f"{key}.unlikely", settings.unlikely
        )
    weights = recipes.look_up(inpainting.WEIGHTS, f"{key}.weights", settings.weights)
    terms = Terms(
        settings.context,
        settings.gradient,
        settings.prior,
        unlikely,
        settings.composite,
        settings.mean,
    )
    generate = for_one(recipe.generator, networks.generator)
    score = for_one(recipe.critic, networks.critic)
    search = Search(
        completion_loss(generate, score, degradation.apply, terms),
        recipes.descent(how),
        recipes.support(prior.config),
        how.iterations,
        how.patience,
        how.progress,
        how.tolerance,
    )
    return weights, prepare(search, how.length, compiled)


def _complete(
    config: ConfigDict,
    prior: Prior,
    task: Task,
    name: str,
    prepared: Prepared,
    workdir: Path,
    signals: Signals,
) -> Completion:
    """Search the latents of a task, or read those found before; make the images."""
    title = _title(task.hole, name)
    path = workdir / "searches" / f"{title}.npz"
    identity = _identity(prior, task)
    kept = read_found(path, identity)
    if kept is None:
        start = time.monotonic()
        found = _search(config, prior, task, prepared, title, signals)
        kept = found, time.monotonic() - start
        write_found(path, *kept, identity)
    else:
        say(f"{title}: searched before")
    return complete(prior, task, name, kept[0], config.blend, kept[1])


def _search(
    config: ConfigDict,
    prior: Prior,
    task: Task,
    prepared: Prepared,
    title: str,
    signals: Signals,
) -> Found:
    """Search a latent for every image of a task."""
    settings = config.search
    weights, search = prepared

    def starts(target: Target) -> Float[Array, "restarts latent"]:
        drawn = prior.recipe.latent(_key(config, target, _START), settings.restarts)
        return jnp.clip(drawn, -settings.spread, settings.spread)

    every = len(task.targets) * settings.restarts
    done = 0
    with Progress(every, 0, title, "latent") as progress:

        def advanced(count: int) -> None:
            nonlocal done
            done += count
            progress.advance(done)
            if signals.received:
                raise Interrupted(signals.received, "the same command continues")

        return search(
            jnp.stack([starts(target) for target in task.targets], axis=1),
            task.known._replace(weights=jax.vmap(weights)(task.known.mask)),
            settings.slots,
            advanced,
        )


def _identity(prior: Prior, task: Task) -> str:
    """Hash all that a search depends on beside the config: networks and images."""
    found = hashlib.sha256(f"{prior.digest}{targets.digest(task.targets)}".encode())
    return found.hexdigest()


def _title(*parts: str) -> str:
    """Name a search in a path: `random:0.8` as `random_0.8`."""
    names = (Path(part).resolve().name or "masks" for part in parts)
    return "-".join(name.replace(":", "_") for name in names)


def conclude(
    config: ConfigDict,
    prior: Prior,
    completions: Sequence[Completion],
    skipped: Sequence[Skipped],
    workdir: Path,
    began: float,
) -> dict[str, Any]:
    """Write an image for every input, and the report."""
    alone = len(completions) == 1
    judge = None if config.images else _open_judge(prior)
    data = Path(config.images).name or prior.config.data.name
    lines: list[dict[str, Any]] = [
        {"input": path, "done": False, "reason": reason} for path, reason in skipped
    ]
    arms: list[Arm] = []
    metrics: dict[str, float | None] = {}
    failed: dict[str, str] = {}
    for completion in completions:
        hole, loss = completion.task.hole, completion.loss
        folder = workdir / "images" / ("" if alone else _title(hole, loss))
        found = figures(completion, judge)
        others = config.completions if config.images else 0
        lines += write_images(completion, found.each, folder, workdir, others)
        prefix = "" if alone else f"{hole}/{loss}/"
        metrics |= {f"{prefix}{key}": v for key, v in found.all.metrics.items()}
        failed |= {f"{prefix}{key}": v for key, v in found.all.failed.items()}
        arms.append(as_arm(completion, data, found.all.metrics, config.completions))
    files.write_text(
        workdir / "results.jsonl",
        "".join(files.encode_json(line) + "\n" for line in lines),
    )
    done = len(completions[0].task.targets)
    summary = {
        "program": config.program,
        "config_name": config.name,
        "dataset": {
            "name": config.images or prior.config.data.name,
            "split": "images" if config.images else "test",
            "count": done,
            "sha256": targets.digest(completions[0].task.targets),
        },
        "prior": {
            "workdir": str(prior.workdir),
            "config_name": prior.config.name,
            "step": int(prior.networks.step),
            "parameters_sha256": prior.digest,
        },
        "inputs": {"done": done, "failed": len(skipped)},
        "metrics": metrics,
        "metrics_failed": failed,
        "timing": {
            "search_seconds": sum(one.seconds for one in completions),
            "total_seconds": time.monotonic() - began,
        },
        "environment": environment(make_mesh(1)),
        "parameters_sha256": prior.digest,
        "complete": True,
    }
    facts = {
        "prior": f"{prior.config.name} on {prior.config.data.name}",
        "images": f"{done} done, {len(skipped)} failed",
        "restarts": str(config.search.restarts),
        "iterations": f"at most {config.search.iterations:,}",
    }
    page = report(config.name, facts, arms, command(config.name, flatten(config)))
    files.write_text(workdir / "report.html", page)
    for hole in dict.fromkeys(arm.hole for arm in arms):
        own = [arm for arm in arms if arm.hole == hole]
        files.write_image(workdir / "samples" / f"{_title(hole)}.png", plate(own))
    files.write_json(workdir / "summary.json", summary)
    return summary


def _open_judge(prior: Prior) -> Judge | None:
    """Open the classifier that measured the prior's run; None where there is none."""
    config = prior.config
    try:
        source = recipes.source(config.data)
        judge: Judge = open_judge(source, config.evaluation.classifier)
        return judge
    except (InputError, OSError) as error:
        say(f"FID and KID cannot be measured: {error}")
        return None
