"""Generation behind the page: realisations under what is drawn."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.generate.agreement import agreement, known_cells
from gan_jax.apps.generate.prior import Source, open_source
from gan_jax.apps.generate.realisations import Native, native_values, set_key
from gan_jax.apps.generate.sets import known_values
from gan_jax.apps.generate.statistics import statistics
from gan_jax.apps.serve import requests
from gan_jax.apps.serve.messages import Message, file
from gan_jax.apps.serve.model import (
    Answer,
    Model,
    Session,
    described,
    of_image,
)
from gan_jax.apps.serve.models.drawings import NAME, Drawing, levels
from gan_jax.apps.serve.models.plates import SAMPLES, plate_of
from gan_jax.config import defaults
from gan_jax.config.errors import InputError, printable
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.points import KnownGrid, known_grid, placed
from gan_jax.data.memory import UnreadableFileError
from gan_jax.search.realisations import places

COUNT = SAMPLES
"""Realisations of what is drawn."""

_SEEDS = 8  # whose latents are kept
_GIB = 0.5  # of memory that a file of known values may take
_CELL = 128  # bytes of a file of known values for each cell of an image
_BESIDE = 2**18  # bytes of it for all the rest, such as the profile of an image
_NAME = 80  # characters of a file's name that a message has


def open_generation(path: str, name: str) -> Model:
    """Open a run under known pixels or wells, or a packaged prior of it.

    Args:
        path: Workdir of the run, or the name of the packaged prior.
        name: Its name on the page.

    Raises:
        InputError: There is no such run, or it makes no images under known values.
    """
    config = defaults.realisation("generate")
    config.prior = path
    source = open_source(config)
    config.size, config.memory = str(source.trained_size), _GIB
    return Generation(name, config, source).model()


class Generation:
    """A run as the answers to requests about realisations.

    The realisations are those of `generate` for a file `known.csv` of what is drawn,
    under the same seed.
    """

    def __init__(self, name: str, config: ConfigDict, source: Source):
        """Prepare the realisations; nothing is compiled yet.

        Args:
            name: Name of the run on the page.
            config: Config of the program `generate`, for files of known values.
            source: The run.
        """
        self._name, self._config, self._source = name, config, source
        self.size = source.trained_size
        self._realiser = source.realiser(self.size)
        self._latents = functools.lru_cache(_SEEDS)(self._draw_latents)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return *self.size, self._source.channels

    def model(self) -> Model:
        """Return the run as the page takes it, compiled."""
        prior, units = self._source.prior, self._source.units
        entries = {
            **described(prior.config, prior.data_name, prior.summary),
            "size": [*self.size],
            "channels": self._source.channels,
            "units": {
                "low": units.low,
                "high": units.high,
                "whole": units.whole,
                "codes": [*units.codes],
                "name": self._source.variable,
            },
            "conditional": prior.task.conditional,
        }
        answers: dict[str, Answer] = {
            "draw": Answer(self.draw, of_image),
            "read": Answer(self.read),
            "save": Answer(self.save),
        }
        # The samples of the plate compile all that there is.
        samples = self.realisations(unknown(self.shape), seed=0)
        return Model("generation", entries, plate_of(levels(samples, units)), answers)

    def realisations(self, known: KnownGrid, seed: int) -> Native:
        """Return realisations under known values, in native units."""
        condition = self._source.scaled(known)
        scaled = [
            np.asarray(self._realiser.images(latents, condition))[at]
            for latents, at in self._latents(seed)
        ]
        return native_values(np.concatenate(scaled), self._source.units)

    def _draw_latents(self, seed: int) -> list[tuple[PyTree[Array], slice]]:
        """Return the latents of a seed, in chunks, and which of each chunk count."""
        key, chunk = set_key(seed, NAME), self._realiser.chunk
        return [
            (self._realiser.latents(key, start), at)
            for start, at in places(0, COUNT, chunk)
        ]

    def draw(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield the realisations under what is drawn, and how they agree with it."""
        seed = requests.number(message, "seed", most=2**31 - 1)
        known = self._known(message)
        drawing = Drawing(known, self.realisations(known, seed), self._source.units)
        session.results[self._name] = drawing
        yield Message("realisations", message.request, *self._shown(drawing))

    def _known(self, message: Message) -> KnownGrid:
        """Return what is drawn, as the known values of this run's images.

        Raises:
            InputError: A value is none of the run's data.
        """
        values = requests.array(message, "values", "float32", *self.shape)
        known = requests.array(message, "mask", "uint8", *self.size) > 0
        if not known.any():
            return unknown(self.shape)
        geometry, source = Geometry(*self.size), self._source
        try:
            given = known_grid(_decimals(values, known), known)
            return placed(
                given, geometry, source.channels, source.units, self._config.snap
            )
        except UnreadableFileError as error:
            raise InputError(f"what is drawn: {error}") from None

    def _shown(self, drawing: Drawing) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the entries and the arrays that show realisations."""
        known, native, units = drawing
        cells = known_cells(known, units)
        missed = np.zeros((len(native), *self.size), np.uint8)
        missed[:, cells.mask] = ~cells.honoured(cells.of(native))
        blocks = [(slice(None), native.reshape(len(native), -1))]
        found = statistics(blocks, self.shape, units)
        largest = float(found.spread.max())
        entries = {
            "honoured": agreement(cells, native).share,
            "spread_largest": largest,
        }
        arrays = {
            "images": levels(native, units),
            "mean": levels(found.mean, units),
            "spread": np.rint(255 * found.spread / (largest or 1)).astype(np.uint8),
            "missed": missed,
        }
        return entries, arrays

    def read(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield the known values that a file holds, as `generate` reads it."""
        name = printable(requests.text(message, "name"))[:_NAME]
        content = self._content(message, "content", name)
        mask = None
        if "mask_content" in message.arrays:
            mask = self._content(message, "mask_content", name)
        known, *_ = known_values(content, mask, self._config, self._source, name)
        arrays: dict[str, np.ndarray] = {
            "values": known.values.astype(np.float32),
            "mask": known.mask.astype(np.uint8),
        }
        yield Message("known", message.request, {}, arrays)

    def _content(self, message: Message, array: str, name: str) -> bytes:
        """Return the content of a file of known values.

        Raises:
            InputError: It is so long that other pages would wait while it is read.
        """
        content = requests.array(message, array, "uint8", None)
        height, width = self.size
        most = _CELL * height * width + _BESIDE
        if content.size > most:
            raise InputError(
                f"{name} has a file of {content.size:,} bytes, and {most:,} hold the "
                f"known values of an image of {height}x{width}: keep fewer of them"
            )
        return content.tobytes()

    def save(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield a file of the newest realisations, or of what was drawn."""
        drawing = session.results.get(self._name)
        if not isinstance(drawing, Drawing):
            raise InputError("nothing has been drawn yet: set a value first")
        match requests.text(message, "what"), requests.text(message, "form"):
            case "realisations", "npz":
                saved = "realisations.npz", "application/zip", drawing.archive()
            case "realisations", "png":
                saved = "realisations.png", "image/png", drawing.plate()
            case "known", "csv":
                saved = f"{NAME}.csv", "text/csv", drawing.table()
            case "known", "png":
                saved = f"{NAME}.png", "image/png", self._image(drawing)
            case "known", "mask":
                saved = f"{NAME}_mask.png", "image/png", drawing.mask()
            case _:
                raise InputError(
                    "save realisations (png, npz), or what is known (csv, png, mask)"
                )
        yield file(message, *saved)

    def _image(self, drawing: Drawing) -> bytes:
        """Return what was drawn as an image, of which its mask says what is known.

        Raises:
            InputError: `generate` would not read these values from an image.
        """
        image, mask = drawing.image(), drawing.mask()
        if image is not None and drawing.known.mask.any():
            read, *_ = known_values(image, mask, self._config, self._source, NAME)
            if (read.values == drawing.known.values).all():
                return image
        raise InputError(
            "no image holds these values as they are: save what is known as CSV"
        )


def unknown(shape: tuple[int, int, int]) -> KnownGrid:
    """Return the grid of a shape in which nothing is known."""
    nothing = np.zeros(shape[:2], bool)
    return KnownGrid(np.zeros(shape), nothing, np.full(shape[:2], np.nan))


def _decimals(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return known values as the shortest decimals that stand for them, others as 0.

    0.1 in single precision is 0.1, and not 0.10000000149.
    """
    decimals = np.zeros(values.shape)
    decimals[known] = [[*map(float, map(str, cell))] for cell in values[known]]
    return decimals
