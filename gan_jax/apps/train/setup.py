"""From a config to functions and data on the devices."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.train.teacher import Teacher, open_teacher
from gan_jax.build import datasets, methods, tasks
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data.datasets.dataset import Dataset, Skipped, fingerprint, in_memory
from gan_jax.data.feed import Feed
from gan_jax.data.splits import Part
from gan_jax.report.terminal import say
from gan_jax.tasks.colors import TEACHER
from gan_jax.tasks.task import Task
from gan_jax.training.distributed import is_multiprocess
from gan_jax.training.mesh import make_mesh, placement_over
from gan_jax.training.method import Method

RESIDENT_LIMIT = 4 * 2**30
"""With `data.feed` on auto, training images beyond this many bytes are streamed."""


class Run(NamedTuple):
    """Everything of a run that does not change while it trains."""

    config: ConfigDict
    workdir: Path
    task: Task
    method: Method
    dataset: Dataset
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
    task = tasks.task(config)
    dataset = datasets.source(config.data)
    skipped = [one for source in dataset if source for one in source.skipped]
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    *sides, channels = dataset.train.shape
    if sides != 2 * [config.data.size]:
        raise InputError(
            f"{dataset.train.name} has the size {sides[1]}x{sides[0]}: give "
            f"--config.data.size={sides[0]}"
        )
    # Before a teacher is trained, who may take long: this refuses what cannot be made.
    method = methods.method(config, task, channels)
    kind = config.data.feed
    if kind == "auto":
        # Of a stream each process reads its share alone.
        fits = _bytes(dataset) <= RESIDENT_LIMIT and not is_multiprocess()
        kind = "resident" if fits else "streamed"
    open_feed = look_up(datasets.FEEDS, "data.feed", kind)
    if kind == "resident":
        train, test = dataset
        dataset = Dataset(in_memory(train), test and in_memory(test))
    teacher = open_teacher(config, dataset, workdir)
    if teacher is not None:
        method = methods.method(config, task, channels, teacher.classes)
    parts = datasets.partition_of(config, dataset)
    mesh = make_mesh(config.batch_size)
    feed = open_feed(
        parts["train"],
        config.batch_size,
        config.seed,
        placement_over(mesh, config.batch_size),
    )
    digest = hashlib.sha256()
    for source in parts["train"].values():
        digest.update(fingerprint(source).encode())
    return Run(
        config,
        workdir,
        task,
        method,
        dataset,
        parts,
        feed,
        mesh,
        digest.hexdigest(),
        skipped,
        teacher,
    )


def _bytes(dataset: Dataset) -> int:
    return sum(
        len(source) * int(np.prod(source.shape))
        for source in dataset
        if source is not None
    )
