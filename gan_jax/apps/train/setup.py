"""From a config to a run: task, method, data on the devices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.train.identity import Identity, identify, is_trained
from gan_jax.apps.train.memory import data_demands, feed_kind, training_demands
from gan_jax.apps.train.teacher import Teacher, classes, open_teacher
from gan_jax.build import datasets, methods, tasks
from gan_jax.build.augmentation import ENOUGH, NONE, automatic
from gan_jax.config.checks import AUTO
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.config.names import look_up
from gan_jax.config.schema import find
from gan_jax.data.datasets.dataset import (
    Dataset,
    Skipped,
    in_memory,
    take,
)
from gan_jax.data.datasets.reading import is_colourless
from gan_jax.data.feed import Feed, ImagesByRole, read
from gan_jax.data.files.listing import shortened
from gan_jax.data.splits import Part, check_count
from gan_jax.report.terminal import say
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import blank_images
from gan_jax.runs.workdir import written_config
from gan_jax.tasks.colors import TEACHER
from gan_jax.tasks.task import Task
from gan_jax.training.mesh import make_mesh, placement_over
from gan_jax.training.method import Method
from gan_jax.training.step import VALIDATION

_COMPARED = 1000  # validation images that training compares scores with, at most
_SEEN, _AT_ONCE = 2000, 100  # images that are searched for colour


class Run(NamedTuple):
    """The parts of a training run that do not change while it trains."""

    config: ConfigDict
    workdir: Path
    task: Task
    method: Method
    dataset: Dataset
    """The dataset as opened, before its split; in memory where the feed is resident."""
    parts: Mapping[str, Part]
    feed: Feed
    mesh: jax.sharding.Mesh
    identity: Identity
    """What the data are."""
    skipped: Sequence[Skipped]
    """Files of the dataset that cannot be used."""
    teacher: Teacher | None = None
    unseen: ImagesByRole | None = None
    """Validation images, where the probability of augmentation depends on them."""

    @property
    def digest(self) -> str:
        """SHA-256 of the training images."""
        return self.identity.sha256["train"]

    @property
    def frozen(self) -> PyTree[Array | np.ndarray]:
        """Arrays that a step uses and that do not train; None where there are none."""
        frozen: dict[str, Any] = {}
        if self.teacher is not None:
            frozen[TEACHER] = self.teacher["variables"]
        if self.unseen is not None:
            frozen[VALIDATION] = self.unseen
        return frozen or None


def _check_condition(config: ConfigDict, task: Task, channels: int) -> None:
    """Raise where a task does not describe the arrays of its conditions one by one."""
    images = jax.eval_shape(lambda: blank_images(config, task, channels))
    condition = jax.eval_shape(task.present, jax.random.key(0), images).condition
    count, described = len(jax.tree.leaves(condition)), len(task.condition_arrays)
    if count != described:
        raise InputError(
            f"task {config.task}: `present` returns {count} arrays as the condition, "
            f"and `condition_arrays` describes {described}: give a sequence with one "
            "ConditionArray for each"
        )


def _check_classes(dataset: Dataset, without: str) -> None:
    """Raise where the test part has classes of which no image is trained on."""
    counts = dataset.reading.classes
    if dataset.test is None or not {"train", "test"} <= counts.keys():
        return
    known = {*counts["train"], *without.split(","), "none"}
    unknown = [name for name in counts["test"] if name not in known]
    if unknown:
        raise InputError(
            f"{dataset.train.name}: the test part has classes that the training part "
            f"lacks ({shortened(unknown)}): leave them out with --config.data.without="
            f"{','.join(filter(None, [without, *unknown]))}, or split all images anew "
            "with --config.data.held_out=0.1"
        )


def _check_colour(dataset: Dataset) -> None:
    """Raise where no image of some, spread over all, has a colour."""
    source = dataset.train
    places = np.linspace(0, len(source) - 1, min(_SEEN, len(source))).astype(int)
    for first in range(0, len(places), _AT_ONCE):
        images = take(source, places[first : first + _AT_ONCE].tolist())
        if not all(is_colourless(image) for image, _ in images):
            return
    raise InputError(
        f"colorization learns from colour images, and these of {source.name} are grey, "
        "though stored in colour: choose other data"
    )


def _with_augmentation(
    config: ConfigDict, trained: Path, dataset: Dataset, quiet: bool
) -> ConfigDict:
    """Return a config with the changes that `augment.kind=auto` stands for.

    A run that continues keeps those that it began with.
    """
    if config.augment.kind != AUTO:
        return config
    written, count = written_config(trained), len(dataset.train)
    if written is None:
        kind = automatic(config, count)
        why = (
            f"because {dataset.train.name} has {count:,} images for training, fewer "
            f"than {ENOUGH:,}; --config.augment.kind={NONE} leaves them as they are"
        )
    else:
        kind = written.get("augment.kind", find("augment.kind").older)
        why = "as the run began"
    if kind != NONE and not quiet:
        say(f"augment.kind={AUTO}: {kind}, {why}")
    with (settled := config.copy_and_resolve_references()).unlocked():
        settled.augment.kind = kind
    return settled


def _say_what_was_read(dataset: Dataset) -> None:
    """Print what was read of a dataset, and the files that cannot be used."""
    for line in dataset.reading.lines():
        say(f"{dataset.train.name}: {line}")
    for part in dataset.parts:
        for path, reason in part.skipped:
            say(f"skipped {path}: {reason}")


def prepare(
    config: ConfigDict,
    workdir: Path,
    runs: int = 1,
    trained: Path | None = None,
    quiet: bool = False,
) -> Run:
    """Return the run of a training config, with its data on the devices.

    Args:
        config: A training config.
        workdir: Workdir of the run.
        runs: Number of runs that are prepared at once.
        trained: Workdir of the run that is trained on the data; None = of this run.
        quiet: Whether to print nothing of the data, which another run has printed.

    Raises:
        InputError: A name is unknown, settings exclude each other, the dataset is
            missing or does not fit, has too few images or is not the one that the run
            was trained on, or the run needs more memory than there is.
    """
    trained = trained or workdir
    task = tasks.task(config)
    check_memory(config, data_demands(config))
    dataset = datasets.source(config.data)
    if not quiet:
        _say_what_was_read(dataset)
    *sides, channels = dataset.train.shape
    found = Size(*sides)
    if found != size_of(config.data.size):
        given = found.height if found.height == found.width else found
        raise InputError(
            f"{dataset.train.name} has the size {found} (height x width): give "
            f"--config.data.size={given}"
        )
    _check_classes(dataset, config.data.without)
    config = _with_augmentation(config, trained, dataset, quiet)
    # Refuses what cannot be made before a teacher is trained, which may take long.
    method = methods.method(config, task, channels)
    _check_condition(config, task, channels)
    if task.in_colour:
        _check_colour(dataset)
    few = "" if is_trained(trained) else check_count(dataset, config.data.few)
    if few and not quiet:
        say(few)
    check_memory(config, training_demands(config, task, method, dataset, runs))
    kind = feed_kind(config, dataset)
    open_feed = look_up(datasets.FEEDS, "data.feed", kind)
    if kind == "resident":
        dataset = dataset.each(in_memory)
    parts = datasets.partition_of(config, dataset)
    identity = identify(config, trained, dataset, parts)
    teacher = open_teacher(config, dataset, workdir)
    if teacher is not None:
        method = methods.method(config, task, channels, classes(teacher))
    mesh = make_mesh(config.batch_size)
    feed = open_feed(
        parts["train"],
        config.batch_size,
        config.seed,
        placement_over(mesh, config.batch_size),
    )
    return Run(
        config,
        workdir,
        task,
        method,
        dataset,
        parts,
        feed,
        mesh,
        identity,
        [file for part in dataset.parts for file in part.skipped],
        teacher,
        _unseen(method, parts["validation"]),
    )


def _unseen(method: Method, part: Part) -> ImagesByRole | None:
    """Return the images of the validation part that training compares scores with."""
    if not method.is_adaptive or method.objective.boundary is not None:
        return None
    return {
        role: read(source, np.arange(min(_COMPARED, len(source))))
        for role, source in part.items()
    }
