"""The realisations of a set of known values: made, written and measured."""

import hashlib
import os
import threading
import time
import zlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Num, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.generate.agreement import (
    Agreement,
    KnownCells,
    agreement,
    known_cells,
)
from gan_jax.apps.generate.inversion import SLOTS, Inversion
from gan_jax.apps.generate.outputs import write_outputs
from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.apps.generate.sets import KnownSet, Outline
from gan_jax.apps.generate.storage import NAME, Store
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data.grids.units import Units
from gan_jax.search.realisations import Realiser, places

Native = Num[np.ndarray, "count height width channels"]
"""Images in native units."""

Scaled = Float[np.ndarray, "count height width channels"]
"""Images in [-1, 1]."""

FOLDER = "realisations"
_BATCH, _BYTES = 1024, 2**24  # images between two saves, and their bytes
_SECONDS = 10.0  # between two saves, at most
_LEVELS = 255


def dtype_of(units: Units, rounded: bool = True) -> np.dtype[Any]:
    """Return the type of native values: 8 bits for whole numbers from 0 to 255.

    Args:
        units: Their units.
        rounded: Whether they are rounded to what the data could hold.
    """
    whole = rounded and units.whole and units.low >= 0 and units.high <= _LEVELS
    return np.dtype(np.uint8 if whole else np.float32)


def stored_values(
    native: Float[np.ndarray, "*shape"], dtype: np.dtype[Any]
) -> Num[np.ndarray, "*shape"]:
    """Return native values with the type in which they are kept."""
    stored: Num[np.ndarray, "*shape"]
    stored = (np.rint(native) if dtype == np.uint8 else native).astype(dtype)
    return stored


def native_values(scaled: Scaled, units: Units, rounded: bool = True) -> Native:
    """Return images in [-1, 1] in native units, as realisations are kept.

    Args:
        scaled: The images.
        units: Their units.
        rounded: Whether they are rounded to what the data could hold.
    """
    native = units.native(scaled)
    dtype = dtype_of(units, rounded)
    return stored_values(units.rounded(native) if rounded else native, dtype)


class Made(NamedTuple):
    """How far the realisations of a set have come."""

    done: int
    """Number of realisations."""
    line: dict[str, Any] | None = None
    """The set's line of `results.jsonl`, once all is written."""


class Maker:
    """Makes the realisations of any number of sets; it compiles once for each size."""

    def __init__(self, config: ConfigDict, source: Source, workdir: Path):
        """Prepare; nothing is compiled or written yet."""
        self.config, self.source, self.workdir = config, source, workdir
        self.dtype = dtype_of(source.units, config.rounded)
        self._compiled: dict[Size, Realiser] = {}
        self._inversions: dict[Size, Inversion] = {}
        self._lock = threading.Lock()  # a batch job makes several sets at once

    def batch(self, size: Size) -> int:
        """Return after how many images of a size they are saved, whole chunks."""
        image = 4 * size.pixels * self.source.channels
        most = max(chunk_of(size), min(_BATCH, _BYTES // image))
        wanted: int = self.config.batch or most
        return wanted

    def _realiser(self, size: Size) -> Realiser:
        """Return the generator of images of a size, the same at every call."""
        with self._lock:
            if size not in self._compiled:
                self._compiled[size] = self.source.realiser(size)
            return self._compiled[size]

    def _inversion(self, size: Size) -> Inversion:
        """Return the search for images of a size, the same at every call."""
        with self._lock:
            if size not in self._inversions:
                self._inversions[size] = Inversion(self.source, size)
            return self._inversions[size]

    def store(self, outline: Outline) -> Store:
        """Return the store of a set's realisations."""
        folder, channels = self.workdir / FOLDER / outline.name, self.source.channels
        shape = (*outline.size, channels) if channels > 1 else outline.size
        return Store(folder, self._identity(outline), tuple(shape), self.dtype)

    def _identity(self, outline: Outline) -> str:
        """Return a hash of all that the images of a set depend on."""
        config = self.config
        text = (
            *(self.source.prior.digest, self.source.units),
            *(config.seed, config.exact, config.refine, config.rounded),
            *(outline.name, outline.digest),
        )
        return hashlib.sha256(repr(text).encode()).hexdigest()

    def check_count(self, outline: Outline) -> None:
        """Refuse a set of which there are other realisations, or more of them.

        Raises:
            InputError: The folder holds realisations under other known values or of
                another prior, or more than are asked for.
        """
        store, count = self.store(outline), self.config.count
        if store.others:
            raise InputError(
                f"{store.folder} holds {store.others} realisations under other known "
                "values or of another prior: choose another --workdir, or remove that "
                "folder"
            )
        if store.state.done > count:
            raise InputError(
                f"{store.folder} holds {store.state.done} realisations, and "
                f"--config.count={count} are fewer: give as many, or another --workdir"
            )

    def make(self, outline: Outline) -> Generator[Made]:
        """Make the realisations of a set, or those that are missing, and its files.

        Args:
            outline: The set, which is read where an image is missing.

        Yields:
            What is made, after every few images, and at last the line of the set. A
            caller that closes the generator earlier has all these images saved.

        Raises:
            InputError: As `check_count`, or the file cannot be read any more.
            OSError: The disk failed; the same call continues.
        """
        self.check_count(outline)
        store, count = self.store(outline), self.config.count
        if store.complete(count):
            store.discard()
            yield Made(count, store.state.line)
            return
        known = outline.read(self.config, self.source)
        store.begin()
        cells = known_cells(known.known, self.source.units)
        stages = {**store.state.stages}
        batch, saved = self.batch(known.size), time.monotonic()
        waiting: list[Native] = []

        def save() -> None:
            if waiting:
                images = np.concatenate(waiting).reshape(-1, *store.shape)
                store.append(images, stages)
                waiting.clear()

        yield Made(store.state.done)
        for made in self._chunks(known, cells, store.state.done):
            for name, images in made.items():
                before = stages.get(name, Agreement())
                stages[name] = before.plus(agreement(cells, images))
            waiting.append(made["written"])
            made_now = sum(map(len, waiting))
            done = store.state.done + made_now
            if made_now >= batch or done == count:
                save()
            elif time.monotonic() - saved > _SECONDS:
                save()
                saved = time.monotonic()
            try:
                yield Made(done)
            except GeneratorExit:
                save()
                raise
        line = {
            "input": known.source,
            "done": True,
            "set": known.name,
            "output": str((store.folder / NAME).relative_to(self.workdir)),
            "count": count,
            "height": known.size.height,
            "width": known.size.width,
            "known": int(known.known.mask.sum()),
            **_agreements(stages),
            **write_outputs(self.source, known, store, self.workdir),
        }
        store.finish(line)
        yield Made(count, line)

    def _chunks(
        self, known: KnownSet, cells: KnownCells, start: int
    ) -> Iterator[Mapping[str, Native]]:
        """Yield the images from one on, in native units, a part of a chunk at a time.

        They come by what was done to them: as `generated`, as `refined`, and as they
        are to be `written`. Latents are searched for a few images at a time, so that
        little is lost where the program is stopped.
        """
        realiser = self._realiser(known.size)
        condition = self.source.scaled(known.known)
        key = set_key(self.config.seed, known.name)
        refine = self.config.refine and cells.mask.any()
        for place, at in places(start, self.config.count, realiser.chunk):
            latents = realiser.latents(key, place)
            scaled = np.asarray(realiser.images(latents, condition))
            for some in _pieces(
                at, realiser.chunk, SLOTS if refine else realiser.chunk
            ):
                made = {"generated": self._native(scaled[some])}
                images = made["generated"]
                if refine:
                    improved = self._inversion(known.size).improved(
                        realiser, cells, condition, latents, scaled, some
                    )
                    made["refined"] = images = self._native(improved)
                if self.config.exact:
                    images = images.copy()
                    images[:, cells.mask] = stored_values(cells.values, self.dtype)
                yield {**made, "written": images}

    def _native(self, scaled: Scaled) -> Native:
        return native_values(scaled, self.source.units, self.config.rounded)


def _pieces(at: slice, length: int, most: int) -> Iterator[slice]:
    """Yield the parts of a slice of a chunk of some length."""
    start, stop, _ = at.indices(length)
    for first in range(start, stop, most):
        yield slice(first, min(first + most, stop))


def _agreements(stages: Mapping[str, Agreement]) -> dict[str, float | None]:
    """Return the entries of a line; those of earlier stages have their names."""
    written = stages["written"]
    line: dict[str, float | None] = {
        "honoured": written.share,
        "largest_miss": written.largest_miss if written.total else None,
    }
    for name, each in stages.items():
        if name != "written":
            line[f"honoured_{name}"] = each.share
            line[f"largest_miss_{name}"] = each.largest_miss if each.total else None
    return line


def set_key(seed: int, name: str) -> PRNGKeyArray:
    """Return the key of a set; it depends on the set's name, not on the other sets."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(os.fsencode(name)))
