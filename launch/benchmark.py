"""Time whole train steps, as one call and as the body of a compiled loop.

python -m launch.benchmark                     our layers
python -m launch.benchmark --flax              flax's layers beside (minutes on a CPU)
python -m launch.benchmark --json=rows.json    rows as JSON too

Rows: the pixel-conditioned GAN at 28x28, wide and as the digits config has it, and at
64x64, batch 64. `in_loop` is one step of a fused call. Flax's `Conv` and
`ConvTranspose` call `jax.lax` directly, the form that our layers take on accelerators:
the same networks are timed in that form.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import recipe as recipes
from gan_jax.data.feed import resident
from gan_jax.data.sources import ArraySource
from gan_jax.networks import layers
from gan_jax.training.step import initial_state, make_step, make_stretch

FUSED = 4
ROWS = {
    "pixelcgan_28": {"data.size": 28, "network.depth": 2, "network.kernel": 5},
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


def main() -> None:
    """Time the rows and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flax", action="store_true", help="time flax's layers too")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--rows", default=",".join(ROWS), help="names, by commas")
    parser.add_argument("--repeats", type=int, default=5, help="medians of so many")
    options = parser.parse_args()
    rows = []
    for name in options.rows.split(","):
        config = setting(ROWS[name])
        row = {"name": name, **time_step(config, options.repeats, looped=True)}
        if options.flax:
            with mock.patch.object(layers, "runs_by_phases", lambda: False):
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


def setting(changes: dict[str, int]) -> ConfigDict:
    """Give the config of one row: the paper's pixel GAN with changes."""
    config = configs.training("benchmark")
    config.task, config.pixel_weight, config.condition_critic = "pixels", 10.0, False
    config.mask = {"count": 3, "fraction": 0.0, "pattern": ""}
    config.update_from_flattened_dict(changes)
    return config


def time_step(config: ConfigDict, repeats: int, looped: bool) -> dict[str, float]:
    """Time one step alone, and within a fused call where `looped`; milliseconds."""
    size, batch_size = config.data.size, config.batch_size
    noise = np.random.default_rng(0).integers(0, 256, (512, size, size, 1), np.uint8)
    feed = resident(
        {role: ArraySource("noise", noise) for role in ("real", "constraint")},
        batch_size,
        seed=0,
    )
    recipe = recipes.recipe(config, recipes.task(config), channels=1)
    arrays = feed.stretch(0, 1, 1)
    state = jax.jit(
        lambda key, arrays: initial_state(recipe, key, feed.batch(arrays, jnp.int32(0)))
    )(jax.random.key(0), arrays)
    step = make_step(recipe, feed.batch)
    began = time.perf_counter()
    alone = jax.jit(step).lower(state, arrays, None).compile()
    row = {"compile_seconds": time.perf_counter() - began}
    row["milliseconds"] = median(lambda: alone(state, arrays, None), repeats)
    if looped:
        fused = jax.jit(make_stretch(step, FUSED))
        count = jnp.int32(FUSED)
        row["in_loop"] = median(lambda: fused(state, arrays, count), repeats) / FUSED
        row["in_loop_to_alone"] = row["in_loop"] / row["milliseconds"]
    return row


def median(function: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call, after one that does not count."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(function())
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


if __name__ == "__main__":
    main()
