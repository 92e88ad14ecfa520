"""Disjoint parts of a data set, drawn once from a seed.

The official training set gives 90% to training and 10% to validation; a set that has
no official test part gives a share of its images, a tenth by default, to one first. A
method that needs conditions from images which its critic never sees sets a share of
every part aside (a fifth in Ruffino et al. 2019, arXiv 1911.00689, section 4).
"""

from collections.abc import Mapping

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Dataset, Source, select

Part = Mapping[str, Source]
"""A part of the data by role, e.g. `real` images and those behind the `condition`."""


def partition(
    dataset: Dataset, seed: int, roles: Mapping[str, float], test_share: float = 0.1
) -> dict[str, Part]:
    """Split a data set into `train`, `validation` and `test`, each by role.

    Args:
        dataset: the data set as published.
        seed: another seed draws other parts; the same seed the same ones.
        roles: share of every part that each role gets, in the order given; the shares
            sum to 1 and the first role takes what rounding leaves.
        test_share: of a set that has no official test part.

    Raises:
        InputError: where some role would get no image at all.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    train, test = dataset
    order = draw.permutation(len(train))
    if test is None:
        count = int(len(train) * test_share)
        test, order = select(train, order[:count]), order[count:]
    count = len(order) // 10
    pieces = {
        "train": (train, order[count:]),
        "validation": (train, order[:count]),
        "test": (test, draw.permutation(len(test))),
    }
    return {
        name: _divide(name, source, indices, roles)
        for name, (source, indices) in pieces.items()
    }


def _divide(
    name: str, source: Source, indices: np.ndarray, roles: Mapping[str, float]
) -> Part:
    first, *others = roles
    counts = {role: int(len(indices) * roles[role]) for role in others}
    counts = {first: len(indices) - sum(counts.values())} | counts
    ends = np.cumsum(list(counts.values()))
    if min(counts.values()) == 0:
        raise InputError(
            f"{source.name} has too few images: its {name} part of {len(indices)} "
            f"leaves none for '{min(counts, key=lambda role: counts[role])}'; give at "
            "least 100 images"
        )
    return {
        # In the order drawn: many take the first images of a part for all of it, and
        # published sets are often sorted by class.
        role: select(source, indices[end - count : end])
        for (role, count), end in zip(counts.items(), ends, strict=True)
    }
