"""Split of a dataset into disjoint parts, by a seed.

The official training part is split into 90% for training and 10% for validation. A
dataset without an official test part first sets a share of its images aside for the
test, a tenth by default. Each part may be divided further by role: the critic of a
conditional GAN must not see the images of the conditions (Ruffino et al. 2019, arXiv
1911.00689, section 4, set a fifth of the images aside for them).
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Dataset, Source, fingerprint, select

Part = Mapping[str, Source]
"""Sources of a part by role, e.g. `real` and `constraint`."""

LEAST = 50
"""Images of a user below which a run is refused, unless `data.few` asks for it."""
ENOUGH = 400
"""Images of a user up to which a run warns that they are few."""


def check_count(dataset: Dataset, few: bool) -> str:
    """Return a warning where a user's images are few; empty where they are enough.

    They are counted before they are split. Crops of a training image and data that are
    made here are never few.

    Args:
        dataset: The dataset.
        few: Whether the user trains on few images on purpose.

    Raises:
        InputError: If there are fewer than `LEAST`, and that is no purpose.
    """
    count, name = len(dataset.train), dataset.train.name
    if not dataset.contents or dataset.geometry is not None or count > ENOUGH:
        return ""
    held = f"{name} has {count} image{'s' if count != 1 else ''}"
    held += " for training" if dataset.test is not None else ""
    if count < LEAST and not few:
        raise InputError(
            f"{held}, and a GAN needs at least {LEAST}, better thousands: give more, "
            "or try it with --config.data.few=True"
        )
    return (
        f"{held}, which is few: a GAN may repeat them rather than learn from them, and "
        "measures that need more are left out; thousands are better"
    )


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
    shares = {"validation": 0.1, "test": 1.0}
    if test is None:
        shares = {"validation": 0.1 * (1 - test_share), "test": test_share}
        count = int(len(train) * test_share)
        test, order = select(train, order[:count]), order[count:]
    count = len(order) // 10
    pieces = {
        "train": (train, order[count:]),
        "validation": (train, order[:count]),
        "test": (test, draw.permutation(len(test))),
    }
    return {
        name: _divide(name, source, indices, roles, min(shares.values()))
        for name, (source, indices) in pieces.items()
    }


def digest(part: Part) -> str:
    """Return the SHA-256 of a part's images and labels, which are read."""
    sha256 = hashlib.sha256()
    for source in part.values():
        sha256.update(fingerprint(source).encode())
    return sha256.hexdigest()


def _divide(
    name: str,
    source: Source,
    indices: np.ndarray,
    roles: Mapping[str, float],
    least: float,
) -> Part:
    """Return some images of a source by role; `least` is the smallest part's share."""
    first, *others = roles
    counts = {role: int(len(indices) * roles[role]) for role in others}
    counts = {first: len(indices) - sum(counts.values())} | counts
    if min(counts.values()) == 0:
        needed = math.ceil(max([1, *(1 / roles[role] for role in others)]) / least)
        raise InputError(
            f"{source.name} has too few images: its {name} part of {len(indices)} "
            f"has none left for '{min(counts, key=lambda role: counts[role])}'; give "
            f"at least {needed} images"
        )
    ends = np.cumsum(list(counts.values()))
    return {
        # In random order: the first images of a part often stand for all of it, and
        # published datasets are often sorted by class.
        role: select(source, indices[end - count : end])
        for (role, count), end in zip(counts.items(), ends, strict=True)
    }
