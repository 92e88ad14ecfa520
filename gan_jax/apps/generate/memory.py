"""The memory of a run of realisations, estimated beforehand."""

from ml_collections import ConfigDict

from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.apps.generate.storage import ENTRIES
from gan_jax.config.limits import Size
from gan_jax.runs.memory import FLOAT, PASSES, Demand, network_sizes

_COPIES = 8  # of the numbers of a block: in double precision, and its copies
_MAPS = 12  # statistics of a cell, in double precision
_SORTED = 24  # bytes of a value among those of all images: it is sorted, and squared
_KNOWN = 17  # bytes of a known cell: its value, its error and its mark


def demands(config: ConfigDict, source: Source, size: Size, batch: int) -> list[Demand]:
    """Return the memory that a run needs; beyond `ENTRIES` it does not grow with count.

    Args:
        config: Config of the run.
        source: The run that images come from.
        size: Height and width of the largest images.
        batch: Images between two saves.
    """
    prior = source.prior
    networks = network_sizes(prior.config, prior.task, prior.method, prior.channels)
    values = size.pixels * source.channels
    growth = size.pixels / source.trained_size.pixels
    passes = PASSES if config.refine else 1.0
    chunk = chunk_of(size)
    words = str(size)
    # Where `size` is empty, it is that of the known values or of training.
    smaller = (
        "" if config.size else "make smaller images with --config.size or smaller grids"
    )
    maps = 2 * FLOAT * (_MAPS + 2 * len(source.units.codes))
    return [
        Demand(
            networks.variables + chunk * growth * passes * networks.generator,
            f"the {chunk} images of {words} that are made at once",
            ["size"],
            on_device=True,
            otherwise=smaller,
        ),
        Demand(
            _COPIES * FLOAT * values * (chunk + batch),
            f"the {batch} images of {words} between two saves",
            ["batch"] if config.batch else ["size"],
            otherwise="" if config.batch else smaller,
        ),
        Demand(
            _SORTED * min(max(ENTRIES, config.count), config.count * values),
            f"the values of {config.count:,} images of which statistics are taken",
            ["count"],
        ),
        Demand(
            values * (maps + 2 * _KNOWN),
            f"the statistics and the known values of {words} cells",
            ["size"],
            otherwise=smaller,
        ),
    ]
