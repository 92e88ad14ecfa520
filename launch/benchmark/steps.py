"""Time whole train steps: alone, as the body of a compiled loop, on streamed images.

One row each: the pixel-conditioned GAN, plain GANs, Wasserstein GANs with the gradient
penalty (one critic step) at 28x28 and 64x64, batch 64; ChromaGAN's published networks,
batch 10, its teacher in the step.
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
from gan_jax.config import defaults as configs
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
FUSED = 4
CLASSES = 10

_SMALL = {"data.size": 28, "network.depth": 2}
_LARGE = {"data.size": 64, "network.depth": 4}
_CHROMA = {"network.width": 64, "network.critic_width": 64, "batch_size": 10}


@dataclass(frozen=True)
class Row:
    """A training config whose step is timed."""

    config: str
    """The file in `configs/`."""
    variant: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Values by dotted key."""
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
SLOW = ("chroma_224",)  # a minute for each step of two CPU cores


def setting(row: Row) -> ConfigDict:
    """Return the config of a row."""
    file = str(CONFIGS / f"{row.config}.py")
    config = configs.sibling(file, row.config, row.variant)
    config.update_from_flattened_dict(row.changes)
    return config


def time_step(
    row: Row,
    repeats: int,
    module: ModuleType | None = None,
    peers: Collection[str] = (),
    batch_size: int = 0,
) -> dict[str, float]:
    """Time one step alone, within fused calls, and its peers.

    Args:
        row: what is trained, on noise.
        repeats: rounds in which everything runs once.
        module: `launch.benchmark.peers`, where PyTorch is installed.
        peers: `eager` and `compiled` (PyTorch), `flax` (its layers in our step).
        batch_size: instead of the config's.

    Returns:
        Medians in milliseconds per step; seconds to compile, without a cache and with
        a warm one; what XLA holds beside the arguments; the arithmetic of the step as
        published forms of its layers need it, per second. Ratios are medians over
        rounds, above 1 where ours is faster.
    """
    config = setting(row)
    config.batch_size = batch_size or config.batch_size
    work = _Work(config, row.channels)
    found: dict[str, float] = {"batch": config.batch_size}
    with empty_cache():
        for name in ("compile_cold", "compile_warm"):
            jax.clear_caches()
            began = time.perf_counter()
            step = work.lowered().compile()
            found[name] = time.perf_counter() - began
    if (memory := step.memory_analysis()) is not None:
        found["mebibytes"] = memory.temp_size_in_bytes / 2**20
    calls = {
        "alone": work.calling(step),
        "generate": work.generating(),
        "in_loop": work.looping(work.resident),
        "streamed": work.looping(work.streamed),
    }
    if module is not None and config.task != "colors":  # it has no such networks
        if "eager" in peers:
            calls["torch"] = module.make_step(config, work.images)
        if "compiled" in peers and not config.gradient_penalty:
            calls["torch_compiled"] = module.make_step(
                config, work.images, compiled=True
            )
    with mock.patch.object(convolutions, "use_cpu_forms", lambda: False):
        direct = work.lowered()
        if "flax" in peers:
            calls["flax"] = work.calling(direct.compile())
    times = time_in_turns(calls, repeats)
    for name in ("in_loop", "streamed"):
        times[name] /= FUSED
    found |= {name: float(np.median(taken)) for name, taken in times.items()}
    found["gigaflops"] = 1e-6 * direct.cost_analysis()["flops"] / found["in_loop"]
    for name in set(times) - {"generate", "in_loop"}:
        # What has no loop of its own is compared with a step alone.
        ours = times["alone" if name == "flax" else "in_loop"]
        found[f"ratio_to_{name}"] = float(np.median(times[name] / ours))
    return found


class _Work:
    """The program of a row, its state and its images, which are noise."""

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

    def lowered(self) -> jax.stages.Lowered:
        """Trace the step anew, in the form of convolutions that is now in force."""
        step = make_step(self.method, self.resident.batch)
        lowered: jax.stages.Lowered = compiled(step).lower(
            self.state, self.arrays, self.frozen
        )
        return lowered

    def calling(self, step: jax.stages.Compiled) -> Callable[[], object]:
        """Return the call of a compiled step."""
        return lambda: jax.block_until_ready(step(self.state, self.arrays, self.frozen))

    def generating(self) -> Callable[[], object]:
        """Return the call that makes a batch of images."""

        def condition(arrays: PyTree) -> PyTree:
            batch = self.resident.batch(arrays, jnp.int32(0))
            return self.method.present(jax.random.key(2), batch).condition

        given = jax.jit(condition)(self.arrays)
        latent = self.method.latent(jax.random.key(3), self.batch_size)
        generate = compiled(self.method.generator.apply)
        variables = self.state.generator.variables
        return lambda: jax.block_until_ready(generate(variables, latent, given))

    def looping(self, feed: Feed) -> Callable[[], object]:
        """Return the call that makes some steps as training does, and reads ahead."""
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
