"""What was read of a dataset or a folder, said before anything is done with it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.data.files.levels import WHOLE, InUse, Scaling, describe
from gan_jax.data.files.listing import LeftOut, left_line, shortened

Shape = tuple[int, int, int]
"""Height, width and channels."""

_SHOWN = 8  # shapes that a line lists
_COLOURLESS = 3  # levels by which the channels of an image without colour may differ
_COLOURS = {1: "grey", 3: "colour"}


class Reading(NamedTuple):
    """What was read of a dataset, or of a folder of images."""

    shapes: Mapping[Shape, int] = {}
    """Number of images of each stored shape."""
    classes: Mapping[str, Mapping[str, int]] = {}
    """Number of images of each class, by part; a single part has the name ""."""
    left: LeftOut = MappingProxyType({})
    """Files that were left out, by reason and suffix."""
    pages: int = 0
    """Pages of files, after the first one, which were not read."""
    colourless: int = 0
    """Images that are stored in colour and have none."""
    levels: Mapping[str, InUse] = {}
    """Levels in use, by how files store them."""
    scaling: Scaling = WHOLE
    """How levels became 8 bits."""
    notes: Sequence[str] = ()
    """What was chosen in reading, one line each."""

    def noting(self, *notes: str) -> "Reading":
        """Return what was read, with further notes."""
        return self._replace(notes=(*self.notes, *notes))

    def without(self, names: Collection[str]) -> "Reading":
        """Return what was read, without some classes, which a note names."""
        left = Counter(dict.fromkeys(sorted(names), 0))
        kept: dict[str, dict[str, int]] = {}
        for part, counts in self.classes.items():
            kept[part] = {name: n for name, n in counts.items() if name not in names}
            left.update({name: n for name, n in counts.items() if name in names})
        note = f"classes left out: {shortened(_counted(left))}"
        return self._replace(classes=kept).noting(note)

    def lines(self) -> list[str]:
        """Return what was read, in lines for the user."""
        lines = [_shapes_line(self.shapes)] if self.shapes else []
        for part, counts in self.classes.items():
            named = shortened(_counted(counts)) or "none"
            lines.append(f"classes{part and f' of {part}'}: {named}")
        if self.left:
            lines.append(left_line(self.left))
        if self.pages:
            lines.append(
                f"not read: {self.pages:,} pages after the first one of their files"
            )
        if self.colourless:
            lines.append(
                f"stored in colour, but grey: {self.colourless:,} (their channels "
                f"differ by {_COLOURLESS} levels at most)"
            )
        return [*lines, *describe(self.scaling, self.levels), *self.notes]

    def as_json(self) -> dict[str, Any]:
        """Return the entry of a summary, which `trained_ranges` reads."""
        common = Counter(self.shapes).most_common(_SHOWN)
        shapes = {"x".join(map(str, shape)): count for shape, count in common}
        others = sum(self.shapes.values()) - sum(shapes.values())
        levels = {
            kind: {**each._asdict(), "taken": list(self.scaling.of(kind))}
            for kind, each in self.levels.items()
        }
        return {
            "images": sum(self.shapes.values()),
            "shapes": shapes | ({"others": others} if others else {}),
            "classes": {part or "all": dict(n) for part, n in self.classes.items()},
            "left": {reason: dict(counts) for reason, counts in self.left.items()},
            "pages_left": self.pages,
            "colourless": self.colourless,
            "levels": levels,
            "notes": [*self.notes],
        }


def _counted(classes: Mapping[str, int]) -> list[str]:
    """Return names of classes, each with its number of images if that is known."""
    return [f"{name} ({n:,})" if n else name for name, n in classes.items()]


def is_colourless(
    image: UInt8[np.ndarray, "height width channels"],
) -> bool:
    """Return whether an image of three channels has no colour."""
    if image.shape[-1] != 3:
        return False
    first = image[..., 0].astype(np.int16)
    return all(
        int(np.abs(image[..., channel] - first).max()) <= _COLOURLESS
        for channel in (1, 2)
    )


def count_colourless(images: UInt8[np.ndarray, "count height width channels"]) -> int:
    """Return how many images of three channels have no colour."""
    return sum(map(is_colourless, images)) if images.shape[-1] == 3 else 0


def _shapes_line(shapes: Mapping[Shape, int]) -> str:
    total = sum(shapes.values())
    if {channels for *_, channels in shapes} == {2}:
        return f"{total:,} points of the plane"
    named = [
        f"{count:,} of {height}x{width} in {_COLOURS[channels]}"
        for (height, width, channels), count in Counter(shapes).most_common(_SHOWN)
    ]
    if len(shapes) > _SHOWN:
        sides = np.array([shape[:2] for shape in shapes])
        least, most = sides.min(axis=0), sides.max(axis=0)
        colours = Counter[str]()
        for (*_, channels), count in shapes.items():
            colours[_COLOURS[channels]] += count
        named = [f"{count:,} in {colour}" for colour, count in colours.items()]
        named.append(
            f"from {least[0]} to {most[0]} high and from {least[1]} to {most[1]} wide"
        )
    images = "1 image" if total == 1 else f"{total:,} images"
    return f"{images} (height x width): {', '.join(named)}"
