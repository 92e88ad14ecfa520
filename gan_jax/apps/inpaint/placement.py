"""Placement: how an image is laid under a prior, and what the prior sees of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from gan_jax.apps.inpaint.masked_images import Image8, Known, MaskedImage, digest
from gan_jax.config.limits import Size
from gan_jax.config.names import look_up
from gan_jax.data import windows
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.decode import AT_WORK, BrokenImageError, resize, to_float_numpy
from gan_jax.data.windows import Window
from gan_jax.runs.prior import Prior

_ROWS = 256  # of an image that is filled at once


class PlacedImage(NamedTuple):
    """A masked image with the window that a prior is laid over.

    An image with holes that lie far apart has several windows.
    """

    masked: MaskedImage
    window: Window
    missing: Bool[np.ndarray, "height width"]
    """Whether each pixel of the window is missing and is completed from it."""
    place: str = ""
    """How the window was chosen, one of `PLACES`; empty for images of a prior's data,
    of which it sees the whole."""


class Placement(NamedTuple):
    """How images are laid under a prior."""

    place: str
    """One of `PLACES`."""
    size: Size
    """Size at which the prior's images are observed."""
    crop: int
    """`data.crop` of the prior's run."""
    trained_on: frozenset[Size]
    """Sizes that the training images had before they were cropped."""

    def hole_window(self, image: Size) -> Window:
        """Return the part of an image into which a hole by name is cut.

        Raises:
            BrokenImageError: If the image is smaller than the training images' crop.
        """
        if self.place == "trained" or (self.place == "auto" and self.knows(image)):
            return self.trained(image)
        return windows.centre(image, self.size)

    def knows(self, image: Size) -> bool:
        """Return whether training images had the size of an image."""
        return image in self.trained_on and max(image) >= self.crop

    def trained(self, image: Size) -> Window:
        """Return the part of an image that the prior's training images were cropped to.

        Raises:
            BrokenImageError: If the image is smaller than the crop.
        """
        try:
            return windows.centre(image, self.size, self.crop)
        except ValueError as error:
            raise BrokenImageError(str(error)) from None

    def lay(self, masked: MaskedImage) -> list[PlacedImage]:
        """Return an image under windows that hold all its missing pixels.

        Raises:
            BrokenImageError: If they do not fit into such windows, or nothing is known
                in one.
        """
        choose = look_up(_CHOICES, "place", self.place)
        placed: list[PlacedImage] = choose(self, masked)
        for each in placed:
            if not masked.known[each.window.at].any():
                raise BrokenImageError(
                    f"nothing is known of the window of {each.window.size} (height x "
                    "width) that the prior sees"
                )
        return placed


def _trained(placement: Placement, masked: MaskedImage) -> list[PlacedImage]:
    window = placement.trained(Size(*masked.known.shape))
    return [_under(masked, window, "trained")]


def _square(placement: Placement, masked: MaskedImage) -> list[PlacedImage]:
    window = windows.centre(Size(*masked.known.shape), placement.size)
    return [_under(masked, window, "square")]


def _over_holes(placement: Placement, masked: MaskedImage) -> list[PlacedImage]:
    with AT_WORK.holding(masked.known.size):
        try:
            found = windows.over_holes(masked.known, placement.size)
        except ValueError as error:
            raise BrokenImageError(str(error)) from None
    return [PlacedImage(masked, *each, place="hole") for each in found]


def _automatic(placement: Placement, masked: MaskedImage) -> list[PlacedImage]:
    image = Size(*masked.known.shape)
    if placement.knows(image):
        window = placement.trained(image)
        if _holds_holes(window, masked.known):
            return [_under(masked, window, "trained")]
    return _over_holes(placement, masked)


_CHOICES: Mapping[str, Callable[[Placement, MaskedImage], list[PlacedImage]]] = {
    "auto": _automatic,
    "trained": _trained,
    "hole": _over_holes,
    "square": _square,
    "search": _over_holes,  # the first of the windows that are tried
}

PLACES = (*_CHOICES,)
"""Values of `place` in configs."""


def _under(masked: MaskedImage, window: Window, place: str) -> PlacedImage:
    """Return an image under one window; refuse one whose holes lie outside of it."""
    if not _holds_holes(window, masked.known):
        outside = (~masked.known).sum() - (~masked.known[window.at]).sum()
        raise BrokenImageError(
            f"{outside} missing pixels lie outside the central window of {window.size} "
            f"(height x width) that the prior sees with --config.place={place}: give "
            "--config.place=hole, or crop it"
        )
    return PlacedImage(masked, window, ~masked.known[window.at], place)


def _holds_holes(window: Window, known: Known) -> bool:
    inside = known[window.at]
    return bool(known.size - known.sum() == inside.size - inside.sum())


def lay_all(
    placement: Placement, images: Sequence[MaskedImage]
) -> tuple[list[PlacedImage], list[Skipped]]:
    """Return images under their windows, and those that cannot be laid under any."""
    placed: list[PlacedImage] = []
    skipped: list[Skipped] = []
    for masked in images:
        try:
            placed += placement.lay(masked)
        except BrokenImageError as error:
            skipped.append(Skipped(masked.source, str(error)))
    return placed, skipped


def lay_whole(images: Sequence[MaskedImage]) -> list[PlacedImage]:
    """Return images that have a prior's size, each under one window."""
    return [
        PlacedImage(masked, windows.whole(Size(*masked.known.shape)), ~masked.known)
        for masked in images
    ]


def training_sizes(prior: Prior) -> frozenset[Size]:
    """Return the sizes of a prior's training images as stored, if they are known."""
    read = (prior.summary.get("dataset") or {}).get("read") or {}
    sides = (shape.split("x") for shape in read.get("shapes") or ())
    return frozenset(
        Size(int(shape[0]), int(shape[1])) for shape in sides if len(shape) == 3
    )


def windows_of_each(images: Sequence[PlacedImage]) -> list[list[int]]:
    """Return the numbers of each image's windows, which follow each other."""
    groups: dict[str, list[int]] = {}
    for number, placed in enumerate(images):
        groups.setdefault(placed.masked.source, []).append(number)
    return list(groups.values())


def masked_of(images: Sequence[PlacedImage]) -> list[MaskedImage]:
    """Return the images that lie under windows, each once."""
    return [images[numbers[0]].masked for numbers in windows_of_each(images)]


def placed_digest(images: Sequence[PlacedImage]) -> str:
    """Return a text that identifies images, their masks, and their windows."""
    chosen = "".join(f"{tuple(each.window)}" for each in images if each.place)
    return digest(masked_of(images)) + chosen


class Observed(NamedTuple):
    """The window of an image that a prior sees, at the prior's size."""

    image: Float[np.ndarray, "height width channels"]
    """In [-1, 1]; missing pixels do not affect it."""
    mask: Float[np.ndarray, "height width 1"]
    """1 where every source pixel whose centre falls in this pixel is known."""
    truth: Float[np.ndarray, "height width channels"]
    """In [-1, 1], with the file's pixels in its holes."""


def reduced(placed: PlacedImage, size: Size) -> Observed:
    """Return the window of an image that a prior sees, at the prior's size."""
    at = placed.window.at
    image, known = placed.masked.image[at], placed.masked.known[at]
    with AT_WORK.holding(known.size):
        filled = image
        if placed.window.size != size and known.any():
            filled = _filled(image, known)
        mask = windows.reduce_mask(known, size)[..., None]
        return Observed(
            to_float_numpy(resize(filled, size)),
            mask.astype(np.float32),
            to_float_numpy(resize(image, size)),
        )


def _filled(image: Image8, known: Known) -> Image8:
    """Return an image whose missing pixels are replaced by the nearest known ones.

    So they do not affect their neighbours where sizes change.
    """
    rows, columns = ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    filled = np.empty_like(image)
    for top in range(0, len(image), _ROWS):  # indexing copies the indices, as int64
        at = slice(top, top + _ROWS)
        filled[at] = image[rows[at], columns[at]]
    return filled
