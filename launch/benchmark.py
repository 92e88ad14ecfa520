"""Time whole train steps, as one call and as the body of a compiled loop.

python -m launch.benchmark                     our layers
python -m launch.benchmark --peers             PyTorch eager beside, where installed
python -m launch.benchmark --flax              flax's layers beside (minutes on a CPU)
python -m launch.benchmark --json=rows.json    rows as JSON too

Rows: the pixel-conditioned GAN at 28x28, wide, half as wide and as the digits config
has it, and at 64x64, batch 64; ChromaGAN's published networks at 64x64 and, asked for
with --rows=chromagan_224, at 224x224, batch 10, its teacher in the step. `in_loop` is
one step of a fused call, what training does; `generate` the generator alone;
`mebibytes` what XLA holds beside the arguments. Flax's `Conv` and `ConvTranspose` call
`jax.lax` directly, the form that our layers take on accelerators: the same networks
are timed in that form. PyTorch (`launch.peers`) runs the same networks, eager, with as
many threads as there are cores; our calls and its take turns, so that whatever else
the machine does strikes both.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import recipe as recipes
from gan_jax.data.feed import resident
from gan_jax.data.sources import ArraySource
from gan_jax.networks import convolutions
from gan_jax.networks.classifier import Classifier
from gan_jax.networks.compilation import compiled
from gan_jax.tasks.colors import TEACHER
from gan_jax.training.step import initial_state, make_step, make_stretch

CONFIGS = Path(__file__).parents[1] / "configs" / "colorize.py"
FUSED = 4
CHROMA = {"network.width": 64, "network.critic_width": 64, "batch_size": 10}
CLASSES = 10
PIXELS = {
    "pixelcgan_28": {"data.size": 28, "network.depth": 2, "network.kernel": 5},
    "pixelcgan_28_half": {
        "data.size": 28,
        "network.depth": 2,
        "network.kernel": 5,
        "network.width": 32,
        "network.critic_width": 32,
    },
    "pixelcgan_28_narrow": {
        "data.size": 28,
        "network.depth": 2,
        "network.kernel": 4,
        "network.width": 16,
        "network.critic_width": 24,
    },
    "pixelcgan_64": {
        "data.size": 64,
        "network.depth": 4,
        "network.kernel": 5,
        "network.width": 32,
    },
}
COLORS = {
    "chromagan_64": {**CHROMA, "data.size": 64},
    "chromagan_224": {**CHROMA, "data.size": 224},
}
ROWS = {**PIXELS, **COLORS}
SLOW = ("chromagan_224",)  # a minute for each step of two CPU cores


def main() -> None:
    """Time the rows and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ",".join(name for name in ROWS if name not in SLOW)
    parser.add_argument("--peers", action="store_true", help="time PyTorch too")
    parser.add_argument("--flax", action="store_true", help="time flax's layers too")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--rows", default=default, help="names, by commas")
    parser.add_argument("--repeats", type=int, default=5, help="medians of so many")
    options = parser.parse_args()
    unknown = set(options.rows.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"unknown rows {', '.join(unknown)}; known: {', '.join(ROWS)}")
    peers = import_peers() if options.peers else None
    rows = []
    for name in options.rows.split(","):
        config = setting(name)
        with_peers = peers if name in PIXELS else None
        row = {"name": name, **time_step(config, options.repeats, with_peers)}
        if options.flax:
            with mock.patch.object(convolutions, "runs_by_phases", lambda: False):
                direct = time_step(config, max(2, options.repeats // 2), looped=False)
            row["flax_milliseconds"] = direct["milliseconds"]
            row["ratio_to_flax"] = direct["milliseconds"] / row["milliseconds"]
        rows.append(row)
        print(
            "  ".join(
                f"{key} {value if isinstance(value, str) else format(value, '.2f')}"
                for key, value in row.items()
            ),
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def setting(name: str) -> ConfigDict:
    """Give the config of one row: the paper's pixel GAN or ChromaGAN with changes."""
    changes = ROWS[name]
    if name in COLORS:
        config = configs.sibling(str(CONFIGS), "colorize", "chromagan")
        config.update_from_flattened_dict(changes)
        return config
    config = configs.training("benchmark")
    config.task, config.pixel_weight, config.condition_critic = "pixels", 10.0, False
    config.mask = {"count": 3, "fraction": 0.0, "pattern": ""}
    config.update_from_flattened_dict(changes)
    return config


def import_peers() -> ModuleType | None:
    """Give the module of PyTorch's steps, None where PyTorch is not installed."""
    try:
        from launch import peers
    except ModuleNotFoundError as error:
        print(f"without peers: {error}", flush=True)
        return None
    return peers


def time_step(
    config: ConfigDict,
    repeats: int,
    peers: ModuleType | None = None,
    looped: bool = True,
) -> dict[str, float]:
    """Time one step alone, within a fused call where `looped`, and its peers.

    Returns:
        Medians in milliseconds; ratios are medians over rounds in which everything
        ran once, above 1 where ours is faster.
    """
    size, batch_size = config.data.size, config.batch_size
    task = recipes.task(config)
    frozen, classes = None, 0
    if config.get("class_weight", 0):
        teacher = Classifier(CLASSES)
        grey = jnp.zeros((1, size, size, 1))
        frozen = {TEACHER: jax.jit(teacher.init)(jax.random.key(1), grey)}
        classes = CLASSES
    channels = 3 if config.task == "colors" else 1
    shape = (max(64, 8 * batch_size), size, size, channels)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    feed = resident(
        {role: ArraySource("noise", noise) for role in task.roles}, batch_size, seed=0
    )
    recipe = recipes.recipe(config, task, channels, classes)
    arrays = feed.stretch(0, 1, 1)
    state = jax.jit(
        lambda key, arrays: initial_state(recipe, key, feed.batch(arrays, jnp.int32(0)))
    )(jax.random.key(0), arrays)
    step = make_step(recipe, feed.batch)
    began = time.perf_counter()
    alone = compiled(step).lower(state, arrays, frozen).compile()
    row = {"compile_seconds": time.perf_counter() - began}
    if (memory := alone.memory_analysis()) is not None:
        row["mebibytes"] = memory.temp_size_in_bytes / 2**20
    calls = {"alone": lambda: jax.block_until_ready(alone(state, arrays, frozen))}
    example = jax.jit(
        lambda arrays: recipe.present(
            jax.random.key(2), feed.batch(arrays, jnp.int32(0))
        )
    )(arrays)
    latent = recipe.latent(jax.random.key(3), batch_size)
    generate = compiled(recipe.generator.apply)
    calls["generate"] = lambda: jax.block_until_ready(
        generate(state.generator.variables, latent, example.condition)
    )
    if looped:
        fused = compiled(make_stretch(step, FUSED))
        calls["in_loop"] = lambda: jax.block_until_ready(
            fused(state, arrays, jnp.int32(FUSED), frozen)
        )
    if peers is not None:
        calls["torch"] = peers.make_step(config, noise)
    times = time_in_turns(calls, repeats)
    row["milliseconds"] = float(np.median(times["alone"]))
    row["generate"] = float(np.median(times["generate"]))
    if looped:
        each = times["in_loop"] / FUSED
        row["in_loop"] = float(np.median(each))
        row["in_loop_to_alone"] = float(np.median(each / times["alone"]))
    if peers is not None:
        ours = each if looped else times["alone"]
        row["torch_milliseconds"] = float(np.median(times["torch"]))
        row["ratio_to_torch"] = float(np.median(times["torch"] / ours))
    return row


def time_in_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, np.ndarray]:
    """Milliseconds of functions called in turns, after a round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: np.array(values[1:]) for name, values in times.items()}


if __name__ == "__main__":
    main()
