"""Time latent searches: in batches, one by one, in PyTorch, and in a queue.

python -m launch.benchmark.searches  random networks, our search alone
python -m launch.benchmark.searches --peers  with PyTorch eager, if installed
python -m launch.benchmark.searches --prior=runs/wgan_gp  a queue of its test images
python -m launch.benchmark.searches --json=rows.json  write JSON as well

Rows: DCGAN's networks at 28x28 and 64x64, for several numbers of slots, in image-
iterations per second: iterations times images. `loop` searches the images one by one
with the same program. `natural` uses the natural gradient; all others use Adam. Memory
is what XLA allocates for one call. The queue is timed in two ways: with slots that are
refilled as soon as a search has converged, and in batches that wait for their last
search.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.inpaint.masked_images import of_data
from gan_jax.apps.inpaint.placement import lay_whole, reduced
from gan_jax.build import datasets, methods, searches, tasks
from gan_jax.config import defaults
from gan_jax.config.limits import size_of
from gan_jax.data.holes import centre
from gan_jax.losses.inpainting import near_weights
from gan_jax.networks.compilation import compiled
from gan_jax.runs.prior import Prior, open_prior
from gan_jax.search.completion import Terms, completion_loss, for_one
from gan_jax.search.latent import (
    Search,
    as_tree,
    begin,
    compile_search,
    make_advance,
    run,
)
from gan_jax.search.natural_gradient import natural_gradient
from gan_jax.search.observation import Observation
from launch.benchmark.timing import import_peers, line, time_in_turns

ROWS = {
    "latent_search_28": {"data.size": 28, "network.depth": 2},
    "latent_search_64": {
        "data.size": 64,
        "network.depth": 4,
        "network.width": 32,
        "network.critic_width": 32,
    },
}
RATE, PRIOR = 0.03, 0.003


def main() -> None:
    """Time the rows, or a queue, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true", help="time PyTorch as well")
    parser.add_argument(
        "--rows", default=",".join(ROWS), help="names of rows, joined by commas"
    )
    parser.add_argument("--slots", default="1,16,64,256", help="numbers of slots")
    parser.add_argument("--prior", help="workdir of a run for a queue of test images")
    parser.add_argument("--queue", type=int, default=512, help="images of the queue")
    parser.add_argument("--repeats", type=int, default=5, help="rounds per median")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    if options.prior:
        rows = [time_queue(open_prior(options.prior, ""), options.queue)]
        print(line(rows[0]), flush=True)
    else:
        peers = import_peers() if options.peers else None
        rows = []
        for name in options.rows.split(","):
            for slots in map(int, options.slots.split(",")):
                row = time_search(row_config(ROWS[name]), slots, options.repeats, peers)
                rows.append({"name": name, "slots": slots, **row})
                print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def row_config(changes: dict[str, int]) -> ConfigDict:
    """Return the config of a row: DCGAN with changed values."""
    config = defaults.generation("searches")
    config.update_from_flattened_dict(changes)
    return config


def time_search(
    config: ConfigDict,
    slots: int,
    repeats: int,
    peers: ModuleType | None = None,
    work: int = 4096,
) -> dict[str, float]:
    """Time the latent search of a batch of images.

    Args:
        config: Config of the networks.
        slots: Number of images, all searched at once.
        repeats: Rounds per median.
        peers: Module `launch.benchmark.peers`, or None to leave PyTorch out.
        work: Image-iterations per call at 28x28, about one second.

    Returns:
        Median image-iterations per second, median ratios, above 1 if our search is
        faster, and MiB that XLA allocates.
    """
    size = config.data.size
    method = methods.method(config, tasks.task(config), channels=1)
    keys = jax.random.split(jax.random.key(0), 5)
    images = jnp.tanh(jax.random.normal(keys[0], (slots, size, size, 1)))
    mask = jnp.broadcast_to(centre(keys[1], size, size), images.shape)
    observations = Observation(images * mask, mask, jax.vmap(near_weights)(mask))
    starts = jnp.clip(method.latent(keys[2], slots), -1.0, 1.0)[None]
    loss = completion_loss(
        for_one(method.generator, method.generator.init(keys[3], starts[0])),
        for_one(method.critic, method.critic.init(keys[4], images)),
        lambda image: image,
        Terms(prior=PRIOR),
    )
    iterations = max(4, work * 28**2 // (slots * size**2))
    adam = Search(loss, optax.adam(RATE), iterations=iterations)
    natural = adam._replace(optimizer=natural_gradient(RATE))
    looped = min(slots, 4)  # images of the loop, whose rate is independent of them
    one_by_one = [
        _slice(starts, observations, slice(image, image + 1)) for image in range(looped)
    ]
    with_adam, alone, with_natural = (
        compile_search(which, iterations, compiled) for which in (adam, adam, natural)
    )
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: run(with_adam, starts, observations, slots),
        "loop": lambda: [run(alone, *image, 1) for image in one_by_one],
        "natural": lambda: run(with_natural, starts, observations, slots),
    }
    done = {"ours": slots, "loop": looped, "natural": slots, "torch": slots}
    if peers is not None:
        calls["torch"] = peers.make_search(
            config, *map(np.asarray, observations[:3]), RATE, PRIOR, iterations
        )
    times = time_in_turns(calls, repeats)
    rates = {
        name: 1e3 * done[name] * iterations / taken for name, taken in times.items()
    }
    row = {name: float(np.median(rate)) for name, rate in rates.items()}
    row |= {
        f"ratio_to_{name}": float(np.median(rates["ours"] / rates[name]))
        for name in ("loop", "torch")
        if name in rates
    }
    return row | {
        "mebibytes": _mebibytes(adam, starts, observations, slots, iterations)
    }


def _slice(
    starts: Float[Array, "restarts images latent"], observations: Observation, at: slice
) -> tuple[Array, Observation]:
    return starts[:, at], jax.tree.map(lambda leaf: leaf[at], observations)


def _mebibytes(
    search: Search,
    starts: Float[Array, "restarts images latent"],
    observations: Observation,
    slots: int,
    length: int,
) -> float:
    """Return the MiB that XLA allocates for one call, without the arguments."""
    state = jax.vmap(functools.partial(begin, search))(starts[0])
    jobs, fresh = jnp.arange(slots, dtype=jnp.int32), jnp.ones(slots, bool)
    advance = compiled(make_advance(search, length)).lower(
        as_tree(search.loss), state, starts[0], observations, jobs, fresh
    )
    return advance.compile().memory_analysis().temp_size_in_bytes / 2**20


def time_queue(prior: Prior, images: int, slots: int = 64) -> dict[str, float]:
    """Time a queue of test images with refilled slots, and in batches.

    The searches minimise Yeh's loss and stop after 25 iterations without 1% of
    progress.

    Args:
        prior: Prior of the searches.
        images: Number of test images.
        slots: Searches at once.

    Returns:
        Seconds of both ways and their ratio, the mean and the largest number of
        iterations, and the largest difference of residuals (0 if results are equal).
    """
    size = size_of(prior.config.data.size)
    test = datasets.parts(prior.config)["test"]["real"]
    masked = of_data(test, images, centre, seed=0)
    pairs = [reduced(placed, size) for placed in lay_whole(masked)]
    values, mask, _ = (jnp.asarray(np.stack(side)) for side in zip(*pairs, strict=True))
    observations = Observation(values * mask, mask, jax.vmap(near_weights)(mask))
    networks, method = prior.networks, prior.method
    search = Search(
        completion_loss(
            for_one(method.generator, networks.generator),
            for_one(method.critic, networks.critic),
            lambda image: image,
            Terms(
                prior=PRIOR,
                score_loss=searches.score_loss(prior.config, "unlikely", "trained"),
                real_score=prior.real_score,
            ),
        ),
        optax.adam(RATE),
        searches.support(prior.config),
        iterations=1000,
        patience=25,
        progress=0.01,
    )
    compiled_search = compile_search(search, 25, compiled)
    latent = method.latent(jax.random.key(0), len(masked))
    starts = jnp.clip(latent, -1.0, 1.0)[None]
    parts = [slice(first, first + slots) for first in range(0, len(masked), slots)]
    # Compile for both numbers of images.
    run(compiled_search, starts, observations, slots)
    run(compiled_search, *_slice(starts, observations, parts[0]), slots)

    began = time.perf_counter()
    queued = run(compiled_search, starts, observations, slots)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    whole = [
        run(compiled_search, *_slice(starts, observations, at), slots) for at in parts
    ]
    in_batches = time.perf_counter() - began
    steps = queued.restarts.steps
    residual = np.concatenate([minima.residual for minima in whole])
    return {
        "images": len(masked),
        "continuous_seconds": seconds,
        "batches_seconds": in_batches,
        "ratio": in_batches / seconds,
        "mean_iterations": float(steps.mean()),
        "most_iterations": float(steps.max()),
        "difference": float(np.abs(queued.residual - residual).max()),
    }


if __name__ == "__main__":
    main()
