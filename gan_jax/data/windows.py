"""Windows: the parts of images under which a network of one size is laid.

Windows have the shape of the network's images: the same proportion of height to width,
up to the rounding of each side to whole pixels. A scale is the number of an image's
pixels, along one side, that one pixel of the network's stands for.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gan_jax.config.limits import Size

PADDED_SIZES, PADDING = (28, 32), 2
"""Size of an image and wanted size between which the border is only repeated, and the
number of pixels that are added on each side."""

_SHARE = 2  # sides of a window that has a border, in those of the hole
_FINER = 1.3  # ratio of neighbouring scales that are tried
_SCALES = 5  # scales that are tried, at most

Boxes = Int[np.ndarray, "count 4"]
"""Top, left, bottom and right of boxes; the last two lie outside of them."""


class Window(NamedTuple):
    """A rectangle of an image, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> Size:
        """Return the height and width."""
        return Size(self.height, self.width)

    @property
    def at(self) -> tuple[slice, slice]:
        """Return the slices of rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


class HoleWindow(NamedTuple):
    """A window that is laid over one hole, or over several that lie close together."""

    window: Window
    missing: Bool[np.ndarray, "height width"]
    """Whether each pixel of the window is missing and belongs to these holes."""


def whole(image: Size) -> Window:
    """Return the window of a whole image."""
    return Window(0, 0, *image)


def centre(image: Size, shape: Size, crop: int = 0) -> Window:
    """Return the central window of an image.

    Args:
        image: Size of the image.
        shape: Size that gives the window's shape.
        crop: Longer side of the window, in pixels; 0 = the largest that there is.

    Raises:
        ValueError: If the image is smaller than the crop.
    """
    scale = crop / max(shape) if crop else _largest(image, shape)
    size = _scaled(shape, scale)
    if not _fits(size, image):
        raise ValueError(
            f"{image.width}x{image.height} is smaller than the crop of {crop}: lower "
            "data.crop"
        )
    top, left = (image.height - size.height) // 2, (image.width - size.width) // 2
    return Window(top, left, *size)


def over_holes(
    known: Bool[np.ndarray, "height width"], shape: Size
) -> list[HoleWindow]:
    """Return windows that together hold every missing pixel of an image.

    Each is the smallest over its holes that also holds a border of known pixels, half
    as wide as the holes on every side, or that is as large as `shape`, as far as the
    image has room. Holes that lie in the border of others share a window with them
    where one can hold them all. Every missing pixel belongs to one window.

    Args:
        known: Whether each pixel is known; some are missing.
        shape: Size that gives the windows' shape.

    Raises:
        ValueError: If a hole is larger than the largest window of the image.
    """
    from scipy import ndimage

    image = Size(*known.shape)
    # Of a large photograph only the part with holes is searched for them.
    rows, columns = (np.flatnonzero(~known.all(axis=axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels = np.zeros(image, np.int32)
    labels[part], _ = ndimage.label(~known[part], np.ones((3, 3), bool))
    boxes = np.array(
        [[*(at.start for at in place), *(at.stop for at in place)]
         for place in ndimage.find_objects(labels[part])]
    ) + [rows[0], columns[0]] * 2  # fmt: skip
    sides = (boxes[:, 2:] - boxes[:, :2]) / np.array(shape)
    waiting = np.ones(len(boxes), bool)
    found: list[HoleWindow] = []
    while waiting.any():
        first = np.argmax(np.where(waiting, sides.max(axis=1), -1))
        group = np.arange(len(boxes)) == first
        window = _over(boxes[group], image, shape)
        while True:
            near = group | waiting & _touch(boxes, window)
            if not _fits(_size(boxes[near]), _scaled(shape, _largest(image, shape))):
                near = group | waiting & _inside(boxes, window)
            if (near == group).all():
                break
            group, window = near, _over(boxes[near], image, shape)
        waiting &= ~group
        numbers = np.flatnonzero(np.concatenate([[False], group]))
        alone = len(numbers) == len(boxes)
        missing = ~known[window.at] if alone else np.isin(labels[window.at], numbers)
        found.append(HoleWindow(window, missing))
    return found


def alternatives(hole: HoleWindow, image: Size, shape: Size) -> list[Window]:
    """Return windows at other scales and places that hold the same missing pixels.

    The first is the window itself, which has the smallest scale: fewer known pixels
    would be explained too easily to be compared. At each scale up to the largest
    possible the holes lie at the far ends and in the middle of the window, as far as
    the image has room.
    """
    rows, columns = (np.flatnonzero(hole.missing.any(axis=axis)) for axis in (1, 0))
    top, left = hole.window.top + rows[0], hole.window.left + columns[0]
    bottom, right = hole.window.top + rows[-1] + 1, hole.window.left + columns[-1] + 1
    most = _largest(image, shape)
    least = min(most, _largest(hole.window.size, shape))
    steps = min(_SCALES, 1 + max(0, math.ceil(math.log(most / least, _FINER))))
    found = {hole.window: None}
    for scale in np.geomspace(least, most, steps):
        size = _scaled(shape, float(scale))
        if not _fits(Size(int(bottom - top), int(right - left)), size):
            continue  # by rounding, where the hole has no border
        for first in _starts(int(top), int(bottom), size.height, image.height):
            for other in _starts(int(left), int(right), size.width, image.width):
                found[Window(first, other, *size)] = None
    return list(found)


def _starts(first: int, end: int, side: int, room: int) -> Iterator[int]:
    """Yield starts of an interval of a side that holds another, inside of the room."""
    least, most = max(0, end - side), min(first, room - side)
    yield from dict.fromkeys((least, (least + most) // 2, most))


def _scaled(shape: Size, scale: float) -> Size:
    return Size(*(max(1, round(scale * side)) for side in shape))


def _fits(size: Size, into: Size) -> bool:
    return size.height <= into.height and size.width <= into.width


def _largest(image: Size, shape: Size) -> float:
    """Return the largest scale of a window in an image."""
    return min(image.height / shape.height, image.width / shape.width)


def _size(boxes: Boxes) -> Size:
    """Return the size of the smallest box that holds some boxes."""
    return Size(*(boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)).tolist())


def _tight(boxes: Boxes, shape: Size) -> float:
    """Return the scale of the smallest window that holds boxes."""
    size = _size(boxes)
    return max(size.height / shape.height, size.width / shape.width)


def _over(boxes: Boxes, image: Size, shape: Size) -> Window:
    """Return the window over some boxes, with a border where there is room."""
    largest, hole = _largest(image, shape), _size(boxes)
    size = _scaled(shape, min(largest, max(1.0, _SHARE * _tight(boxes, shape))))
    if not _fits(hole, size):
        raise ValueError(
            f"a hole extends over {hole} pixels (height x width), and the largest "
            f"window in the prior's shape is {size} of {image}: give an image that "
            "shows more around it, or a prior of another data.size"
        )
    starts = []
    for first, side, holes, room in zip(
        boxes[:, :2].min(axis=0).tolist(), size, hole, image, strict=True
    ):
        starts.append(min(max(0, first - (side - holes) // 2), room - side))
    return Window(starts[0], starts[1], *size)


def _touch(boxes: Boxes, window: Window) -> Bool[np.ndarray, " count"]:
    """Return which boxes share a pixel with a window."""
    top, left, bottom, right = boxes.T
    touch: np.ndarray = (top < window.top + window.height) & (bottom > window.top)
    touch &= (left < window.left + window.width) & (right > window.left)
    return touch


def _inside(boxes: Boxes, window: Window) -> Bool[np.ndarray, " count"]:
    """Return which boxes lie in a window."""
    top, left, bottom, right = boxes.T
    inside: np.ndarray = (top >= window.top) & (bottom <= window.top + window.height)
    inside &= (left >= window.left) & (right <= window.left + window.width)
    return inside


def is_padded(part: Size, wanted: Size) -> bool:
    """Return whether a part of an image gets its wanted size by padding."""
    return {*zip(part, wanted, strict=True)} == {PADDED_SIZES}


def enlarge_mask(
    mask: Bool[np.ndarray, "height width"], size: Size
) -> Bool[np.ndarray, "new_height new_width"]:
    """Return, for pixels of a window of a size, the mask of the pixel they lie in."""
    if is_padded(size, Size(*mask.shape)):
        return mask[PADDING:-PADDING, PADDING:-PADDING]
    rows, columns = map(_cells, size, mask.shape)
    return mask[rows][:, columns]


def reduce_mask(
    mask: Bool[np.ndarray, "height width"], size: Size
) -> Bool[np.ndarray, "new_height new_width"]:
    """Return a window's mask at another size: where all pixels that fall in one hold.

    A pixel falls into the one that its centre lies in.
    """
    if is_padded(Size(*mask.shape), size):
        return np.pad(mask, PADDING, mode="edge")
    for axis, side in enumerate(size):
        given = mask.shape[axis]
        if given < side:
            mask = mask.take(_cells(side, given), axis)
        elif given > side:
            first = np.searchsorted(_cells(given, side), np.arange(side))
            mask = np.logical_and.reduceat(mask, first, axis)
    return mask


def reduce_window(window: Window, image: Size, size: Size) -> Window:
    """Return the window of an image at another size that holds a window's pixels.

    Args:
        window: The window.
        image: Size of its image.
        size: The other size of the image, which is not larger.
    """
    rows, columns = map(_cells, image, size)
    top, left = int(rows[window.top]), int(columns[window.left])
    bottom = int(rows[window.top + window.height - 1]) + 1
    right = int(columns[window.left + window.width - 1]) + 1
    return Window(top, left, bottom - top, right - left)


def _cells(side: int, size: int) -> Int[np.ndarray, " side"]:
    """Return the index of the pixel, of `size`, that holds each of `side` centres."""
    return ((np.arange(side) + 0.5) * size / side).astype(int)
