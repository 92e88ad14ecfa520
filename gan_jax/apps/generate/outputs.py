"""The files of a set beside its realisations: pictures, statistics, a GSLIB grid."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Num, UInt8

from gan_jax.apps.generate.agreement import TOLERANCE, known_cells
from gan_jax.apps.generate.prior import Source
from gan_jax.apps.generate.sets import KnownSet
from gan_jax.apps.generate.statistics import Statistics, statistics, write_statistics
from gan_jax.apps.generate.storage import Store
from gan_jax.data.grids.gslib_files import write_grids
from gan_jax.data.grids.units import Units
from gan_jax.evaluation.image import diversity
from gan_jax.report import files
from gan_jax.report.grids import glow, rgb, tile, to_uint8
from gan_jax.report.ownership import write_image
from gan_jax.tasks.plates.constraints import constraint_grid

PICTURES = 16
"""Realisations of a set that are drawn."""
GSLIB, GRIDS = "realisations.gslib", 100
"""The GSLIB file of the first realisations, and their number at most: readers of
the format limit the variables, `tables` to a thousand."""
_COLUMNS, _WIDE = 6, 2400  # realisations of a plate, and its width on the screen
_COMPARED, _ENTRIES = 500, 2**23  # realisations, and their values, that diversity takes

Image = Float[np.ndarray, "height width channels"]


def write_outputs(
    source: Source, known: KnownSet, store: Store, workdir: Path
) -> dict[str, Any]:
    """Write the files of a set beside its realisations, and measure them.

    Returns:
        Entries of the set's line in `results.jsonl`.

    Raises:
        UnwritableError: Something that no run wrote is at a picture's place.
        OSError: The disk failed.
    """
    units, shape = source.units, (*known.size, source.channels)
    for number, image in enumerate(shown(store, shape, units, PICTURES)):
        path = store.folder / "images" / f"{number:05d}.png"
        write_image(workdir, path, to_uint8(image))
    found = statistics(store.blocks(), shape, units)
    plate = _plate(source, known, store, found)
    write_image(workdir, store.folder / "plate.png", plate)
    write_statistics(store.folder, found, units)
    for name, picture in pictures(found, units).items():
        write_image(workdir, store.folder / f"{name}.png", picture)
    if known.is_point_set and source.channels == 1:
        with files.writing(store.folder / GSLIB) as file:
            count = min(GRIDS, store.state.done)
            rows = _rows(store, count)
            write_grids(file.write, known.geometry, "realisation", count, rows)
    return {"diversity": _diversity(store, shape, units), **_facies(found, source)}


def _plate(
    source: Source, known: KnownSet, store: Store, found: Statistics
) -> UInt8[np.ndarray, "tall wide 3"]:
    """Draw known values, some realisations, and the mean and the spread of all."""
    units, shape = source.units, (*known.size, source.channels)
    side = max(2, math.ceil(140 / max(known.size))) * known.size[1]
    columns = max(1, min(_COLUMNS, _WIDE // side - 3))
    images = shown(store, shape, units, columns)
    maps = pictures(found, units)
    maps = {"mean": maps["mean"][None], "spread": maps["spread"][None]}
    if not known.known.mask.any():
        pieces = np.concatenate([rgb(to_uint8(images)), *map(rgb, maps.values())])
        titles = [f"{len(images)} generated", *[""] * (len(images) - 1), *maps]
        return tile(pieces[None], column_titles=titles)
    cells = known_cells(known.known, units)
    own = bool(units.codes) or np.isfinite(cells.errors).any()
    condition = source.scaled(known.known)
    return constraint_grid(
        np.asarray(condition.values)[None],
        np.asarray(condition.mask)[None],
        images[None],
        cells.limits()[None, ..., 0] / 2 if own else TOLERANCE,
        maps=maps,
        interval=(units.low, units.high),
    )


def shown(
    store: Store, shape: tuple[int, int, int], units: Units, count: int
) -> Float[np.ndarray, "some height width channels"]:
    """Return the first realisations in [-1, 1], as many as there are."""
    first = store.first(count)
    return units.scaled(first.reshape(-1, *shape))


def pictures(
    found: Statistics, units: Units
) -> dict[str, UInt8[np.ndarray, "height width _"]]:
    """Return pictures of statistics by name.

    The spread is dark where it is 0 and bright at half the range or more; a probability
    is black at 0 and white at 1.
    """

    def levels(native: Image) -> UInt8[np.ndarray, "height width channels"]:
        return to_uint8(units.scaled(native))

    maps = {"mean": levels(found.mean), "spread": spread_shown(found.spread, units)}
    maps |= {name: levels(values) for name, values in found.quantiles.items()}
    for code, share in zip(units.codes, found.probabilities, strict=True):
        maps[f"probability-{code:.9g}"] = to_uint8(2 * share - 1)
    return maps


def spread_shown(spread: Image, units: Units) -> UInt8[np.ndarray, "height width 3"]:
    """Return standard deviations in native units as colours."""
    return glow(2 * spread.mean(axis=-1) / (units.high - units.low))


def _rows(store: Store, count: int) -> Iterator[Num[np.ndarray, "realisations width"]]:
    """Yield the rows of the first realisations, the lowest first."""
    height, width = store.shape
    for row in reversed(range(height)):
        yield store.values(slice(row * width, (row + 1) * width), count)


def _diversity(store: Store, shape: tuple[int, int, int], units: Units) -> float | None:
    """Return the mean distance of two of the first realisations, in [-1, 1]."""
    count = min(_COMPARED, max(2, _ENTRIES // int(np.prod(shape))))
    images = shown(store, shape, units, count)
    return diversity(images) if len(images) > 1 else None


def _facies(found: Statistics, source: Source) -> dict[str, Any]:
    """Return the share of each facies by its code, here and in the training image."""
    codes = source.units.codes
    if not codes:
        return {}
    shares = found.probabilities.mean(axis=(1, 2, 3))
    made = {f"{code:.9g}": float(at) for code, at in zip(codes, shares, strict=True)}
    training = source.proportions
    return {"facies": made} | ({"facies_training": training} if training else {})
