"""Patterns: how often small windows of facies occur."""

import functools

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from scipy.special import rel_entr

SIZES = (2, 3, 4)
"""Sides of the square windows, in cells."""

_CELLS = 2**22  # cells of the images that are worked on at once
_TABLE = 2**20  # patterns that are counted in a table of all possible ones

_Histogram = tuple[UInt64[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Patterns in increasing order, and how often each occurs."""


def histogram(
    facies: UInt8[np.ndarray, "count height width"], kinds: int, size: int
) -> _Histogram:
    """Return the multiple-point histogram of images.

    Args:
        facies: Images of facies 0 to `kinds - 1`, 16 at most.
        kinds: Number of facies.
        size: Side of the square windows in cells, 4 at most. Windows overlap and lie
            inside an image.

    Returns:
        The patterns that occur, and how often. A pattern is the number whose digits to
        the base of `kinds` are the facies of its cells, row by row from the upper left.

    Raises:
        ValueError: If the images are smaller than a window, or patterns have no number
            of 64 bits.
    """
    height, width = facies.shape[1:]
    if size > min(height, width):
        raise ValueError(
            f"images of {height}x{width} cells have no pattern of {size}x{size}"
        )
    if kinds ** (size * size) > 2**64:
        raise ValueError(f"patterns of {size}x{size} cells of {kinds} facies are many")
    step = max(1, _CELLS // (height * width))
    parts = [
        _count(_numbers(facies[start : start + step], kinds, size), kinds**size**2)
        for start in range(0, len(facies), step)
    ]
    return functools.reduce(_joined, parts)


def _joined(one: _Histogram, other: _Histogram) -> _Histogram:
    """Return the histogram of two sets of images, from one of each."""
    patterns, counts = _beside(one, other)
    return patterns, counts.sum(axis=0)


def _beside(
    one: _Histogram, other: _Histogram
) -> tuple[UInt64[np.ndarray, " patterns"], Int[np.ndarray, "2 patterns"]]:
    """Return the patterns of two histograms, and how often they occur in each."""
    # Sorts, which is faster than the hash table of `np.unique` without the inverse.
    patterns, places = np.unique(
        np.concatenate([one[0], other[0]]), return_inverse=True
    )
    counts = np.zeros((2, len(patterns)), np.int64)
    counts[0, places[: len(one[0])]] = one[1]
    counts[1, places[len(one[0]) :]] = other[1]
    return patterns, counts


def _numbers(
    facies: UInt8[np.ndarray, "count height width"], kinds: int, size: int
) -> UInt64[np.ndarray, "count rows columns"]:
    """Return the number of the pattern in each window."""
    rows = facies.shape[1] - size + 1
    columns = facies.shape[2] - size + 1
    lines = np.zeros((*facies.shape[:2], columns), np.uint64)
    for column in range(size):
        lines *= np.uint64(kinds)
        lines += facies[:, :, column : column + columns]
    numbers = np.zeros((len(facies), rows, columns), np.uint64)
    for row in range(size):
        numbers *= np.uint64(kinds**size)
        numbers += lines[:, row : row + rows]
    return numbers


def _count(
    numbers: UInt64[np.ndarray, "count rows columns"], possible: int
) -> _Histogram:
    """Return the numbers that occur, and how often."""
    if possible > _TABLE:
        return np.unique(numbers, return_counts=True)
    table = np.bincount(numbers.ravel().astype(np.int64))
    (found,) = np.nonzero(table)
    return found.astype(np.uint64), table[found]


def divergence(
    facies: UInt8[np.ndarray, "count height width"],
    truth: UInt8[np.ndarray, "others rows columns"],
    kinds: int,
    size: int,
) -> float:
    """Return the Jensen-Shannon divergence of the histograms of two sets of images.

    Its logarithm is to the base 2 (Lin 1991, doi 10.1109/18.61115). Arguments are those
    of `patterns_distance` and `histogram`.

    Returns:
        A number in [0, 1]: 0 if all patterns are equally frequent, 1 if the sets share
        no pattern.
    """
    _, counts = _beside(*(histogram(each, kinds, size) for each in (facies, truth)))
    shares = counts / counts.sum(axis=1, keepdims=True)
    nats = rel_entr(shares, shares.mean(axis=0, keepdims=True)).sum() / 2
    return float(np.clip(nats / np.log(2), 0, 1))  # rounding may leave the interval


def patterns_distance(
    facies: UInt8[np.ndarray, "count height width"],
    truth: UInt8[np.ndarray, "others rows columns"],
    kinds: int,
) -> float:
    """Return the distance of the multiple-point histograms of two sets of images.

    Multiple-point histograms compare realisations with a training image in Boisvert,
    Pyrcz & Deutsch 2010 (doi 10.1007/s11053-010-9120-2), and their Jensen-Shannon
    divergence in Tan, Tahmasebi & Caers 2014 (doi 10.1007/s11004-013-9482-1). Here the
    distance is the square root of that divergence, which is a metric (Endres &
    Schindelin 2003, doi 10.1109/TIT.2003.813506), averaged over windows of 2x2, 3x3 and
    4x4 cells.

    Args:
        facies: Facies of generated images.
        truth: Facies of real images.
        kinds: Number of facies; both sets hold 0 to `kinds - 1`.

    Returns:
        A number in [0, 1]; 0 if all patterns are equally frequent in both sets. Two
        small sets of like images are some way apart, as few of the many patterns of 4x4
        cells occur in either.

    Raises:
        ValueError: If images are smaller than 4x4 cells.
    """
    divergences = [divergence(facies, truth, kinds, size) for size in SIZES]
    return float(np.sqrt(divergences).mean())
