"""The memory of a run of realisations, estimated beforehand."""

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.runs.memory import FLOAT, PASSES, Demand, network_sizes

_COPIES = 8  # of the numbers of a block: in double precision, and its copies
_MAPS = 12  # statistics of a cell, in double precision


def demands(
    config: ConfigDict, source: Source, size: tuple[int, int], batch: int, sets: int
) -> list[Demand]:
    """Return the memory that a run needs; it does not grow with `count`.

    Args:
        config: Config of the run.
        source: The run that images come from.
        size: Height and width of the largest images.
        batch: Images between two saves.
        sets: Number of sets of known values.
    """
    prior = source.prior
    networks = network_sizes(prior.config, prior.task, prior.method, prior.channels)
    cells = size[0] * size[1]
    values = cells * source.channels
    growth = cells / np.prod(source.trained_size)
    passes = PASSES if config.refine else 1.0
    chunk = chunk_of(size)
    words = f"{size[0]}x{size[1]}"
    # Where `size` is empty, it is that of the known values or of training.
    smaller = (
        "" if config.size else "make smaller images with --config.size or smaller grids"
    )
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
            2 * FLOAT * values * (_MAPS + sets + 2 * len(source.units.codes)),
            f"the statistics and the known values of {words} cells",
            ["size"],
            otherwise=smaller,
        ),
    ]
