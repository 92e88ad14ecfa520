"""The teacher of a colorizer: a frozen classifier of grey images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data.color import grey
from gan_jax.data.datasets.dataset import Dataset
from gan_jax.networks.classifier import check_image_shape, classifier_for
from gan_jax.runs.feature_network import (
    open_classifier,
    read_classifier,
    write_classifier,
)
from gan_jax.training.distributed import is_main

_FILE = "teacher.msgpack"


Teacher = Mapping[str, Any]
"""A classifier as `read_classifier` returns it, whose class probabilities a generator
learns to predict."""


def describe(teacher: Teacher) -> dict[str, Any]:
    """Return the entry of a teacher in a summary."""
    names = ("network", "sha256", "accuracy")
    return {name: teacher[name] for name in names} | {"classes": classes(teacher)}


def classes(teacher: Teacher) -> int:
    """Return the number of classes of a teacher."""
    return classifier_for(teacher["variables"]).classes


def teachable(config: ConfigDict, dataset: Dataset) -> bool:
    """Return whether a run needs no teacher, or has a file or labels for one."""
    needed = bool(config.get("class_weight", 0))
    return not needed or bool(config.teacher.path or dataset.train.classes)


def open_teacher(config: ConfigDict, dataset: Dataset, workdir: Path) -> Teacher | None:
    """Open the teacher of a run, or train one on the lightness of its images.

    A run that continues keeps its teacher. The result is None where no term of the
    run needs one.

    Raises:
        InputError: The dataset has no labels, or the named file holds no classifier of
            grey images of this size.
    """
    if not config.get("class_weight", 0):
        return None
    settings = config.teacher
    continues = (workdir / _FILE).exists()
    path = workdir / _FILE if continues else Path(settings.path).expanduser()
    if continues or settings.path:
        try:
            teacher = read_classifier(path)
            size = size_of(config.data.size)
            check_image_shape(teacher["variables"], (*size, 1))
            if not teacher["labels"]:
                raise InputError(f"{path} is a classifier of quarter turns")
        except InputError as error:
            remedy = (
                "remove it to continue with another one"
                if continues
                else "give --config.teacher.path the teacher.msgpack of a run at this "
                "size, or leave it empty to train one on labelled data"
            )
            raise InputError(f"{error}: {remedy}") from None
        return teacher
    if not teachable(config, dataset):
        raise InputError(
            f"{dataset.train.name} has no labels to train a teacher on: choose "
            "labelled data, or give --config.teacher.path=<run>/teacher.msgpack of a "
            "run with labels, or the variant chromagan_no_class"
        )
    return open_classifier(grey(dataset), settings.classifier, "to teach")


def keep_teacher(teacher: Teacher, workdir: Path) -> None:
    """Write a teacher to the workdir of its run, for this run and for others."""
    if is_main() and not (workdir / _FILE).exists():
        write_classifier(workdir / _FILE, teacher)
