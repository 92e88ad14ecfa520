"""Photographs that a page opens: decoded, kept in memory, shown as previews."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from gan_jax.apps.inpaint.masked_images import MaskedImage, adapted, known_pixels
from gan_jax.apps.inpaint.placement import PlacedImage
from gan_jax.apps.serve import requests
from gan_jax.apps.serve.messages import Message
from gan_jax.apps.serve.model import Answer, Session
from gan_jax.config.errors import InputError, printable
from gan_jax.config.limits import Size
from gan_jax.data import windows
from gan_jax.data.decode import BrokenImageError, Image8, resize
from gan_jax.data.user_images import decode_alone
from gan_jax.runs.apply import TrainedLevels

SIDE = 768
"""Height and width of a preview, at most."""
PIXELS = 2**25
"""Pixels of the photographs that a page holds, at most, and so of each of them."""

_MOST = 8  # photographs that a page holds
_NAME = 80  # characters of a file's name that are kept

Missing = Bool[np.ndarray, "height width"]


class Photograph(NamedTuple):
    """A photograph that a page has opened."""

    name: str
    """Name of its file without the suffix; text of its user."""
    image: Image8
    missing: Missing
    """By its mask, or where it is transparent."""
    preview: UInt8[np.ndarray, "high wide channels"]
    """The photograph as it is shown: itself, or reduced."""
    missing_preview: Bool[np.ndarray, "high wide"]
    """The pixels of the preview in which one is missing."""
    run: str = ""
    """Name of the run that it was opened for, with the levels and channels of it."""
    number: int = 0
    """Its number on the page."""

    @property
    def size(self) -> Size:
        """Return its height and width."""
        return Size(*self.missing.shape)

    def missing_where(self, painted: Bool[np.ndarray, "high wide"]) -> Missing:
        """Return the missing pixels, given those that the user left in the preview.

        A pixel is missing where the pixel of the preview is in which its centre lies.
        Where that is as it was opened, so is the pixel.
        """
        changed = windows.enlarge_mask(painted != self.missing_preview, self.size)
        missing = windows.enlarge_mask(painted, self.size)
        return np.where(changed, missing, self.missing)

    def in_preview(self, placed: PlacedImage) -> PlacedImage:
        """Return its preview under the window that lies over a part of it."""
        size = Size(*self.missing_preview.shape)
        missing = np.zeros(self.size, bool)
        missing[placed.window.at] = placed.missing
        reduced = ~windows.reduce_mask(~missing, size)
        window = windows.reduce_window(placed.window, self.size, size)
        masked = MaskedImage(self.name, self.name, self.preview, ~reduced)
        return PlacedImage(masked, window, reduced[window.at], placed.place)


def preview_size(size: Size) -> Size:
    """Return the size at which an image of a size is shown."""
    scale = min(1.0, SIDE / max(size))
    return Size(*(max(1, round(scale * side)) for side in size))


def preview(image: Image8) -> UInt8[np.ndarray, "high wide channels"]:
    """Return an image as it is shown: itself, or reduced."""
    return resize(image, preview_size(Size(*image.shape[:2])))


def photograph(name: str, image: Image8, known: Missing | None = None) -> Photograph:
    """Return an image as a photograph; without `known` all its pixels are."""
    missing = np.zeros(image.shape[:2], bool) if known is None else ~known
    shown = preview(image)
    reduced = ~windows.reduce_mask(~missing, Size(*shown.shape[:2]))
    return Photograph(printable(name), image, missing, shown, reduced)


def opening(run: str, levels: TrainedLevels, channels: int | None = None) -> Answer:
    """Return the answer to `open`, for a run.

    Args:
        run: Name of the run.
        levels: How the levels of the images that the run was trained on became 8 bits.
        channels: Channels of the images that the run takes; None = any.
    """

    def opened_file(session: Session, message: Message) -> Iterator[Message]:
        named = requests.text(message, "name")
        opened = _opened(named, message, levels, channels)
        number = max(session.images, default=0) + 1
        session.images[number] = opened._replace(run=run, number=number)
        _forget(session)
        shown = {
            "preview": opened.preview,
            "missing": opened.missing_preview.astype(np.uint8),
        }
        entries = {
            "image": number,
            "name": named,
            "size": [*opened.size],
            "missing_share": float(opened.missing.mean()),
        }
        yield Message("opened", message.request, entries, shown)

    return Answer(opened_file)


def photograph_of(session: Session, message: Message, run: str) -> Photograph:
    """Return the photograph that a request names by its number.

    Raises:
        InputError: If the page holds no such photograph, or has opened it for another
            run.
    """
    found = session.images.get(requests.number(message, "image"))
    if not isinstance(found, Photograph):
        raise InputError("this photograph is no longer held: open it again")
    if found.run != run:
        raise InputError(
            f"this photograph was opened for the run {found.run}: open it again for "
            f"{run}"
        )
    return found


def _opened(
    named: str, message: Message, levels: TrainedLevels, channels: int | None
) -> Photograph:
    content = requests.array(message, "content", "uint8", None).tobytes()
    try:
        layers = decode_alone(content, levels.choice, levels.ranges, PIXELS)
        if channels is not None:
            layers = layers._replace(image=adapted(layers.image, channels))
        known = layers.opaque
        if "mask_content" in message.arrays:
            mask = requests.array(message, "mask_content", "uint8", None).tobytes()
            known = known_pixels(mask, layers)
    except BrokenImageError as error:
        raise InputError(f"{printable(named)[:_NAME]}: {error}") from None
    return photograph(PurePath(named).stem, layers.image, known)


def _forget(session: Session) -> None:
    """Drop the oldest photographs of a page where there are too many."""
    numbers = sorted(session.images, reverse=True)
    sizes = np.cumsum([session.images[number].size.pixels for number in numbers])
    for number in numbers[max(1, min(_MOST, int((sizes <= PIXELS).sum()))) :]:
        del session.images[number]
