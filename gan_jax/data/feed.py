"""Batches as a pure function of (seed, step), resident on the device or streamed.

Both feeds give the same batches: every epoch is a permutation of the images that can
be evaluated at any position, on the device or on the host, without being stored. So a
run resumes from its step number alone, and critic steps may vary by schedule.
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
"""Levels of 8 bits, or numbers that are meant as they are (`mixtures`)."""


class Images(NamedTuple):
    """A batch, or a whole set, of images with their labels (-1 = unlabelled)."""

    image: Pixels
    label: Int[Array | np.ndarray | np.integer, "*batch"]


Batch = dict[str, Images]
"""The images of one step, by role."""


class Layout(NamedTuple):
    """Where the arrays of a feed lie."""

    whole: Callable[[PyTree], PyTree] = jax.device_put
    """Puts arrays on the devices, replicated on a mesh."""
    batches: Callable[[PyTree], PyTree] = jax.device_put
    """Puts this process's share of some steps' batches there; steps come first."""
    share: slice | Int[np.ndarray, " own"] = slice(None)
    """The images of a batch that this process reads."""


class Feed(NamedTuple):
    """Where training batches come from: two functions that go together."""

    stretch: Callable[[int, int, int], PyTree]
    """`stretch(first, count, room)`: on the host, the arrays that steps first to
    first + count - 1 need, to be passed to a compiled function as an argument; their
    shapes depend on `room` >= count alone."""
    batch: Callable[[PyTree, Int[Array, ""]], Batch]
    """`batch(arrays, step)`: inside a compiled function, the batch of one step."""


_TURNS = 6
Salts = UInt32[Array | np.ndarray, f"{_TURNS}"]


def salts(seed: int) -> UInt32[np.ndarray, f"{_TURNS}"]:
    """Turn a seed into what makes an order its own: an array, so it may be traced."""
    words = [zlib.crc32(f"{seed}/{turn}".encode()) for turn in range(_TURNS)]
    return np.array(words, np.uint32)


def permuted(
    position: UInt32[Array, "batch"], count: int, salts: Salts
) -> Int[Array, "batch"]:
    """Index of the image at a position of the endless sequence of shuffled epochs.

    Each run of `count` positions is a permutation of the indices, and another one
    for every epoch and all `salts`. It is a Feistel network on the smallest grid
    a x b with at least `count` cells; what falls on a surplus cell walks on until it
    does not (Black & Rogaway 2002, "Ciphers with arbitrary finite domains", section 3).
    """
    rows = int(np.ceil(np.sqrt(count)))
    columns = -(-count // rows)
    epoch = position // count

    def network(cell: Array) -> Array:
        row, column = cell // columns, cell % columns
        for turn in range(0, _TURNS, 2):
            row = (row + _hash(column, epoch, salts[turn]) % rows) % rows
            column = (column + _hash(row, epoch, salts[turn + 1]) % columns) % columns
        return row * columns + column

    cell = jax.lax.while_loop(
        lambda cell: (cell >= count).any(),
        lambda cell: jnp.where(cell >= count, network(cell), cell),
        network(position % count),
    )
    return cell.astype(jnp.int32)


def _hash(value: Array, epoch: Array, salt: Array | np.uint32) -> Array:
    """Mix 32-bit words well (the finaliser of MurmurHash3)."""
    mixed = value * jnp.uint32(0x9E3779B1) ^ epoch * jnp.uint32(0x85EBCA77) ^ salt
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return mixed ^ (mixed >> 16)


def indices(
    step: Int[Array, ""], batch_size: int, count: int, salts: Salts
) -> Int[Array, "batch"]:
    """Indices of the images of one step, epochs following each other seamlessly."""
    start = step.astype(jnp.uint32) * jnp.uint32(batch_size)
    return permuted(start + jnp.arange(batch_size, dtype=jnp.uint32), count, salts)


def _orders(sources: Mapping[str, Source], seed: int) -> dict[str, np.ndarray]:
    # Roles of equal size must not be shuffled alike.
    return {role: salts(zlib.crc32(f"{seed}/{role}".encode())) for role in sources}


class _Shuffled(NamedTuple):
    """A whole set on the device and what its order is made from."""

    images: Images
    salts: Salts


def _check(sources: Mapping[str, Source], batch_size: int) -> None:
    for role, source in sources.items():
        if batch_size > len(source):
            raise InputError(
                f"batch_size {batch_size} is larger than the {len(source)} training "
                f"images of {source.name} for '{role}': lower batch_size or give more"
            )


def resident(
    sources: Mapping[str, Source],
    batch_size: int,
    seed: int,
    layout: Layout = Layout(),  # noqa: B008 - it never changes
) -> Feed:
    """Keep all images on the device as uint8 and gather batches there.

    Args:
        sources: the images by role; a batch draws from each independently.
        batch_size: images per role and step.
        seed: of the order.
        layout: where they are kept.

    Raises:
        InputError: where a source has fewer images than a batch.
    """
    _check(sources, batch_size)
    orders = _orders(sources, seed)
    loaded = {role: in_memory(source) for role, source in sources.items()}
    arrays = layout.whole(
        {
            role: _Shuffled(
                Images(source.images, _labels(source.labels, len(source))),
                orders[role],
            )
            for role, source in loaded.items()
        }
    )

    def batch(arrays: PyTree, step: Int[Array, ""]) -> Batch:
        chosen = {
            role: indices(step, batch_size, len(images.label), salts)
            for role, (images, salts) in arrays.items()
        }
        return {
            role: jax.tree.map(lambda array, at=chosen[role]: array[at], images)
            for role, (images, _) in arrays.items()
        }

    return Feed(lambda first, count, room: arrays, batch)


def _labels(labels: np.ndarray | None, count: int) -> np.ndarray:
    return np.full(count, -1, np.int32) if labels is None else labels.astype(np.int32)


def streamed(
    sources: Mapping[str, Source],
    batch_size: int,
    seed: int,
    layout: Layout = Layout(),  # noqa: B008 - it never changes
    threads: int = 8,
) -> Feed:
    """Read the batches of `resident` through Grain, for sets that do not fit.

    Grain reads batches ahead; memory holds a few stretches of steps only.

    Args:
        sources: as of `resident`.
        batch_size: as of `resident`.
        seed: as of `resident`.
        layout: where batches go, and which part of each is read here.
        threads: in which batches are read, as many ahead.

    Raises:
        InputError: where a source has fewer images than a batch.
    """
    _check(sources, batch_size)
    orders = _orders(sources, seed)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    reading: dict[str, tuple[int, Iterator[Any]]] = {}

    def open_at(role: str, step: int) -> Iterator[Any]:
        batches = _Batches(sources[role], batch_size, orders[role], layout.share)
        return iter(
            grain.MapDataset.source(batches)
            .slice(slice(step, None))
            .to_iter_dataset(options)
        )

    def read(role: str, first: int, count: int, room: int) -> Images:
        at, batches = reading.get(role, (-1, iter(())))
        if at != first:  # the start, or a run that resumes
            batches = open_at(role, first)
        read = [next(batches) for _ in range(count)]
        reading[role] = (first + count, batches)
        read += [read[-1]] * (room - count)
        return Images(*(np.stack(parts) for parts in zip(*read, strict=True)))

    def stretch(first: int, count: int, room: int) -> PyTree:
        loaded = {role: read(role, first, count, room) for role in sources}
        return np.int32(first), layout.batches(loaded)

    def batch(arrays: PyTree, step: Int[Array, ""]) -> Batch:
        first, loaded = arrays
        return jax.tree.map(lambda array: array[step - first], loaded)

    return Feed(stretch, batch)


class _Batches:
    """The endless sequence of batches, as Grain reads: by step."""

    def __init__(
        self,
        source: Source,
        batch_size: int,
        salts: np.ndarray,
        share: slice | np.ndarray,
    ):
        self._source = source
        self._share = share
        self._length = 2**32 // batch_size  # positions are 32-bit words
        self._draw = jax.jit(
            functools.partial(
                indices, batch_size=batch_size, count=len(source), salts=salts
            )
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, step: int) -> Images:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            chosen = np.asarray(self._draw(np.int32(step)))
        return read(self._source, chosen[self._share])


def read(source: Source, indices: Int[np.ndarray, " count"]) -> Images:
    """Read images together, as they are stored, with their labels.

    Raises:
        InputError: one can no longer be read.
    """
    examples = take(source, indices.tolist())
    return Images(
        np.stack([example.image for example in examples]),
        np.array([example.label for example in examples], np.int32),
    )


def to_float(images: Pixels) -> Float[Array, "*batch height width channels"]:
    """Scale 8-bit images to [-1, 1]; numbers stay as they are."""
    scaled = jnp.asarray(images, jnp.float32)
    return scaled / 127.5 - 1.0 if images.dtype == jnp.uint8 else scaled
