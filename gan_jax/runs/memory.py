"""The memory that a run will take, estimated before anything is allocated.

Networks are traced for their shapes alone (`jax.eval_shape`); nothing is computed or
compiled. The estimates are meant to be right within a factor of two; their factors are
fitted to the peak memory of runs on CPUs.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import GIB, memory_limit, size_of
from gan_jax.config.schema import find
from gan_jax.networks.layers.convolutions import trace_for
from gan_jax.runs.prior import blank_images
from gan_jax.tasks.task import Task
from gan_jax.training.method import Method
from gan_jax.training.state import Variables, bytes_of

FLOAT = 4
"""Bytes of a number in single precision."""

_PROGRAM = 3 * GIB // 4  # libraries and compiled programs

PASSES = 3.0
"""Memory of a network that is differentiated, as a multiple of its layers' outputs."""


class Demand(NamedTuple):
    """Memory that a run needs for one purpose."""

    size: int | float
    """Bytes."""
    purpose: str
    keys: Sequence[str]
    """Keys of the config that it grows with; what is empty or 0 is not blamed."""
    on_device: bool = False
    """Whether it lies in the memory of an accelerator, where there is one."""
    remedy: str = "lower"
    """What to do with the keys: lower or raise."""
    otherwise: str = ""
    """What else can be done, in words."""


class Networks(NamedTuple):
    """Sizes of a run's networks in bytes."""

    state: int
    """Everything that training carries: networks, optimisers, moving average."""
    variables: int
    """Both networks alone."""
    generator: float
    """Outputs of all layers of the generator, for one image."""
    critic: float
    """Outputs of all layers of the critic, for one image."""


def check_memory(config: ConfigDict, demands: Iterable[Demand]) -> None:
    """Refuse a run that needs more memory than there is; allocate nothing.

    What lies on an accelerator is compared with its memory, all else with
    `limits.memory_limit`. The key `memory` stands for both.

    Raises:
        InputError: Names the key farthest above its default, the estimate and the
            memory.
    """
    demands = list(demands)
    device = device_memory()
    if device is None:
        _check(config, demands, "this machine", memory_limit(config), _PROGRAM)
        return
    host = [demand for demand in demands if not demand.on_device]
    _check(config, host, "this machine", memory_limit(config), _PROGRAM)
    there = [demand for demand in demands if demand.on_device]
    limit = round(config.get("memory", 0.0) * GIB) or device
    _check(config, there, "its accelerator", limit, 0)


def _check(
    config: ConfigDict, demands: Sequence[Demand], place: str, limit: int, base: int
) -> None:
    total = base + sum(demand.size for demand in demands)
    if total <= limit or not demands:
        return
    largest = max(demands, key=lambda demand: demand.size)
    flat = flatten(config)

    def excess(key: str) -> float:
        default = find(key, config.program).default or 1
        ratio = _side(flat[key], key) / max(1, _side(default, key))
        return 1 / ratio if largest.remedy == "raise" else ratio

    key = max((key for key in largest.keys if flat.get(key)), key=excess, default="")
    blamed = f"{key} is {flat[key]}, and " if key else ""
    remedy = f"{largest.remedy} --config.{key}" if key else ""
    remedies = [each for each in (remedy, largest.otherwise) if each]
    given = "memory gives it" if config.get("memory", 0.0) else f"{place} has"
    raise InputError(
        f"{blamed}the run needs about {in_words(total)} of memory, "
        f"{in_words(largest.size)} of it for {largest.purpose}; {given} "
        f"{in_words(limit)}: {', '.join(remedies)}{', or ' if remedies else ''}"
        "allow more with --config.memory, in GiB"
    )


def _side(value: Any, key: str) -> float:
    """Return a number, or the side of the square that has the pixels of a size."""
    size = isinstance(value, str)
    return math.sqrt(size_of(value, key).pixels) if size else float(value)


def in_words(size: int | float) -> str:
    """Return a number of bytes in words, e.g. `3.2 GiB`."""
    units = ("MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
    power = min(max(2, math.floor(math.log2(max(size, 1)) / 10)), len(units) + 1)
    number = size / 2 ** (10 * power)
    digits = f"{number:.3g}" if number < 100 else f"{number:,.0f}"
    return f"{digits} {units[power - 2]}"


def device_memory() -> int | None:
    """Return the bytes of an accelerator; None where devices use the host's memory."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return None
    limit: int = (device.memory_stats() or {}).get("bytes_limit", sys.maxsize)
    return limit


NETWORK_KEYS = (
    "network.width",
    "network.critic_width",
    "network.kernel",
    "network.hidden",
    "network.code",
    "latent.size",
    "data.size",
    "network.depth",
    "network.critic_depth",
)
"""Keys that the sizes of networks depend on."""


def network_sizes(
    config: ConfigDict, task: Task, method: Method, channels: int
) -> Networks:
    """Return the sizes of the networks of a config, for data with so many channels."""
    count = config.get("packing", 1)
    images = jax.eval_shape(lambda: blank_images(config, task, channels))
    key = jax.eval_shape(lambda: jax.random.key(0))
    # The forms for CPUs take minutes to trace where kernels are large.
    with trace_for("shapes"):
        batch = jax.eval_shape(method.present, key, images)
        latent = jax.eval_shape(lambda key: method.latent(key, count), key)
        generator, made = traced(method.generator, key, latent, batch.condition)
        critic, seen = traced(method.critic, key, batch.real, batch.real_condition)
    optimizers = [
        jax.eval_shape(optimizer.init, variables["params"])
        for optimizer, variables in (
            (method.generator_optimizer, generator),
            (method.critic_optimizer, critic),
        )
    ]
    variables = bytes_of((generator, critic))
    return Networks(
        variables + bytes_of((generator, optimizers)),  # and the moving average
        variables,
        made / count,
        seen / count,
    )


def traced(module: nn.Module, *inputs: PyTree) -> tuple[Variables, int]:
    """Return the shapes of a module's variables, and the bytes of all its outputs.

    The outputs are those of its layers, and of the layers in them.
    """
    outputs: list[int] = []

    # Flax's spectral norm does not work with its own `capture_intermediates`.
    def record(call: Any, inputs: Any, options: Any, context: Any) -> Any:
        output = call(*inputs, **options)
        outputs.append(bytes_of(output))
        return output

    def init(*inputs: Any) -> Any:
        return module.init(*inputs, train=True)

    with nn.intercept_methods(record):
        variables = jax.eval_shape(init, *inputs)
    return dict(variables), sum(outputs)
