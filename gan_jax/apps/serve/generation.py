"""Realisations under what is drawn: the model of a run of the task pixels or wells."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8

from gan_jax.apps.generate.agreement import agreement, known_cells
from gan_jax.apps.generate.prior import Source, open_source
from gan_jax.apps.generate.realisations import Native, native_values, set_key
from gan_jax.apps.generate.statistics import statistics
from gan_jax.apps.serve.messages import Message
from gan_jax.apps.serve.model import Model, Session, described
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.points import KnownGrid, known_grid, placed
from gan_jax.data.grids.units import Units
from gan_jax.data.memory import UnreadableFileError
from gan_jax.report import files
from gan_jax.report.grids import tile, to_uint8
from gan_jax.search.realisations import places

COUNT = 16
"""Realisations of what is drawn."""

NAME = "known"
"""Name of the set of known values. `generate` makes the same realisations of a file
`known.csv` under the same seed."""

_SEEDS = 8  # whose latents are kept


class Drawn(NamedTuple):
    """What was drawn last, for `save`."""

    known: KnownGrid
    native: Native


class Generation:
    """The realisations of one run, compiled once."""

    def __init__(self, name: str, source: Source):
        """Prepare the realisations of a run; nothing is compiled yet.

        Args:
            name: Name of the run on the page.
            source: The run.
        """
        self._name, self._source = name, source
        self._size = source.trained_size
        self._realiser = source.realiser(self._size)
        self._latents = functools.lru_cache(_SEEDS)(self._draw_latents)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return *self._size, self._source.channels

    def _draw_latents(self, seed: int) -> list[tuple[PyTree[Array], slice]]:
        """Return the latents of a seed, in chunks, and which of each chunk count."""
        key = set_key(seed, NAME)
        chunk = self._realiser.chunk
        return [
            (self._realiser.latents(key, start), at)
            for start, at in places(0, COUNT, chunk)
        ]

    def realisations(self, known: KnownGrid, seed: int) -> Native:
        """Return realisations under known values, in native units."""
        condition = self._source.scaled(known)
        scaled = [
            np.asarray(self._realiser.images(latents, condition))[at]
            for latents, at in self._latents(seed)
        ]
        return native_values(np.concatenate(scaled), self._source.units)

    def draw(self, session: Session, request: Message) -> Iterator[Message]:
        """Yield the realisations under what is drawn, and how they agree with it."""
        known = self._known(request)
        native = self.realisations(known, _seed(request))
        session.results[self._name] = Drawn(known, native)
        yield Message("realisations", request.request, *self._shown(known, native))

    def _known(self, request: Message) -> KnownGrid:
        """Return the known values of a request, checked.

        Raises:
            InputError: They are none of this run's.
        """
        values, mask = map(request.arrays.get, ("values", "mask"))
        if values is None or values.shape != self.shape:
            raise InputError(f"what is drawn has no values of the size {self._size}")
        if mask is None or mask.shape != self._size:
            raise InputError(f"what is drawn has no mask of the size {self._size}")
        known = mask != 0
        if not known.any():
            return unknown(self.shape)
        try:
            content = known_grid(_decimals(values, known), known)
            source, geometry = self._source, Geometry(*self._size)
            return placed(content, geometry, source.channels, source.units, "refuse")
        except UnreadableFileError as error:
            raise InputError(f"what is drawn: {error}") from None

    def _shown(
        self, known: KnownGrid, native: Native
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the entries and the arrays of realisations, as the page shows them."""
        units = self._source.units
        cells = known_cells(known, units)
        found = statistics(
            [(slice(None), native.reshape(COUNT, -1))], self.shape, units
        )
        missed = np.zeros((COUNT, *self._size), np.uint8)
        missed[:, cells.mask] = ~cells.honoured(cells.of(native))
        largest = float(found.spread.max())
        entries = {
            "honoured": agreement(cells, native).share,
            "spread_largest": largest,
        }
        spread = np.rint(255 * found.spread / (largest or 1)).astype(np.uint8)
        arrays = {
            "images": levels(native, units),
            "mean": levels(found.mean, units),
            "spread": spread,
            "missed": missed,
        }
        return entries, arrays

    def plate(self) -> bytes:
        """Return a picture of realisations without known values (PNG)."""
        native = self.realisations(unknown(self.shape), 0)
        return plate(native, self._source.units)


def unknown(shape: tuple[int, int, int]) -> KnownGrid:
    """Return the grid of a shape in which nothing is known."""
    nothing = np.zeros(shape[:2], bool)
    return KnownGrid(np.zeros(shape), nothing, np.full(shape[:2], np.nan))


def levels(
    native: Float[np.ndarray, "*shape"], units: Units
) -> UInt8[np.ndarray, "*shape"]:
    """Return native values as levels; codes of facies are equally far apart."""
    return to_uint8(units.scaled(native))


def plate(native: Native, units: Units) -> bytes:
    """Return realisations in four rows (PNG)."""
    images = levels(native, units)
    return files.encode_png(tile(images.reshape(4, -1, *images.shape[1:])))


def _decimals(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return values as the shortest decimals that stand for them, where known.

    0.1 in single precision is 0.1, and not 0.10000000149, as it is saved.
    """
    decimals = np.zeros(values.shape)
    decimals[known] = [
        [float(str(value)) for value in cell] for cell in values[known].astype("f4")
    ]
    return decimals


def _seed(request: Message) -> int:
    """Return the seed of a request.

    Raises:
        InputError: It is none.
    """
    seed = request.entries.get("seed")
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise InputError("the request has no seed, a whole number from 0 to 2^31 - 1")
    return seed


def open_generation(path: str, name: str) -> Model:
    """Open a run of the task pixels or wells, or a packaged prior of it.

    Args:
        path: Workdir of the run, or the name of the packaged prior.
        name: Its name on the page.

    Raises:
        InputError: There is no such run, or it cannot generate under known values.
    """
    config = defaults.realisation("generate")
    with config.unlocked():
        config.prior = path
    source = open_source(config)
    generation = Generation(name, source)
    height, width, channels = generation.shape
    units = source.units
    entries = {
        **described(source.prior.config, source.prior.data_name, source.prior.summary),
        "size": [height, width],
        "channels": channels,
        "units": {
            "low": units.low,
            "high": units.high,
            "whole": units.whole,
            "codes": [*units.codes],
            "name": source.variable,
        },
        "conditional": source.prior.task.conditional,
    }
    answers = {"draw": generation.draw}
    # The plate compiles all that there is to compile.
    return Model("generation", entries, generation.plate(), answers, lambda: None)
