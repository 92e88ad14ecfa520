"""Labels of image files for the detection of anomalies, by the names of their folders.

The layouts are those of data sets of defects: MVTec AD (`train/good`, `test/good`,
`test/crack`, `ground_truth/crack/000_mask.png`), BTAD (`train/ok`, `test/ko`), VisA
(`Images/Normal`, `Masks/Anomaly`), and plain ones (`good`, `NG`, `mask`).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError, printable
from gan_jax.data.datasets.folders import Place, places
from gan_jax.data.files.listing import image_files, list_users_images
from gan_jax.data.files.mask_names import MASK, image_stem, pair
from gan_jax.data.user_images import InputFile, named_files
from gan_jax.report.terminal import say

AUTO = "auto"
"""Value of `anomaly.normal` that stands for the classes of usual names."""

_NORMAL = frozenset(
    {"good", "ok", "okay", "normal", "nominal", "healthy", "intact", "clean", "pass"}
    | {"passed", "defectfree", "nodefect", "nodefects", "nondefective", "anomalyfree"}
)
_MASKS = frozenset(
    {"groundtruth", "groundtruths", "gt", "mask", "masks", "label", "labels"}
    | {"annotation", "annotations", "segmentation", "segmentations"}
)
_WORDS = (*MASK, "label", "gt")  # in the names of masks


def _letters(name: str) -> str:
    """Return the letters of a name, in lower case."""
    return "".join(filter(str.isalpha, name.casefold()))


def is_normal(name: str) -> bool:
    """Return whether a class has a usual name of normal images, e.g. `0_good`."""
    return _letters(name) in _NORMAL


class LabelledFolder(NamedTuple):
    """The image files of a folder with their classes, and the masks beside them."""

    images: Mapping[Path, Place]
    """Every image that is no mask, in a fixed order."""
    masks: Sequence[Path]
    mask_folder: Path | None
    """The folder of the masks; None where there are none."""

    @property
    def classes(self) -> dict[str, int]:
        """Return the number of images of each class."""
        kinds = Counter(place.kind for place in self.images.values())
        return {kind: kinds[kind] for kind in sorted(kinds) if kind}

    @property
    def mask_classes(self) -> list[str]:
        """Return the names of folders of masks that lie where classes lie.

        Raises:
            InputError: If masks lie in the folder of a class.
        """
        around = {place.folder for place in self.images.values()}
        names = {
            mask.relative_to(folder).parts[0]
            for folder in around
            for mask in self.masks
            if mask.is_relative_to(folder)
        }
        if inside := names & self.classes.keys():
            raise InputError(
                f"class '{min(inside)}' has masks among its images: move them into a "
                "folder beside the classes, e.g. ground_truth"
            )
        return sorted(names)

    def masks_of(self, images: Sequence[Path]) -> dict[Path, Path]:
        """Return the mask of each image that has exactly one."""
        found: dict[Path, Path] = {}
        if self.mask_folder is None:
            return found
        masks = [mask for mask in self.masks if mask.is_relative_to(self.mask_folder)]
        for folder in {self.images[image].folder for image in images}:
            own = [image for image in images if self.images[image].folder == folder]
            pairs = pair(own, folder, masks, self.mask_folder, _WORDS)
            found |= {image: of[0] for image, of in pairs.items() if len(of) == 1}
        return found


def read_labels(folder: str, named: Collection[str] = ()) -> LabelledFolder:
    """Return the image files of a folder and its sub-folders, with their classes.

    Folders that are called like masks hold masks if one of their files has the name of
    an image. If there are none, such a folder beside the given one is looked for.

    Args:
        folder: The folder.
        named: Names of classes that are no masks, whatever they are called.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    root = Path(folder).expanduser()
    images, masks = _apart(root, list_users_images(folder).images, named)
    place = _mask_folder(root, masks[0], named) if masks else None
    if not masks:
        place, masks = _beside(root, images)
    found = places(root, images)
    nowhere = Place("", root, "")
    labelled = {image: found.get(image, nowhere) for image in images}
    return LabelledFolder(labelled, masks, place)


def _apart(
    root: Path, files: Sequence[Path], named: Collection[str]
) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return the images among files, and the masks."""
    places = {file: _mask_folder(root, file, named) for file in files}
    images = [file for file, place in places.items() if place is None]
    masks = [file for file, place in places.items() if place is not None]
    return (images, masks) if _are_pairs(images, masks) else (files, [])


def _mask_folder(root: Path, file: Path, named: Collection[str]) -> Path | None:
    """Return the folder of masks below a root that a file lies in, if any."""
    for parent in reversed(file.relative_to(root).parents[:-1]):
        if _letters(parent.name) in _MASKS and parent.name not in named:
            return root / parent
    return None


def _beside(root: Path, images: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Return the folder of masks beside a folder of images, and its files."""
    whole = root.resolve()
    try:
        near = sorted(each for each in whole.parent.iterdir() if each != whole)
    except OSError:
        return None, []
    for place in near:
        if _letters(place.name) in _MASKS and place.is_dir():
            masks = list(image_files(place))
            if _are_pairs(images, masks):
                return place, masks
    return None, []


def _are_pairs(images: Sequence[Path], masks: Sequence[Path]) -> bool:
    """Return whether one of some masks has the name of an image."""
    stems = {image.stem for image in images}
    return any({mask.stem, image_stem(mask.stem, _WORDS)} & stems for mask in masks)


def scored_files(config: ConfigDict) -> list[InputFile]:
    """Return the image files that a config names, without masks among them.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    images = _read(config).images
    return named_files(images, Path(config.images).expanduser())


def _read(config: ConfigDict) -> LabelledFolder:
    """Return the images that a config names; its normal classes are no masks."""
    return read_labels(config.images, config.anomaly.normal.split(","))


class Labels(NamedTuple):
    """What is known of the images of a folder."""

    folder: LabelledFolder
    normal: Sequence[str]
    """Its classes of normal images; empty where no class is known to be normal."""
    masks: Mapping[Path, Path]
    """The mask of each anomalous image that has one."""

    def kind(self, file: Path) -> str:
        """Return the class of an image; empty where it has none."""
        place = self.folder.images.get(file)  # None: it has just been added
        return place.kind if place else ""

    def is_measured(self, file: Path) -> bool:
        """Return whether an image is labelled, and nothing was trained on it."""
        is_test = self.kind(file) and self.folder.images[file].part != "train"
        return bool(is_test and self.normal)

    def is_normal(self, file: Path) -> bool | None:
        """Return whether an image is normal, if that is known."""
        kind = self.kind(file)
        return kind in self.normal if self.normal and kind else None

    def summary(self) -> dict[str, Any]:
        """Return the numbers of images by class, and of masks."""
        classes = self.folder.classes
        sides = {True: "normal", False: "anomalous"} if self.normal else {}
        counts: dict[str, Any] = {side: {} for side in sides.values()}
        for kind, count in classes.items():
            side = sides.get(kind in self.normal, "unlabelled")
            counts.setdefault(side, {})[kind] = count
        return {**counts, "masks": len(self.folder.masks)}


def open_labels(config: ConfigDict, trained: Sequence[str]) -> Labels:
    """Return the labels of the images that a config names.

    Args:
        config: Config with `images` and `anomaly.normal`.
        trained: The classes that the detector was trained on.
    """
    folder = _read(config)
    named = config.anomaly.normal
    chosen = trained if named == AUTO else named.split(",")
    normal = [
        kind
        for kind in folder.classes
        if kind in chosen or (named == AUTO and is_normal(kind))
    ]
    labels = Labels(folder, normal, {})
    anomalous = [file for file in folder.images if labels.is_normal(file) is False]
    return labels._replace(masks=folder.masks_of(anomalous))


def say_labels(config: ConfigDict, labels: Labels) -> None:
    """Print the classes of the images that a config names."""
    found = labels.summary()
    lists = {
        side: listed(found.get(side, {}))
        for side in ("normal", "anomalous", "unlabelled")
    }
    parts = [f"{side}: {text}" for side, text in lists.items() if text]
    if lists["unlabelled"] and not labels.normal:
        parts.append(
            "no class is known to be normal: --config.anomaly.normal=NAME names it, "
            "and the scores are measured"
        )
    if found["masks"]:
        parts.append(f"{found['masks']} masks, not scored ({len(labels.masks)} used)")
    if parts:
        say(f"{config.images}: {'; '.join(parts)}")


def listed(counts: Mapping[str, int]) -> str:
    """Return classes with their numbers of images, e.g. `crack (12), scratch (7)`."""
    return ", ".join(f"{printable(kind)} ({count})" for kind, count in counts.items())
