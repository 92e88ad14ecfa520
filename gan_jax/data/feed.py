"""Batches as a pure function of (seed, number), resident on the device or streamed.

Both feeds return the same batches. Every epoch is a permutation of the images, which
is computed at any position without being stored. Therefore a run resumes from the
number of the critic's update alone, and critic steps may vary by schedule.
"""

import functools
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, UInt8, UInt32

from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Source, in_memory, take

Pixels = (
    UInt8[Array | np.ndarray, "*batch height width channels"]
    | Float[Array | np.ndarray, "*batch height width channels"]
)
"""8-bit levels, or unscaled floats (the points of `mixtures`)."""


class LabelledImages(NamedTuple):
    """Images with their labels (-1 = unlabelled): a batch or a whole dataset."""

    image: Pixels
    label: Int[Array | np.ndarray | np.integer, "*batch"]


ImagesByRole = dict[str, LabelledImages]
"""The images of one batch, by role."""


class Placement(NamedTuple):
    """Placement of a feed's arrays on devices and processes."""

    replicate: Callable[[PyTree], PyTree] = jax.device_put
    """Puts arrays on all devices."""
    shard: Callable[[PyTree], PyTree] = jax.device_put
    """Distributes batches `[steps, batch, ...]` over the devices, from the share of
    each batch that this process has read."""
    share: slice | Int[np.ndarray, " share"] = slice(None)
    """Indices of the images of a batch that this process reads."""


class Feed(NamedTuple):
    """Source of training batches: a function on the host and one on the device."""

    load: Callable[[int, int, int], PyTree]
    """`load(first, count, capacity)` returns the arrays of `count` batches from number
    `first` on, an argument of a compiled function: the whole dataset where it is
    resident, these batches where it is streamed. Their shapes depend on `capacity`
    alone, which is at least `count`."""
    batch: Callable[[PyTree, Int[Array, ""]], ImagesByRole]
    """`batch(arrays, number)` returns one of them, inside a compiled function."""


_ROUNDS = 6
RoundKeys = UInt32[Array | np.ndarray, f"{_ROUNDS}"]
"""Keys of the rounds of the Feistel network in `shuffled`."""


def round_keys(seed: int) -> UInt32[np.ndarray, f"{_ROUNDS}"]:
    """Return the round keys of a seed, an array that may be traced."""
    words = [zlib.crc32(f"{seed}/{index}".encode()) for index in range(_ROUNDS)]
    return np.array(words, np.uint32)


def shuffled(
    position: UInt32[Array, "batch"], count: int, keys: RoundKeys
) -> Int[Array, "batch"]:
    """Return indices of images at positions of the endless sequence of epochs.

    Every epoch of `count` positions is a permutation of the indices. It is computed by
    a Feistel network on the smallest grid of a x b >= `count` cells. An index on a
    surplus cell passes through the network again (Black & Rogaway 2002, "Ciphers with
    arbitrary finite domains", section 3).
    """
    rows = int(np.ceil(np.sqrt(count)))
    columns = -(-count // rows)
    epoch = position // count

    def network(cell: Array) -> Array:
        row, column = cell // columns, cell % columns
        for index in range(0, _ROUNDS, 2):
            row = (row + _hash(column, epoch, keys[index]) % rows) % rows
            column = (column + _hash(row, epoch, keys[index + 1]) % columns) % columns
        return row * columns + column

    cell = jax.lax.while_loop(
        lambda cell: (cell >= count).any(),
        lambda cell: jnp.where(cell >= count, network(cell), cell),
        network(position % count),
    )
    return cell.astype(jnp.int32)


def _hash(value: Array, epoch: Array, salt: Array | np.uint32) -> Array:
    """Return a hash of 32-bit words (the finaliser of MurmurHash3)."""
    mixed = value * jnp.uint32(0x9E3779B1) ^ epoch * jnp.uint32(0x85EBCA77) ^ salt
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return mixed ^ (mixed >> 16)


def batch_indices(
    number: Int[Array, ""], batch_size: int, count: int, keys: RoundKeys
) -> Int[Array, "batch"]:
    """Return the indices of the images of a batch, which may span two epochs."""
    start = number.astype(jnp.uint32) * jnp.uint32(batch_size)
    return shuffled(start + jnp.arange(batch_size, dtype=jnp.uint32), count, keys)


def _orders(sources: Mapping[str, Source], seed: int) -> dict[str, np.ndarray]:
    # Each role has its own order, even if two have the same number of images.
    return {role: round_keys(zlib.crc32(f"{seed}/{role}".encode())) for role in sources}


class _Shuffled(NamedTuple):
    """A whole dataset on the device and the round keys of its order."""

    images: LabelledImages
    keys: RoundKeys


def _check(sources: Mapping[str, Source], batch_size: int) -> None:
    for role, source in sources.items():
        if batch_size > len(source):
            raise InputError(
                f"--config.batch_size {batch_size} is larger than the {len(source)} "
                f"training images of {source.name} for '{role}': lower it or add images"
            )


def resident(
    sources: Mapping[str, Source],
    batch_size: int,
    seed: int,
    placement: Placement = Placement(),  # noqa: B008 - it never changes
) -> Feed:
    """Return a feed that keeps all images on the device and gathers batches there.

    Args:
        sources: Images by role; a batch draws from each independently.
        batch_size: Number of images per role and batch.
        seed: Seed of the order of the images.
        placement: Placement of the images on devices.

    Raises:
        InputError: If a source has fewer images than a batch.
    """
    _check(sources, batch_size)
    orders = _orders(sources, seed)
    loaded = {role: in_memory(source) for role, source in sources.items()}
    arrays = placement.replicate(
        {
            role: _Shuffled(
                LabelledImages(source.images, _labels(source.labels, len(source))),
                orders[role],
            )
            for role, source in loaded.items()
        }
    )

    def batch(arrays: PyTree, number: Int[Array, ""]) -> ImagesByRole:
        indices = {
            role: batch_indices(number, batch_size, len(images.label), keys)
            for role, (images, keys) in arrays.items()
        }
        return {
            role: jax.tree.map(lambda array, at=indices[role]: array[at], images)
            for role, (images, _) in arrays.items()
        }

    return Feed(lambda first, count, capacity: arrays, batch)


def _labels(labels: np.ndarray | None, count: int) -> np.ndarray:
    return np.full(count, -1, np.int32) if labels is None else labels.astype(np.int32)


def streamed(
    sources: Mapping[str, Source],
    batch_size: int,
    seed: int,
    placement: Placement = Placement(),  # noqa: B008 - it never changes
    threads: int = 8,
) -> Feed:
    """Return a feed that reads the batches of `resident` from the sources, with Grain.

    For datasets that do not fit on the device. Grain reads as many batches ahead as
    there are threads; memory holds the batches of a few calls of `load` only.

    Raises:
        InputError: If a source has fewer images than a batch.
    """
    _check(sources, batch_size)
    orders = _orders(sources, seed)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    reading: dict[str, tuple[int, Iterator[Any]]] = {}

    def load_role(role: str, first: int, count: int, capacity: int) -> LabelledImages:
        following, batches = reading.get(role, (-1, iter(())))
        if following != first:  # the first call, or a run that resumes
            sequence = _Batches(
                sources[role], batch_size, orders[role], placement.share
            )
            batches = iter(
                grain.MapDataset.source(sequence)
                .slice(slice(first, None))
                .to_iter_dataset(options)
            )
        loaded = [next(batches) for _ in range(count)]
        reading[role] = (first + count, batches)
        loaded += [loaded[-1]] * (capacity - count)
        return LabelledImages(*map(np.stack, zip(*loaded, strict=True)))

    def load(first: int, count: int, capacity: int) -> PyTree:
        loaded = {role: load_role(role, first, count, capacity) for role in sources}
        return np.int32(first), placement.shard(loaded)

    def batch(arrays: PyTree, number: Int[Array, ""]) -> ImagesByRole:
        first, loaded = arrays
        return jax.tree.map(lambda array: array[number - first], loaded)

    return Feed(load, batch)


class _Batches:
    """The endless sequence of batches, which Grain reads by number."""

    def __init__(
        self,
        source: Source,
        batch_size: int,
        keys: np.ndarray,
        share: slice | np.ndarray,
    ):
        self._source = source
        self._share = share
        self._length = 2**32 // batch_size  # positions are 32-bit words
        self._draw = jax.jit(
            functools.partial(
                batch_indices, batch_size=batch_size, count=len(source), keys=keys
            )
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> LabelledImages:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            indices = np.asarray(self._draw(np.int32(number)))
        return read(self._source, indices[self._share])


def read(source: Source, indices: Int[np.ndarray, " count"]) -> LabelledImages:
    """Return the images at some indices of a source, as they are stored, and labels.

    Raises:
        InputError: If an image can no longer be read.
    """
    examples = take(source, indices.tolist())
    return LabelledImages(
        np.stack([example.image for example in examples]),
        np.array([example.label for example in examples], np.int32),
    )


def to_float(
    images: UInt8[Array | np.ndarray, "*shape"] | Float[Array | np.ndarray, "*shape"],
) -> Float[Array, "*shape"]:
    """Return 8-bit images scaled to [-1, 1]; floats are returned as they are."""
    scaled = jnp.asarray(images, jnp.float32)
    return scaled / 127.5 - 1.0 if images.dtype == jnp.uint8 else scaled


def first_images(
    source: Source, count: int
) -> Float[Array, "count height width channels"]:
    """Return the first images of a source, `count` at most, as `to_float` does."""
    return to_float(read(source, np.arange(min(count, len(source)))).image)
