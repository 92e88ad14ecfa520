"""Colorization behind the page: a photograph in colour, and hints that it follows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.apps.colorize.colorizer import Colorizer, in_strips
from gan_jax.apps.colorize.hints import NO_HINTS, Hints
from gan_jax.apps.serve import requests
from gan_jax.apps.serve.messages import Message, file
from gan_jax.apps.serve.model import (
    Answer,
    Model,
    Session,
    described,
    of_image,
)
from gan_jax.apps.serve.models.photographs import Photograph, opening, photograph_of
from gan_jax.apps.serve.models.plates import kept_plate
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data.decode import AT_WORK
from gan_jax.data.user_images import Image8
from gan_jax.report.files import encode_png, short_name
from gan_jax.runs.apply import trained_levels
from gan_jax.runs.prior import Prior, open_colorizer
from gan_jax.tasks.hints import takes_hints

HINTS = 1000
"""Hints of a photograph, at most."""


class Colorized(NamedTuple):
    """What was colorized last, for `save`."""

    photograph: Photograph
    hints: Hints
    """In pixels of the preview."""


def open_colorization(path: str, name: str) -> Model:
    """Open a run of `colorize`.

    Args:
        path: Workdir of the run.
        name: Its name on the page.

    Raises:
        InputError: There is no such run, or it colorizes an image in many ways.
    """
    prior = open_colorizer(path, FIRST_COMMANDS["colorize"])
    colorization = Colorization(name, prior)
    colorization.compile()
    return colorization.model()


class Colorization:
    """A colorizer as the answers to requests of the page."""

    def __init__(self, name: str, prior: Prior):
        """Prepare the colorizer; nothing is compiled yet."""
        self._name, self._prior = name, prior
        self._colorizer = Colorizer(prior)

    def model(self) -> Model:
        """Return the run as the page takes it."""
        prior = self._prior
        entries = {
            **described(prior.config, prior.data_name, prior.summary),
            "size": [*size_of(prior.config.data.size)],
            "channels": 3,
            "hints": takes_hints(prior.task),
        }
        levels = trained_levels(prior.config, prior.summary)
        answers: dict[str, Answer] = {
            "open": opening(self._name, levels),
            "colorize": Answer(self.colorize, of_image),
            "save": Answer(self.save),
        }
        return Model("colorization", entries, kept_plate(prior.workdir), answers)

    def compile(self) -> None:
        """Colorize a small grey image; larger ones pass the same programs."""
        self._colorized(np.full((8, 8, 1), 128, np.uint8), NO_HINTS)

    def colorize(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield the preview of a photograph in colour, under hints."""
        opened = photograph_of(session, message, self._name)
        hints = requests.array(message, "hints", "float32", None, 5)
        if len(hints) > HINTS:
            raise InputError(f"{len(hints)} hints: give {HINTS} at most")
        image = self._colorized(opened.preview, hints)
        session.results[self._name] = Colorized(opened, hints)
        yield Message("colorized", message.request, {}, {"image": image})

    def save(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield a photograph in colour, at its own size."""
        found = session.results.get(self._name)
        if not isinstance(found, Colorized):
            raise InputError("nothing has been colorized yet: open a photograph first")
        if requests.image(message) not in (None, found.photograph.number):
            raise InputError("another photograph was colorized since: open it again")
        what = requests.text(message, "what"), requests.text(message, "form")
        if what != ("colorized", "png"):
            raise InputError("save a photograph in colour as colorized (png)")
        opened, hints = found
        scale = np.array(opened.size[::-1]) / np.array(opened.preview.shape[1::-1])
        # The middle of a pixel of the preview is that of the pixels that it shows.
        places = (hints[:, :2] + 0.5) * scale - 0.5
        whole = np.concatenate([places, hints[:, 2:]], axis=1).astype(np.float32)
        image = self._colorized(opened.image, whole)
        name = f"{short_name(opened.name)}_colorized.png"
        yield file(message, name, "image/png", encode_png(image))

    def _colorized(
        self, image: Image8, hints: Hints
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Return an image in colour.

        Raises:
            InputError: If hints lie outside of it, are no colours, or cannot be taken.
        """
        height, width, _ = image.shape
        colorized = np.empty((height, width, 3), np.uint8)
        with AT_WORK.holding(height * width):
            paint = self._colorizer(image, hints)

            def fill(columns: slice) -> None:
                colorized[:, columns] = paint(columns).image

            in_strips(fill, height, width)
        return colorized
