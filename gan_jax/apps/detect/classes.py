"""What the classes of a data set are to a detector: normal, anomalous, or masks."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.detect.scoring.labels import (
    AUTO,
    LabelledFolder,
    is_normal,
    listed,
    read_labels,
)
from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.datasets.formats import recognise

_ALL = "all images"  # the only class of images without labels


class Roles(NamedTuple):
    """What the classes of a data set are to a detector."""

    normal: Sequence[str]
    anomalous: Sequence[str]
    others: Sequence[str]
    """Neither trained on nor looked for."""


def roles(name: str, classes: Collection[str], normal: str, label: str) -> Roles | None:
    """Return what classes are; None where no class is known to be normal.

    Args:
        name: Name of the data set, for messages.
        classes: Names of the classes.
        normal: `anomaly.normal` of a config.
        label: `anomaly.label` of a config; if it names no class, all classes that are
            not normal are anomalies.

    Raises:
        InputError: If a name is that of no class, or of a normal and an anomalous one.
    """
    if normal == AUTO:
        chosen = [kind for kind in classes if is_normal(kind)]
    else:
        chosen = [kind for kind in normal.split(",") if kind]
    if not chosen:
        return None
    # A number is no name here: 0 is the usual label of data whose classes are numbers.
    wanted = [
        kind
        for kind in filter(None, label.split(","))
        if kind in classes or not kind.isdecimal()
    ]
    for kind in (*chosen, *wanted):
        if kind not in classes:
            raise InputError(
                f"{name} has no class '{kind}'; known: {', '.join(classes)}"
            )
    if both := {*chosen} & {*wanted}:
        raise InputError(
            f"class '{min(both)}' of {name} is normal, and an anomaly to find: take it "
            "out of --config.anomaly.normal or of --config.anomaly.label"
        )
    rest = [kind for kind in classes if kind not in chosen]
    anomalous = wanted or rest
    return Roles(chosen, anomalous, [kind for kind in rest if kind not in anomalous])


class KnownClasses(NamedTuple):
    """What is known of the classes of a data set before it is read."""

    roles: Roles | None
    """None where no class is known to be normal."""
    folder: LabelledFolder | None
    """The image files; None for data of other kinds."""


def with_classes(config: ConfigDict) -> tuple[ConfigDict, KnownClasses]:
    """Return a config that names the anomalies and the masks of its data.

    Where `anomaly.normal` or the folders name classes of normal images, `anomaly.label`
    names the others. `data.without` names folders of masks too.

    Raises:
        InputError: If a class is unknown, or the data cannot be opened.
    """
    data, anomaly = config.data, config.anomaly
    is_folder = data.path and recognise(data.path) == "folder"
    without = data.without.split(",")
    folder: LabelledFolder | None = None
    classes: Collection[str] = ()
    if is_folder:
        named = [*anomaly.label.split(","), *anomaly.normal.split(",")]
        folder = read_labels(data.path, named)
        classes = folder.classes
    elif anomaly.normal not in (AUTO, ""):
        classes = _all_classes(data)
    classes = [kind for kind in classes if kind not in without]
    name = data.path or data.name
    found = roles(name, classes, anomaly.normal, anomaly.label) if classes else None
    if anomaly.normal not in (AUTO, "") and found is None:
        raise InputError(f"{name} has no labels: leave --config.anomaly.normal empty")
    changed = config.copy_and_resolve_references()
    with changed.unlocked():
        if found is not None:
            changed.anomaly.label = ",".join(found.anomalous)
            without += found.others
        if folder is not None:
            without += folder.mask_classes
            changed.data.path = _place_of_classes(data.path, folder)
        changed.data.without = ",".join(dict.fromkeys(filter(None, without)))
    return changed.lock(), KnownClasses(found, folder)


def _place_of_classes(path: str, folder: LabelledFolder) -> str:
    """Return the folder that holds the classes, if masks lie beside it in a path."""
    places = {place.folder for place in folder.images.values()}
    common = Path(os.path.commonpath(places))
    inside = all(mask.is_relative_to(common) for mask in folder.masks)
    root = Path(path).expanduser()
    below = [mask for mask in folder.masks if mask.is_relative_to(root)]
    return path if inside or not below else str(common)


def _all_classes(data: ConfigDict) -> tuple[str, ...]:
    """Return the classes of a data set, also those that its config leaves out."""
    with (whole := data.copy_and_resolve_references()).unlocked():
        whole.without = ""
    return datasets.source(whole).train.classes


def count_classes(
    config: ConfigDict, dataset: Dataset, known: KnownClasses, kinds: Mapping[str, int]
) -> dict[str, Any]:
    """Return the numbers of images by class and side, and the number of masks.

    Classes that are neither normal nor looked for are `left_out`.

    Args:
        config: Config of the program, as `with_classes` returned it.
        dataset: The normal images.
        known: What was known of the classes before.
        kinds: Number of test images by kind of anomalies.
    """
    classes = dataset.train.classes
    sides: dict[str, dict[str, int]] = {"normal": {}, "anomalous": {}, "left_out": {}}
    for kind, count in kinds.items():
        name = kind.removeprefix("class ")
        if name != kind and name not in classes:  # a number, or several together
            if not name.isdecimal():
                continue
            name = classes[int(name)]
        sides["anomalous"][name] = count
    away = {*config.data.without.split(","), *sides["anomalous"]}
    files = known.folder.classes if known.folder else {}
    if all(isinstance(part, ArraySource) for part in dataset.parts):
        sides["normal"] = _numbers(dataset)
    else:
        sides["normal"] = {kind: n for kind, n in files.items() if kind not in away}
    if not sides["normal"]:
        sides["normal"] = {_ALL: sum(map(len, dataset.parts))}
    seen = {*sides["normal"], *sides["anomalous"]}
    sides["left_out"] = {kind: n for kind, n in files.items() if kind not in seen}
    return {**sides, "masks": len(known.folder.masks) if known.folder else 0}


def _numbers(dataset: Dataset) -> dict[str, int]:
    """Return the numbers of images in memory by class; empty without labels."""
    parts = [part.labels for part in dataset.parts if isinstance(part, ArraySource)]
    labels = [part for part in parts if part is not None]
    if not labels:
        return {}
    numbers, counts = np.unique(np.concatenate(labels), return_counts=True)
    classes = dataset.train.classes
    pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {classes[number]: count for number, count in pairs}


def describe_classes(counts: Mapping[str, Any]) -> str:
    """Return the result of `count_classes` in a line."""
    parts = [
        f"{side.replace('_', ' ')}: {listed(counts[side])}"
        for side in ("normal", "anomalous", "left_out")
        if counts[side]
    ]
    if counts["masks"]:
        parts.append(f"{counts['masks']} masks, not trained on")
    return "; ".join(parts)


def trained_classes(summary: Mapping[str, Any]) -> list[str]:
    """Return the normal classes that the summary of a detector's run names."""
    counts = summary.get("classes")
    normal = counts.get("normal") if isinstance(counts, dict) else None
    return [*normal] if isinstance(normal, dict) else []
