"""Split of a dataset into disjoint parts, by a seed.

The official training part is split into 90% for training and 10% for validation. A
dataset without an official test part first sets a share of its images aside for the
test, a tenth by default. Each part may be divided further by role: the critic of a
conditional GAN must not see the images of the conditions (Ruffino et al. 2019, arXiv
1911.00689, section 4, set a fifth of the images aside for them).
"""

from collections.abc import Mapping

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Dataset, Source, select

Part = Mapping[str, Source]
"""Sources of a part by role, e.g. `real` and `constraint`."""


def partition(
    dataset: Dataset, seed: int, roles: Mapping[str, float], test_share: float = 0.1
) -> dict[str, Part]:
    """Return the parts `train`, `validation` and `test` of a dataset, each by role.

    Args:
        dataset: Dataset with its official parts.
        seed: Seed of the split.
        roles: Share of every part for each role; the first gets what rounding leaves.
        test_share: Share of the images for the test, if there is no official test part.

    Raises:
        InputError: If a role would get no images.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    train, test = dataset.train, dataset.test
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
            f"has none left for '{min(counts, key=lambda role: counts[role])}'; give "
            "at least 100 images"
        )
    return {
        # In random order: the first images of a part often stand for all of it, and
        # published datasets are often sorted by class.
        role: select(source, indices[end - count : end])
        for (role, count), end in zip(counts.items(), ends, strict=True)
    }
