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
    return [
        Demand(
            networks.variables + chunk * growth * passes * networks.generator,
            "the images that are made at once",
            ["size"],
            on_device=True,
        ),
        Demand(
            _COPIES * FLOAT * values * (chunk + batch),
            "the images between two saves",
            ["batch"],
        ),
        Demand(
            2 * FLOAT * values * (_MAPS + sets + 2 * len(source.units.codes)),
            "the statistics and the known values",
            ["size"],
        ),
    ]
