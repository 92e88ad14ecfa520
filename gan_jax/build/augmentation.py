"""Augmentation from a config: what the critic sees in place of images."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.build import datasets
from gan_jax.config.checks import AUTO
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data import augmentation
from gan_jax.data.feed import ImagesByRole, Pixels
from gan_jax.tasks.task import Task
from gan_jax.training.method import Augmentation, Batch

NONE = "none"
AUTOMATIC = "translation,cutout"
"""The changes that `auto` stands for where images are few."""
ENOUGH = 5000
"""Images of a user from which on `auto` changes none."""
_TASKS = ("samples",)
"""Tasks in which few images of a user are changed by `auto`."""

Present = Callable[[PRNGKeyArray, ImagesByRole], Batch]

FLIPS: Mapping[str, Callable[[Present], Present]] = {
    "none": lambda present: present,
    "horizontal": lambda present: partial(_present_flipped, present),
}
"""By name, changes of `Task.present`."""


def automatic(config: ConfigDict, count: int) -> str:
    """Return the kinds of changes that `auto` stands for in a run that begins.

    Args:
        config: A training config.
        count: Number of training images, before validation images are set aside.
    """
    few = count < ENOUGH and datasets.is_own(config.data)
    return AUTOMATIC if few and config.task in _TASKS else NONE


def kinds(config: ConfigDict) -> tuple[str, ...]:
    """Return the kinds of changes that a config names, none for `none`.

    Before a run begins, `auto` stands for none.

    Raises:
        InputError: A name is unknown.
    """
    kind = config.augment.kind
    if kind in (NONE, AUTO):
        return ()
    names = [name.strip() for name in kind.split(",")]
    for name in names:
        look_up(dict.fromkeys([AUTO, NONE, *augmentation.DRAWS]), "augment.kind", name)
    if {AUTO, NONE} & {*names}:
        raise InputError(
            f"augment.kind '{kind}' makes no sense: give {AUTO}, {NONE}, or some of "
            f"{', '.join(augmentation.DRAWS)} joined by commas"
        )
    return tuple(names)


def augmentation_of(config: ConfigDict, task: Task) -> Augmentation | None:
    """Return the augmentation of a training config; None where there is none.

    Raises:
        InputError: A name is unknown, or the task's images cannot be changed so.
    """
    chosen = kinds(config)
    if not chosen:
        return None
    if task.points:
        raise InputError(
            f"augment.kind {config.augment.kind} changes pictures, and the task "
            f"{config.task} has points: give --config.augment.kind={NONE}"
        )
    if "color" in chosen and task.in_colour:
        raise InputError(
            f"augment.kind color changes the colours that the task {config.task} is to "
            "learn: give --config.augment.kind=translation,cutout"
        )
    return Augmentation(
        partial(augmentation.augment, kinds=chosen),
        config.augment.target,
        config.augment.ramp,
    )


def _present_flipped(
    present: Present, key: PRNGKeyArray, images: ImagesByRole
) -> Batch:
    """Present images of which half are mirrored, each role's independently."""
    flip_key = jax.random.fold_in(key, 1_000_010)

    def flipped(place: int, image: Pixels) -> Array:
        role_key = jax.random.fold_in(flip_key, place)
        return augmentation.flip(role_key, jnp.asarray(image))

    return present(
        key,
        {
            role: stored._replace(image=flipped(place, stored.image))
            for place, (role, stored) in enumerate(images.items())
        },
    )
