"""Augmentation from a config: what the critic sees in place of images."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data import augmentation
from gan_jax.data.feed import ImagesByRole, Pixels
from gan_jax.tasks.task import Task
from gan_jax.training.method import Augmentation, Batch

NONE = "none"

Present = Callable[[PRNGKeyArray, ImagesByRole], Batch]

FLIPS: Mapping[str, Callable[[Present], Present]] = {
    "none": lambda present: present,
    "horizontal": lambda present: partial(_present_flipped, present),
}
"""By name, changes of `Task.present`."""


def kinds(config: ConfigDict) -> tuple[str, ...]:
    """Return the kinds of changes that a config names, none for `none`.

    Raises:
        InputError: A name is unknown.
    """
    kind = config.augment.kind
    if kind == NONE:
        return ()
    names = [name.strip() for name in kind.split(",")]
    for name in names:
        look_up({NONE: None, **augmentation.DRAWS}, "augment.kind", name)
    if NONE in names:
        raise InputError(
            f"augment.kind '{kind}' makes no sense: give {NONE}, or some of "
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
