"""Functions that the benchmarks share: timing in turns, the machine's peak, rows."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from gan_jax.networks.compilation import compiled


def import_peers() -> ModuleType | None:
    """Return the module `peers`, or None if PyTorch is not installed."""
    try:
        from launch.benchmark import peers
    except ModuleNotFoundError as error:
        print(f"without peers: {error}", flush=True)
        return None
    return peers


def time_in_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, np.ndarray]:
    """Return the milliseconds of functions that are called in turns.

    Args:
        calls: Functions by name, called once each in every round.
        repeats: Number of rounds, after a first one that is not timed.

    Returns:
        Milliseconds of every round, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: np.array(values[1:]) for name, values in times.items()}


def line(row: Mapping[str, object]) -> str:
    """Return a row's names and values as one line of text."""
    return "  ".join(
        f"{key} {format(value, '.3g') if isinstance(value, float) else value}"
        for key, value in row.items()
    )


def peak(size: int = 2048) -> float:
    """Return the peak of the machine in GFLOP/s, by a product of square matrices."""
    matrix = jnp.ones((size, size))
    product = compiled(jnp.matmul).lower(matrix, matrix).compile()
    call = {"product": lambda: jax.block_until_ready(product(matrix, matrix))}
    return float(2e-6 * size**3 / time_in_turns(call, 5)["product"].min())


@contextlib.contextmanager
def empty_cache() -> Iterator[None]:
    """Use an empty folder as JAX's compilation cache, within this context."""
    options = {
        "jax_compilation_cache_dir": "",
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: jax.config.values[name] for name in options}
    with tempfile.TemporaryDirectory() as folder:
        options["jax_compilation_cache_dir"] = folder
        _configure(options)
        try:
            yield
        finally:
            _configure(before)


def _configure(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
