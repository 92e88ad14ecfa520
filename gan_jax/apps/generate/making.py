"""The realisations of a set of known values: made, written and measured."""

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Num, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.generate.honouring import (
    Agreement,
    KnownCells,
    agreement,
    as_json,
    from_json,
    known_cells,
)
from gan_jax.apps.generate.outputs import write_outputs
from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.apps.generate.refine import Refiner
from gan_jax.apps.generate.sets import KnownSet
from gan_jax.apps.generate.storage import NAME, Store
from gan_jax.config.errors import InputError
from gan_jax.data.grids.units import Units
from gan_jax.search.realisations import Realiser

Native = Num[np.ndarray, "count height width channels"]
"""Images in native units."""

Scaled = Float[np.ndarray, "count height width channels"]
"""Images in [-1, 1]."""

FOLDER = "realisations"
_BATCH, _BYTES = 1024, 2**24  # images between two saves, and their bytes
_SECONDS = 10.0  # between two saves, at most
_LEVELS = 255


def dtype_of(units: Units) -> np.dtype[Any]:
    """Return the type of native values: 8 bits for whole numbers from 0 to 255."""
    whole = units.whole and units.low >= 0 and units.high <= _LEVELS
    return np.dtype(np.uint8 if whole else np.float32)


class Maker:
    """Makes the realisations of any number of sets; it compiles once for each size."""

    def __init__(self, config: ConfigDict, source: Source, workdir: Path):
        """Prepare; nothing is compiled or written yet."""
        self.config, self.source, self.workdir = config, source, workdir
        self.dtype = dtype_of(source.units)
        self._compiled: dict[tuple[int, int], Realiser] = {}
        self._refiners: dict[tuple[int, int], Refiner] = {}
        self._lock = threading.Lock()  # a batch job makes several sets at once

    def batch(self, size: tuple[int, int]) -> int:
        """Return how many images of a size are made between two saves, at most."""
        image = 4 * size[0] * size[1] * self.source.channels
        most = max(chunk_of(size), min(_BATCH, _BYTES // image))
        wanted: int = self.config.batch or most
        return wanted

    def _realiser(self, size: tuple[int, int]) -> Realiser:
        """Return the generator of images of a size, the same at every call."""
        with self._lock:
            if size not in self._compiled:
                self._compiled[size] = self.source.realiser(size)
            return self._compiled[size]

    def _refiner(self, size: tuple[int, int]) -> Refiner:
        """Return the search for images of a size, the same at every call."""
        with self._lock:
            if size not in self._refiners:
                self._refiners[size] = Refiner(self.source, size)
            return self._refiners[size]

    def store(self, known: KnownSet) -> Store:
        """Return the store of a set's realisations."""
        folder = self.workdir / FOLDER / known.name
        channels = self.source.channels
        shape = (*known.size, channels) if channels > 1 else known.size
        return Store(folder, self._identity(known), shape, self.dtype)

    def _identity(self, known: KnownSet) -> str:
        """Return a hash of all that the images of a set depend on."""
        config = self.config
        text = (
            self.source.prior.digest,
            known.name,
            *(config.seed, config.exact, config.refine),
            *(self.source.units, known.geometry, known.is_point_set),
        )
        sha256 = hashlib.sha256(repr(text).encode())
        for array in known.known:
            sha256.update(np.ascontiguousarray(array).data)
        return sha256.hexdigest()

    def make(
        self,
        known: KnownSet,
        advanced: Callable[[int], None] = lambda done: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Make the realisations of a set, or those that are missing, and its files.

        Args:
            known: The set.
            advanced: Called with the number of realisations after every save.
            stopping: Whether to save at once, so that `advanced` may raise.

        Returns:
            The set's line of `results.jsonl`.

        Raises:
            InputError: The folder holds more realisations than are asked for.
            OSError: The disk failed; the same call continues.
        """
        store, count = self.store(known), self.config.count
        if store.state.done > count:
            raise InputError(
                f"{store.folder} holds {store.state.done} realisations, and "
                f"--config.count={count} are fewer: give as many, or another --workdir"
            )
        if store.complete(count) and store.state.line is not None:
            advanced(count)
            return store.state.line
        store.begin()
        cells = known_cells(known.known, self.source.units)
        stages = from_json(store.state.tally)
        batch, saved = self.batch(known.size), time.monotonic()
        waiting: list[Native] = []
        advanced(store.state.done)
        for made in self._chunks(known, cells, store.state.done):
            for name, images in made.items():
                before = stages.get(name, Agreement())
                stages[name] = before.plus(agreement(cells, images))
            waiting.append(made["written"])
            made_now = sum(map(len, waiting))
            full = made_now >= min(batch, count - store.state.done)
            if full or stopping() or time.monotonic() - saved > _SECONDS:
                images = np.concatenate(waiting).reshape(-1, *store.shape)
                store.append(images, as_json(stages))
                waiting, saved = [], time.monotonic()
                advanced(store.state.done)
        line = {
            "input": known.source,
            "done": True,
            "set": known.name,
            "output": str((store.folder / NAME).relative_to(self.workdir)),
            "count": count,
            "height": known.size[0],
            "width": known.size[1],
            "known": int(known.known.mask.sum()),
            **_agreements(stages),
            **write_outputs(self.source, known, store, self.workdir),
        }
        store.finish(line)
        return line

    def _chunks(
        self, known: KnownSet, cells: KnownCells, start: int
    ) -> Iterator[Mapping[str, Native]]:
        """Yield the images from one on, in native units, a chunk at a time.

        They come by what was done to them: as `generated`, as `refined`, and as they
        are to be `written`.
        """
        realiser = self._realiser(known.size)
        condition = self.source.scaled(known.known)
        key = set_key(self.config.seed, known.name)
        chunk, end = realiser.chunk, self.config.count
        first = start // chunk * chunk if start < end else end
        for place in range(first, end, chunk):
            latents = realiser.latents(key, place)
            scaled = np.asarray(realiser.images(latents, condition))
            at = slice(max(0, start - place), end - place)
            made = {"generated": self._native(scaled[at])}
            images = made["generated"]
            if self.config.refine and cells.mask.any():
                refine = self._refiner(known.size).refine
                scaled = refine(realiser, cells, condition, latents, scaled)
                made["refined"] = images = self._native(scaled[at])
            if self.config.exact:
                images = images.copy()
                images[:, cells.mask] = self._stored(cells.values)
            yield {**made, "written": images}

    def _native(self, scaled: Scaled) -> Native:
        units = self.source.units
        return self._stored(units.rounded(units.native(scaled)))

    def _stored(self, native: Float[np.ndarray, "*shape"]) -> Num[np.ndarray, "*shape"]:
        """Return native values with the type of the file."""
        whole = self.dtype == np.uint8
        stored: Num[np.ndarray, "*shape"]
        stored = (np.rint(native) if whole else native).astype(self.dtype)
        return stored


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
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
