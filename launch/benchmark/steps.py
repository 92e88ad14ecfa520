"""Time train steps: alone, in a compiled loop, and with streamed images.

Rows: the pixel-conditioned GAN, plain GANs, and Wasserstein GANs with gradient penalty
(one critic step) at 28x28 and 64x64, batch 64; ChromaGAN's published networks with its
teacher, batch 10.
"""

import itertools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax.build import methods, tasks
from gan_jax.config import defaults
from gan_jax.data.datasets.dataset import ArraySource
from gan_jax.data.feed import Feed, resident, streamed
from gan_jax.networks.classifier import Classifier
from gan_jax.networks.compilation import compiled
from gan_jax.networks.layers import convolutions
from gan_jax.tasks.colors import TEACHER
from gan_jax.training.state import TrainState
from gan_jax.training.step import initial_state, make_step, make_stretch
from launch.benchmark.timing import empty_cache, time_in_turns

CONFIGS = Path(__file__).parents[2] / "configs"
FUSED = 4  # steps per fused call
CLASSES = 10  # of ChromaGAN's teacher

_SMALL = {"data.size": 28, "network.depth": 2}
_LARGE = {"data.size": 64, "network.depth": 4}
_CHROMA = {"network.width": 64, "network.critic_width": 64, "batch_size": 10}


@dataclass(frozen=True)
class Row:
    """A training config whose step is timed.

    Attributes:
        config: Name of the file in `configs/`.
        variant: Variant of the config.
        changes: Values that differ from the config's, by dotted key.
        channels: Channels of the images.
    """

    config: str
    variant: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 1


_PIXELS = {"mask.count": 3, "mask.fraction": 0.0}
_HALF = {**_PIXELS, "network.width": 32, "network.critic_width": 32}
_NARROW = {**_PIXELS, "critic_penalty": 0.0}
_ONE_CRITIC_STEP = {"critic_steps": 1}
ROWS = {
    "pixelcgan_28": Row("pixelcgan", "mnist", _PIXELS),
    "pixelcgan_28_half": Row("pixelcgan", "mnist", _HALF),
    "pixelcgan_28_narrow": Row("pixelcgan", "digits", _NARROW),
    "pixelcgan_64": Row(
        "pixelcgan", "mnist", {**_PIXELS, **_LARGE, "network.width": 32}
    ),
    "dcgan_28": Row("gan", "mnist", _SMALL),
    "dcgan_64": Row("gan", "mnist", _LARGE, channels=3),
    "wgan_gp_28": Row("wgan_gp", "mnist", {**_SMALL, **_ONE_CRITIC_STEP}),
    "wgan_gp_64": Row("wgan_gp", "mnist", {**_LARGE, **_ONE_CRITIC_STEP}, channels=3),
    "chroma_64": Row("colorize", "chromagan", {**_CHROMA, "data.size": 64}, channels=3),
    "chroma_224": Row(
        "colorize", "chromagan", {**_CHROMA, "data.size": 224}, channels=3
    ),
}
SLOW = ("chroma_224",)  # takes a minute per step on two CPU cores


def row_config(row: Row) -> ConfigDict:
    """Return the config of a row."""
    file = str(CONFIGS / f"{row.config}.py")
    config = defaults.sibling(file, row.config, row.variant)
    config.update_from_flattened_dict(row.changes)
    return config


def time_step(
    row: Row,
    repeats: int,
    module: ModuleType | None = None,
    peers: Collection[str] = (),
    batch_size: int = 0,
) -> dict[str, float]:
    """Time a step alone and in fused calls, and the steps of peers.

    Args:
        row: Config that is trained on noise.
        repeats: Rounds per median.
        module: Module `launch.benchmark.peers`, or None without PyTorch.
        peers: Peers to time: `eager` and `compiled` (PyTorch), `flax` (our step with
            flax's convolutions).
        batch_size: Batch size; 0 takes the config's.

    Returns:
        Median milliseconds per step in each form; seconds to compile with an empty and
        a warm cache; MiB that XLA allocates beside the arguments; the arithmetic of
        the published layers in GFLOP/s. Ratios are medians over rounds, above 1 if our
        step is faster.
    """
    config = row_config(row)
    config.batch_size = batch_size or config.batch_size
    work = _Program(config, row.channels)
    measured: dict[str, float] = {"batch": config.batch_size}
    with empty_cache():
        for name in ("compile_cold", "compile_warm"):
            jax.clear_caches()
            began = time.perf_counter()
            step = work.lower().compile()
            measured[name] = time.perf_counter() - began
    if (memory := step.memory_analysis()) is not None:
        measured["mebibytes"] = memory.temp_size_in_bytes / 2**20
    calls = {
        "alone": work.step_call(step),
        "generate": work.generate_call(),
        "in_loop": work.loop_call(work.resident),
        "streamed": work.loop_call(work.streamed),
    }
    if module is not None and config.task != "colors":  # peers have no ChromaGAN
        if "eager" in peers:
            calls["torch"] = module.make_step(config, work.images)
        if "compiled" in peers and not config.gradient_penalty:
            calls["torch_compiled"] = module.make_step(
                config, work.images, compiled=True
            )
    with mock.patch.object(convolutions, "use_cpu_forms", lambda: False):
        direct = work.lower()
        if "flax" in peers:
            calls["flax"] = work.step_call(direct.compile())
    times = time_in_turns(calls, repeats)
    for name in ("in_loop", "streamed"):
        times[name] /= FUSED
    measured |= {name: float(np.median(taken)) for name, taken in times.items()}
    measured["gigaflops"] = 1e-6 * direct.cost_analysis()["flops"] / measured["in_loop"]
    for name in set(times) - {"generate", "in_loop"}:
        # The step of `flax` is not fused, so it is compared with a step alone.
        own_times = times["alone" if name == "flax" else "in_loop"]
        measured[f"ratio_to_{name}"] = float(np.median(times[name] / own_times))
    return measured


class _Program:
    """The train step of a row, its state, and random images."""

    def __init__(self, config: ConfigDict, channels: int):
        size, batch_size = config.data.size, config.batch_size
        task = tasks.task(config)
        self.frozen, classes = None, 0
        if config.get("class_weight", 0):
            teacher = Classifier(CLASSES)
            grey = jnp.zeros((1, size, size, 1))
            self.frozen = {TEACHER: jax.jit(teacher.init)(jax.random.key(1), grey)}
            classes = CLASSES
        shape = (max(64, 8 * batch_size), size, size, channels)
        self.images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        sources = {role: ArraySource("noise", self.images) for role in task.roles}
        self.resident = resident(sources, batch_size, seed=0)
        self.streamed = streamed(sources, batch_size, seed=0)
        self.method = methods.method(config, task, channels, classes)
        self.batch_size = batch_size
        self.arrays = self.resident.load(0, 1, 1)
        self.state = jax.jit(self._begin)(jax.random.key(0), self.arrays)

    def _begin(self, key: PRNGKeyArray, arrays: PyTree) -> TrainState:
        return initial_state(
            self.method, key, self.resident.batch(arrays, jnp.int32(0))
        )

    def lower(self) -> jax.stages.Lowered:
        """Return the traced step, with the form of convolutions that is now in use."""
        step = make_step(self.method, self.resident.batch)
        lower: jax.stages.Lowered = compiled(step).lower(
            self.state, self.arrays, self.frozen
        )
        return lower

    def step_call(self, step: jax.stages.Compiled) -> Callable[[], object]:
        """Return a function that runs a compiled step."""
        return lambda: jax.block_until_ready(step(self.state, self.arrays, self.frozen))

    def generate_call(self) -> Callable[[], object]:
        """Return a function that generates a batch of images."""

        def condition(arrays: PyTree) -> PyTree:
            batch = self.resident.batch(arrays, jnp.int32(0))
            return self.method.present(jax.random.key(2), batch).condition

        conditions = jax.jit(condition)(self.arrays)
        latent = self.method.latent(jax.random.key(3), self.batch_size)
        generate = compiled(self.method.generator.apply)
        variables = self.state.generator.variables
        return lambda: jax.block_until_ready(generate(variables, latent, conditions))

    def loop_call(self, feed: Feed) -> Callable[[], object]:
        """Return a function that runs fused steps and loads the next images.

        This is the loop of training.
        """
        fused = compiled(make_stretch(make_step(self.method, feed.batch), FUSED))
        steps = itertools.count(0, FUSED)
        arrays = feed.load(next(steps), FUSED, FUSED)
        state = self.state

        def call() -> None:
            nonlocal arrays, state
            state, logs = fused(state, arrays, jnp.int32(FUSED), self.frozen)
            arrays = feed.load(next(steps), FUSED, FUSED)
            jax.block_until_ready(logs)

        return call
