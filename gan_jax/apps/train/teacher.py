"""The teacher of a colorizer: a frozen classifier of grey images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
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


class Teacher(NamedTuple):
    """A classifier that tells a generator what an image shows."""

    kept: Mapping[str, Any]

    @property
    def variables(self) -> Mapping[str, Any]:
        """Its weights and statistics."""
        variables: Mapping[str, Any] = self.kept["variables"]
        return variables

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return classifier_for(self.variables).classes

    def describe(self) -> dict[str, Any]:
        """Return in a summary who it was."""
        names = ("network", "sha256", "accuracy")
        return {name: self.kept[name] for name in names} | {"classes": self.classes}


def teachable(config: ConfigDict, dataset: Dataset) -> bool:
    """Return whether a run that asks a teacher, if it does, can have one."""
    asks = bool(config.get("class_weight", 0))
    return not asks or bool(config.teacher.path or dataset.train.classes)


def open_teacher(config: ConfigDict, dataset: Dataset, workdir: Path) -> Teacher | None:
    """Open the teacher of a run, or train one on the lightness of its data.

    A run that goes on has the teacher with which it began.

    Args:
        config: of a training run.
        dataset: its data.
        workdir: where `keep_teacher` may have left one.

    Returns:
        None where the run has no term that asks a teacher.

    Raises:
        InputError: the data have no labels, or the file that is named holds no
            classifier of grey images of this size.
    """
    if not config.get("class_weight", 0):
        return None
    settings = config.teacher
    own = workdir / _FILE
    path = own if own.exists() else Path(settings.path).expanduser()
    if own.exists() or settings.path:
        try:
            teacher = Teacher(read_classifier(path))
            size = config.data.size
            check_image_shape(teacher.variables, (size, size, 1))
            if not teacher.kept["labels"]:
                raise InputError(f"{path} tells quarter turns apart, not classes")
        except InputError as error:
            remedy = (
                "remove it, and the run goes on with another"
                if own.exists()
                else "give --config.teacher.path the teacher.msgpack of a run at this "
                "size, or leave it empty to train one on labelled data"
            )
            raise InputError(f"{error}: {remedy}") from None
        return teacher
    if not teachable(config, dataset):
        raise InputError(
            f"{dataset.train.name} has no labels to train a teacher on: take labelled "
            "data, or --config.teacher.path=<run>/teacher.msgpack of a run on such, or "
            "the variant chromagan_no_class"
        )
    return Teacher(open_classifier(grey(dataset), settings.classifier, "to teach"))


def keep_teacher(teacher: Teacher, workdir: Path) -> None:
    """Leave a run's teacher in its workdir, for this run and for others."""
    if is_main() and not (workdir / _FILE).exists():
        write_classifier(workdir / _FILE, teacher.kept)
