"""Tasks from a config: an explicit table."""

from collections.abc import Callable, Mapping
from functools import partial

from ml_collections import ConfigDict

from gan_jax.build import requirements
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.config.names import look_up
from gan_jax.data import masks
from gan_jax.data.datasets import mixtures
from gan_jax.losses import reconstruction
from gan_jax.tasks import (
    colors,
    hints,
    pixels,
    points,
    samples,
    simulated_hints,
    wells,
)
from gan_jax.tasks.task import Task


def _draw_mask(config: ConfigDict) -> pixels.DrawMask:
    """Return the function that draws known pixels: a fixed pattern, or random ones."""
    size, mask = size_of(config.data.size), config.mask
    most = mask.get("most", 0)  # older runs have none
    numbers = mask.get("numbers", "uniform")
    draw = look_up(masks.NUMBERS, "mask.numbers", numbers)
    if mask.pattern:
        if most:
            raise InputError(
                "mask.pattern always knows the same pixels: give mask.most=0"
            )
        known = masks.pattern(mask.pattern, size)
        return lambda key, batch: masks.fixed_pixels(known, batch)
    count = masks.pixel_count(size, mask.count, mask.fraction, most)
    if most and not count <= most <= size.pixels:
        raise InputError(
            f"mask.most {most} is not between the {count} pixels that are known at "
            f"least and the {size.pixels} of an image: give one of these, or 0 for "
            f"always {count}"
        )
    return lambda key, batch: masks.random_pixels(key, batch, size, count, most, draw)


def _under_pixels(make: Callable[..., Task], config: ConfigDict) -> Task:
    """Return a task whose conditions are known pixels."""
    moments = config.get("moments_weight", 0.0)  # older runs have none
    task = make(_draw_mask(config), config.pixel_weight, moments)
    return task._replace(training_conditions={"known_in_training": dict(config.mask)})


DISTANCES: Mapping[str, colors.Distance] = {
    "l1": reconstruction.l1,
    "l2": reconstruction.l2,
}


def _colors(config: ConfigDict) -> Task:
    distance = look_up(DISTANCES, "reconstruction.name", config.reconstruction.name)
    plain = colors.task(distance, config.reconstruction.weight, config.class_weight)
    settings = config.get("simulated_hints")  # older runs have none
    if not settings or not settings.mean:
        return plain
    size = size_of(config.data.size)
    patch = settings.patch or simulated_hints.largest_patch(size)
    if patch > min(size):
        raise InputError(
            f"simulated_hints.patch {patch} is larger than the images of {size}: give "
            f"at most {min(size)}, or 0"
        )
    draw = partial(
        simulated_hints.simulated,
        mean=settings.mean,
        patch=patch,
        none=settings.none,
        everything=settings.everything,
    )
    task = hints.hinted(plain, draw, settings.recoloured)
    return task._replace(training_conditions={"hints_in_training": dict(settings)})


TASKS: Mapping[str, Callable[[ConfigDict], Task]] = {
    "pixels": lambda config: _under_pixels(pixels.task, config),
    "wells": lambda config: _under_pixels(wells.task, config),
    "samples": lambda config: samples.task(),
    "points": lambda config: points.task(
        look_up(mixtures.MIXTURES, "data.name", config.data.name)
    ),
    "colors": _colors,
}


def task(config: ConfigDict) -> Task:
    """Return the task of a config.

    Raises:
        InputError: The task is unknown, or the config lacks keys that it reads.
    """
    make: Callable[[ConfigDict], Task] = look_up(TASKS, "task", config.task)
    requirements.check_task(config)
    return make(config)
