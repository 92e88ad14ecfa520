"""Time the training of several runs as one program, and one after the other.

python -m launch.benchmark.populations  points, eight runs
python -m launch.benchmark.populations --config=configs/gan.py:digits  any config
python -m launch.benchmark.populations --json=rows.json  write JSON as well

`alone` is the fused step of each run in sequence; `map` and `vmap` are the two forms
of `gan_jax.training.population`. Times are per step and run; all take turns.
"""

import argparse
import json
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.build import datasets, methods, tasks
from gan_jax.data.feed import resident
from gan_jax.data.splits import partition
from gan_jax.networks.compilation import compiled
from gan_jax.training.population import gather, make_population, side_by_side
from gan_jax.training.step import initial_state, make_step, make_stretch
from launch.benchmark.timing import time_in_turns

FORMS = ("map", "vmap")


def main() -> None:
    """Time the forms and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", default="configs/r3gan.py:gaussians8", help="config of the runs"
    )
    parser.add_argument("--runs", type=int, default=8, help="number of runs")
    parser.add_argument("--steps", type=int, default=20, help="steps per fused call")
    parser.add_argument("--repeats", type=int, default=5, help="rounds per median")
    parser.add_argument("--json", type=Path, help="write the row here")
    options = parser.parse_args()
    row = {
        "name": Path(options.config).stem + f" x {options.runs}",
        **time_forms(options.config, options.runs, options.steps, options.repeats),
    }
    print("  ".join(f"{k} {v if k == 'name' else f'{v:.2f}'}" for k, v in row.items()))
    if options.json:
        options.json.write_text(json.dumps([row], indent=2) + "\n")


def time_forms(place: str, runs: int, steps: int, repeats: int) -> dict[str, float]:
    """Time the runs of a config one after the other, and as one program.

    Args:
        place: Path of the config, with a variant after a colon.
        runs: Number of runs, with seeds from 0 on.
        steps: Steps per fused call.
        repeats: Rounds per median.

    Returns:
        Milliseconds per step and run by form, and ratios above 1 where one program is
        faster.
    """
    path, _, variant = place.partition(":")
    config = runpy.run_path(path)["get_config"](variant)
    task = tasks.task(config)
    dataset = datasets.source(config.data)
    method = methods.method(config, task, dataset.train.shape[-1])
    feeds = [
        resident(partition(dataset, seed, task.roles)["train"], config.batch_size, seed)
        for seed in range(runs)
    ]
    batch = feeds[0].batch
    arrays = [feed.load(0, 1, 1) for feed in feeds]
    begin = jax.jit(
        lambda key, data: initial_state(method, key, batch(data, jnp.int32(0)))
    )
    states = [begin(jax.random.key(seed), data) for seed, data in enumerate(arrays)]
    stretch = make_stretch(make_step(method, batch), steps)
    single = compiled(stretch)
    together = {form: compiled(make_population(stretch, form)) for form in FORMS}
    population, stacked, count = gather(states), side_by_side(arrays), np.int32(steps)

    times = time_in_turns(
        {
            "alone": lambda: jax.block_until_ready(
                [single(*run, count) for run in zip(states, arrays, strict=True)]
            ),
            **{
                form: lambda call=call: jax.block_until_ready(
                    call(population, stacked, count)
                )
                for form, call in together.items()
            },
        },
        repeats,
    )
    row = {
        form: float(np.median(durations)) / steps / runs
        for form, durations in times.items()
    }
    for form in FORMS:
        row[f"ratio_{form}"] = float(np.median(times["alone"] / times[form]))
    return row


if __name__ == "__main__":
    main()
