"""The mesh of devices that a batch is sharded over."""

import functools

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree

from gan_jax.config.errors import InputError
from gan_jax.data.feed import Placement
from gan_jax.training.distributed import is_multiprocess


def make_mesh(batch_size: int) -> jax.sharding.Mesh:
    """Return the mesh of the most devices that divide a batch evenly.

    Raises:
        InputError: There are several processes, whose devices do not divide the batch.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    if count < len(devices) and is_multiprocess():
        raise InputError(
            f"batch_size {batch_size} cannot be laid over {len(devices)} devices: give "
            "a multiple of them"
        )
    # Explicit axes, the default, forbid permutation and slicing of a sharded batch.
    return jax.make_mesh(
        (count,),
        ("batch",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=devices[:count],
    )


def placement_over(mesh: jax.sharding.Mesh, batch_size: int) -> Placement:
    """Return the placement of a feed's arrays on a mesh."""
    return Placement(
        functools.partial(replicated, mesh),
        functools.partial(_sharded, mesh),
        _share(mesh, batch_size),
    )


def replicated(mesh: jax.sharding.Mesh, tree: PyTree) -> PyTree[Array]:
    """Put arrays that all processes have on every device."""
    return _placed(NamedSharding(mesh, PartitionSpec()), tree)


def _sharded(mesh: jax.sharding.Mesh, tree: PyTree) -> PyTree[Array]:
    """Put a process's share of batches `[steps, batch, ...]` on its devices."""
    return _placed(NamedSharding(mesh, PartitionSpec(None, "batch")), tree)


def _placed(sharding: NamedSharding, tree: PyTree) -> PyTree[Array]:
    if not is_multiprocess():
        return jax.device_put(tree, sharding)
    place = functools.partial(jax.make_array_from_process_local_data, sharding)
    return jax.tree.map(lambda leaf: place(np.asarray(leaf)), tree)


def _share(mesh: jax.sharding.Mesh, batch_size: int) -> Int[np.ndarray, " share"]:
    """Return the indices of a batch's images on this process's devices, in order."""
    batched = NamedSharding(mesh, PartitionSpec("batch"))
    places = batched.addressable_devices_indices_map((batch_size,)).values()
    shares = [np.arange(batch_size)[place] for (place,) in filter(None, places)]
    return np.unique(np.concatenate(shares))
