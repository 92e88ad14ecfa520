"""From a config to functions and data on the devices."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.data.feed import Feed, Layout
from gan_jax.data.sources import Official, Skipped, fingerprint, in_memory
from gan_jax.data.splits import Part
from gan_jax.errors import InputError
from gan_jax.names import look_up
from gan_jax.programs.teacher import Teacher, open_teacher
from gan_jax.report.terminal import say
from gan_jax.tasks.colors import TEACHER
from gan_jax.tasks.task import Task
from gan_jax.training.method import Recipe
from gan_jax.training.processes import several

RESIDENT_LIMIT = 4 * 2**30
"""With `data.feed` on auto, training images beyond this many bytes are streamed."""


class Run(NamedTuple):
    """Everything of a run that does not change while it trains."""

    config: ConfigDict
    workdir: Path
    task: Task
    recipe: Recipe
    official: Official
    """The data as published, read into memory where the feed is resident."""
    parts: Mapping[str, Part]
    feed: Feed
    mesh: jax.sharding.Mesh
    digest: str
    """Of the training images."""
    skipped: Sequence[Skipped]
    """What could not be used of the data."""
    teacher: Teacher | None = None

    @property
    def frozen(self) -> PyTree[Array]:
        """What the terms of a loss look at and nothing trains."""
        return self.teacher and {TEACHER: self.teacher.variables}


def prepare(config: ConfigDict, workdir: Path) -> Run:
    """Turn a config into functions and data on the devices."""
    task = recipes.task(config)
    official = recipes.source(config.data)
    skipped = [one for source in official if source for one in source.skipped]
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    *sides, channels = official.train.shape
    if sides != 2 * [config.data.size]:
        raise InputError(
            f"{official.train.name} has the size {sides[1]}x{sides[0]}: give "
            f"--config.data.size={sides[0]}"
        )
    # Before a teacher is trained, who may take long: this refuses what cannot be made.
    recipe = recipes.recipe(config, task, channels)
    kind = config.data.feed
    if kind == "auto":
        # Of a stream each process reads its share alone.
        fits = _bytes(official) <= RESIDENT_LIMIT and not several()
        kind = "resident" if fits else "streamed"
    open_feed = look_up(recipes.FEEDS, "data.feed", kind)
    if kind == "resident":
        train, test = official
        official = Official(in_memory(train), test and in_memory(test))
    teacher = open_teacher(config, official, workdir)
    if teacher is not None:
        recipe = recipes.recipe(config, task, channels, teacher.classes)
    parts = recipes.partition_of(config, official)
    mesh = make_mesh(config.batch_size)
    feed = open_feed(
        parts["train"],
        config.batch_size,
        config.seed,
        layout_over(mesh, config.batch_size),
    )
    digest = hashlib.sha256()
    for source in parts["train"].values():
        digest.update(fingerprint(source).encode())
    return Run(
        config,
        workdir,
        task,
        recipe,
        official,
        parts,
        feed,
        mesh,
        digest.hexdigest(),
        skipped,
        teacher,
    )


def make_mesh(batch_size: int) -> jax.sharding.Mesh:
    """Lay the batch over as many devices as divide it evenly; of several processes all.

    Raises:
        InputError: the devices of several processes do not divide it.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    if count < len(devices) and several():
        raise InputError(
            f"batch_size {batch_size} cannot be laid over {len(devices)} devices: give "
            "a multiple of them"
        )
    # Explicit axes, the default, forbid permutation and slicing of a sharded batch.
    return jax.make_mesh(
        (count,),
        ("batch",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=devices[:count],
    )


def layout_over(mesh: jax.sharding.Mesh, batch_size: int) -> Layout:
    """Lay the arrays of a feed over a mesh."""
    return Layout(
        functools.partial(replicated, mesh),
        functools.partial(_stretched, mesh),
        _share(mesh, batch_size),
    )


def replicated(mesh: jax.sharding.Mesh, tree: PyTree) -> PyTree[Array]:
    """Put arrays, which all processes have, on every device."""
    return _placed(NamedSharding(mesh, PartitionSpec()), tree)


def _stretched(mesh: jax.sharding.Mesh, tree: PyTree) -> PyTree[Array]:
    """Put a process's share of the batches of some steps on its devices."""
    return _placed(NamedSharding(mesh, PartitionSpec(None, "batch")), tree)


def _placed(sharding: NamedSharding, tree: PyTree) -> PyTree[Array]:
    if not several():
        return jax.device_put(tree, sharding)
    place = functools.partial(jax.make_array_from_process_local_data, sharding)
    return jax.tree.map(lambda leaf: place(np.asarray(leaf)), tree)


def _share(mesh: jax.sharding.Mesh, batch_size: int) -> Int[np.ndarray, " own"]:
    """Tell which images of a batch lie on this process's devices, in their order."""
    batched = NamedSharding(mesh, PartitionSpec("batch"))
    places = batched.addressable_devices_indices_map((batch_size,)).values()
    own = [np.arange(batch_size)[place] for (place,) in filter(None, places)]
    return np.unique(np.concatenate(own))


def _bytes(official: Official) -> int:
    return sum(
        len(source) * int(np.prod(source.shape))
        for source in official
        if source is not None
    )
