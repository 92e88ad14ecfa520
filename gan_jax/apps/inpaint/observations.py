"""What is known of images: holes and degradations, before anything is searched."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.results import Task
from gan_jax.build import searches, tasks
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation, known_values
from gan_jax.data.holes import HOLES, Hole
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.search.completion import Observation


def check_prior(prior: Prior, commands: str) -> None:
    """Refuse a prior under which no latent can be searched.

    Raises:
        InputError: it generates under conditions, or points.
    """
    task = tasks.task(prior.config)
    for wrong, what in (
        (task.conditional, "generates under conditions"),
        (task.points, "generates points in the plane"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a search needs one that makes images "
                f"from latents alone. {commands}"
            )


def named_holes(masks: str) -> dict[str, Hole | None]:
    """Return the kinds of holes by name; None is a folder with a mask for each image.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    names = [name for name in masks.split(",") if name]
    if not names:
        raise InputError("--config.masks is empty: name holes, or a folder of masks")
    is_named = names[0].partition(":")[0] in HOLES
    if not is_named and Path(masks).expanduser().is_dir():
        return {masks: None}
    return dict(zip(names, searches.holes(masks), strict=True))


def check_fits(name: str, hole: Hole, size: int) -> None:
    """Refuse a hole that is too large, before anything is done.

    Args:
        name: by which the user has named it.
        hole: to be cut into images.
        size: of their sides, in pixels.

    Raises:
        InputError: nothing would be known of them.
    """
    try:
        hole(jax.random.key(0), size, size)
    except ValueError as error:
        raise InputError(f"masks '{name}': {error}") from None


def gather(
    config: ConfigDict,
    prior: Prior,
    name: str,
    hole: Hole | None,
    degradation: Degradation | None = None,
) -> tuple[Task, list[Skipped]]:
    """Gather the images that a config names, and what is known of them.

    Test images are degraded first; those of the user are what a degradation has left.

    Args:
        config: `images`, `masks`, `count` and `seed` of it.
        prior: at whose size images are searched.
        name: of the hole.
        hole: cut out of the images; None = a folder of masks.
        degradation: what images went through; None = nothing.

    Returns:
        The images, and those that cannot be used.

    Raises:
        InputError: none can be used.
    """
    how = cuts(config, prior, name, hole, degradation)
    skipped: list[Skipped] = []
    if config.images:
        given, skipped = targets.files(config.images, *how)
    elif hole is None:
        raise InputError("--config.masks is a folder: name one with --config.images")
    else:
        given = targets.of_data(prior, "test", config.count, hole, config.seed)
        if len(given) < config.count:
            say(f"there are {len(given)} test images, less than count {config.count}")
    task, more = measured(config, prior, name, hole, given, degradation)
    return _some(task, [*skipped, *more]), [*skipped, *more]


def _some(task: Task | None, skipped: Sequence[Skipped]) -> Task:
    if task is None:
        raise InputError(f"no image can be completed ({skipped[0].reason})")
    return task


def cuts(
    config: ConfigDict,
    prior: Prior,
    name: str,
    hole: Hole | None,
    degradation: Degradation | None = None,
) -> tuple[str | Hole, int, int, int]:
    """Return what `targets.cutter` takes, in its order; otherwise as `gather`.

    Raises:
        InputError: the prior's images do not fit the degradation, or the hole is too
            large for them.
    """
    rows, parts = _size_measured(prior, degradation)
    if hole is not None:
        check_fits(name, hole, rows if config.images else prior.config.data.size)
    masks = config.masks if hole is None else hole
    return masks, rows, parts, config.seed


def measured(
    config: ConfigDict,
    prior: Prior,
    name: str,
    hole: Hole | None,
    given: Sequence[MaskedImage],
    degradation: Degradation | None = None,
) -> tuple[Task | None, list[Skipped]]:
    """Bring images to the form in which latents are searched; otherwise as `gather`.

    Args:
        config: `images` and `seed` of it.
        prior: at whose size they are searched.
        name: of their holes.
        hole: as `gather` takes it.
        given: the images.
        degradation: what they went through.

    Returns:
        The images, None where there is none, and those that cannot be used.
    """
    size = prior.config.data.size
    if config.images:
        size, _ = _size_measured(prior, degradation)
    whole: list[Skipped] = []
    if degradation is None:
        given, whole = targets.with_holes(given)
    # A user's file that has holes of its own hides what was there.
    has_truth = not config.images or (hole is not None and degradation is None)
    still = None if config.images else degradation
    task, blank = _as_task(
        prior, name, given, size, degradation, still, config.seed, has_truth
    )
    return task, [*whole, *blank]


def _size_measured(prior: Prior, degradation: Degradation | None) -> tuple[int, int]:
    """Return the rows and parts of what is measured of an image of the prior's size."""
    size = prior.config.data.size
    if degradation is None:
        return size, prior.channels
    image = jax.ShapeDtypeStruct((size, size, prior.channels), jnp.float32)
    try:
        rows, _, parts = jax.eval_shape(degradation.apply, image).shape
    except ValueError as error:
        raise InputError(f"config.degradation: {error}") from None
    return rows, parts


def as_task(
    prior: Prior, name: str, given: Sequence[MaskedImage], size: int
) -> tuple[Task, list[Skipped]]:
    """Bring images with holes to the form in which latents are searched for them.

    Args:
        prior: under which they are searched.
        name: of their holes.
        given: the images.
        size: at which they enter.

    Returns:
        The images, and those of which nothing is known at this size.

    Raises:
        InputError: that is so of all.
    """
    task, blank = _as_task(prior, name, given, size)
    return _some(task, blank), blank


def _as_task(
    prior: Prior,
    name: str,
    given: Sequence[MaskedImage],
    size: int,
    degradation: Degradation | None = None,
    still: Degradation | None = None,
    seed: int = 0,
    has_truth: bool = True,
) -> tuple[Task | None, list[Skipped]]:
    """Do so with images that went, or have still to go, through a degradation."""
    if not given:
        return None, []
    pairs = [targets.reduced(target, size) for target in given]
    images, masks, truth = (np.stack(side) for side in zip(*pairs, strict=True))
    values, known = jnp.asarray(images), jnp.asarray(masks)
    if still is not None:
        keys = jnp.stack([key_of(seed, target, _NOISE) for target in given])
        values = jax.vmap(still.measure)(keys, values)
        known = jax.vmap(lambda mask: known_values(still, mask, prior.channels))(known)
    seen = np.asarray(known).any(axis=(1, 2, 3))
    side = prior.config.data.size
    reason = f"nothing is known of it at the prior's size of {side}x{side}"
    lost: list[int] = np.flatnonzero(~seen).tolist()
    blank = [Skipped(given[index].source, reason) for index in lost]
    if len(blank) == len(given):
        return None, blank
    return Task(
        name,
        [given[index] for index in np.flatnonzero(seen).tolist()],
        truth[seen] if has_truth else None,
        masks[seen] if degradation is None else None,
        Observation(jnp.where(known > 0, values, 0)[seen], known[seen], known[seen]),
    ), blank


_NOISE, START = 1, 2  # what an image's key is for


def key_of(seed: int, target: MaskedImage, use: int) -> PRNGKeyArray:
    """Return the key of an image for one use, whichever others are searched with it."""
    return jax.random.fold_in(targets.key_of(target.name, seed), use)
