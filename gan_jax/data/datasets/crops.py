"""Crops of one large image, in which every kind of cell has its share."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt32

_FACIES = 16  # distinct levels up to which each has its own share
_CANDIDATES = 4  # random places for each crop
_RIDGE = 1e-6  # keeps weights finite where no weights reach the shares


def free_places(
    holes: Bool[np.ndarray, "rows columns"], height: int, width: int
) -> Bool[np.ndarray, "tops lefts"]:
    """Return the upper left cells of crops that hold no hole."""
    places = (holes.shape[0] - height + 1, holes.shape[1] - width + 1)
    tops, lefts = np.ogrid[: places[0], : places[1]]
    return _window_sums(_sums(holes), tops, lefts, height, width) == 0


def cut(
    image: UInt8[np.ndarray, "rows columns"],
    height: int,
    width: int,
    count: int,
    generator: np.random.Generator,
    free: Bool[np.ndarray, "tops lefts"] | None = None,
) -> UInt8[np.ndarray, "count height width 1"]:
    """Return random crops in which levels have the same shares as in the image.

    Crops at uniformly random places hold the middle of an image more often than its
    edges: of Strebelle's channels, 31% of their cells are channel, and 28% of the
    image's. So some more places than are wanted are drawn, and of these some are
    chosen, with probabilities proportional to exp(w . f). f are the shares of the
    levels in a crop, or its mean level where there are many, and w makes the expected
    shares those of the image. These are the probabilities of largest entropy.

    Args:
        image: Levels of the image.
        height: Height of a crop.
        width: Width of a crop.
        count: Number of crops; they may repeat.
        generator: Source of random numbers.
        free: Where upper left cells of crops may lie; None = everywhere. Levels count
            in the shares where some free crop holds them.
    """
    places = _places(image, height, width, _CANDIDATES * count, generator, free)
    shares, wanted = _shares(image, *places, height, width, free)
    probabilities = _balanced(shares, wanted)
    # Systematic resampling, of places in the order of w . f: alike ones are chosen as
    # often together as is expected, to one.
    order = np.argsort(probabilities, kind="stable")
    steps = (np.arange(count) + generator.random()) / count
    found = np.searchsorted(np.cumsum(probabilities[order]), steps)
    chosen = generator.permutation(order[found.clip(0, len(order) - 1)])
    windows = np.lib.stride_tricks.sliding_window_view(image, (height, width))
    tops, lefts = (place[chosen] for place in places)
    return windows[tops, lefts][..., None].copy()


def _places(
    image: UInt8[np.ndarray, "rows columns"],
    height: int,
    width: int,
    count: int,
    generator: np.random.Generator,
    free: Bool[np.ndarray, "tops lefts"] | None,
) -> tuple[Int[np.ndarray, " count"], Int[np.ndarray, " count"]]:
    """Return uniformly random upper left cells of crops, as rows and columns."""
    if free is None:
        tops = generator.integers(image.shape[0] - height + 1, size=count)
        lefts = generator.integers(image.shape[1] - width + 1, size=count)
        return tops, lefts
    places = np.flatnonzero(free)
    chosen = places[generator.integers(len(places), size=count)]
    tops, lefts = np.divmod(chosen, free.shape[1])
    return tops, lefts


def _shares(
    image: UInt8[np.ndarray, "rows columns"],
    tops: Int[np.ndarray, " count"],
    lefts: Int[np.ndarray, " count"],
    height: int,
    width: int,
    free: Bool[np.ndarray, "tops lefts"] | None,
) -> tuple[Float[np.ndarray, "count levels"], Float[np.ndarray, " levels"]]:
    """Return the shares of levels in crops, and in the cells that crops can hold."""
    seen = np.ones(image.shape, bool)
    if free is not None:
        # A cell is in a free crop if one of the places up and left of it is free.
        held = np.pad(free, ((height - 1, height - 1), (width - 1, width - 1)))
        rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
        seen = _window_sums(_sums(held), rows, columns, height, width) > 0
    kinds = np.unique(image[seen])
    few = len(kinds) <= _FACIES
    # The shares add up to 1: the first one follows from the others.
    maps = (image == kind for kind in kinds[1:]) if few else iter([image])
    scale = 1 if few else 255
    shares, wanted = [], []
    for map_ in maps:
        sums = _window_sums(_sums(map_), tops, lefts, height, width)
        shares.append(sums / (scale * height * width))
        wanted.append(map_[seen].mean() / scale)
    return np.array(shares).reshape(-1, len(tops)).T, np.array(wanted)


def _balanced(
    shares: Float[np.ndarray, "count levels"], wanted: Float[np.ndarray, " levels"]
) -> Float[np.ndarray, " count"]:
    """Return probabilities with which the mean shares are the wanted ones.

    They minimise log(mean(exp(w . (f - wanted)))), which is convex in w.
    """
    from scipy.optimize import minimize

    offsets = shares - wanted.reshape(1, -1)
    if not wanted.size:  # there is one level
        return np.full(len(offsets), 1 / len(offsets))

    def tilted(weights: np.ndarray) -> tuple[Float[np.ndarray, " count"], float]:
        powers = offsets @ weights
        most = powers.max()
        raw = np.exp(powers - most)
        return raw / raw.sum(), float(np.log(raw.mean()) + most)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities, value = tilted(weights)
        gradient = probabilities @ offsets + _RIDGE * weights
        return value + _RIDGE / 2 * float(weights @ weights), gradient

    found = minimize(loss, np.zeros(offsets.shape[1]), jac=True, method="BFGS")
    probabilities, _ = tilted(found.x)
    return probabilities


def _sums(image: np.ndarray) -> UInt32[np.ndarray, "_ _"]:
    """Return the sums of all cells above and left of each corner of cells.

    They are modulo 2^32: differences below that are right.
    """
    rows, columns = image.shape
    sums = np.zeros((rows + 1, columns + 1), np.uint32)
    np.cumsum(image, axis=0, dtype=np.uint32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, dtype=np.uint32, out=sums[1:, 1:])
    return sums


def _window_sums(
    sums: UInt32[np.ndarray, "_ _"],
    tops: Int[np.ndarray, "..."],
    lefts: Int[np.ndarray, "..."],
    height: int,
    width: int,
) -> UInt32[np.ndarray, "..."]:
    """Return the sums of windows, from `_sums`, by their upper left cells."""
    low, right = tops + height, lefts + width
    inside: np.ndarray = sums[low, right] - sums[tops, right]
    inside -= sums[low, lefts] - sums[tops, lefts]
    return inside
