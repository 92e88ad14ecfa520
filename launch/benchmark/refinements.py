"""Time refinement per image and shaping per epoch, and measure their memory.

python -m launch.benchmark.refinements  random networks
python -m launch.benchmark.refinements --prior=runs/gan  samples of a trained prior
python -m launch.benchmark.refinements --json=rows.json  write JSON as well

Rows: DCGAN's networks at 28x28 and 64x64, for several numbers of slots. Samples of
random networks take all steps. Samples of a trained prior stop when they reach the
median score of real images, and their slots are refilled: `waiting` is the time per
image in batches that wait for their last image, divided by ours. A shaping epoch has
5,000 images in batches of 64, with random numbers of steps.
"""

import argparse
import json
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.build import datasets, methods, tasks
from gan_jax.data.feed import read, to_float
from gan_jax.networks.compilation import compiled
from gan_jax.runs.prior import open_prior
from gan_jax.search.collaboration import (
    STOPPINGS,
    Collaboration,
    Standard,
    improve,
    propose,
    scores,
    standard,
    stops,
)
from gan_jax.search.observation import Observation
from gan_jax.search.refinement import Refined
from gan_jax.training.method import Batch, Method
from gan_jax.training.shaping import Lesson, shape
from gan_jax.training.state import Player, Variables
from launch.benchmark.searches import ROWS, row_config
from launch.benchmark.timing import line, time_in_turns

Networks: TypeAlias = tuple[Variables, Variables]
BATCH, EPOCH, STEPS = 64, 5000, 50
NEVER = Standard(jnp.float32(0), jnp.float32(-jnp.inf))  # no sample reaches it


def main() -> None:
    """Time the rows and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prior", help="workdir of a run whose samples are refined")
    parser.add_argument(
        "--rows", default=",".join(ROWS), help="names of rows, joined by commas"
    )
    parser.add_argument("--slots", default="1,16,64", help="numbers of slots")
    parser.add_argument("--images", type=int, default=256, help="samples per call")
    parser.add_argument("--repeats", type=int, default=3, help="rounds per median")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    slots = [int(number) for number in options.slots.split(",")]
    rows: list[dict[str, Any]] = []
    if options.prior:
        prior = open_prior(options.prior, "")
        validation = datasets.parts(prior.config)["validation"]["real"]
        real = read(validation, np.arange(1000)).image
        networks = prior.networks.generator, prior.networks.critic
        cases = [(options.prior, prior.method, networks, to_float(real))]
    else:
        cases = [random_networks(name) for name in options.rows.split(",")]
    for name, method, networks, real in cases:
        for number in slots:
            collaboration = Collaboration(*method[:2], steps=STEPS, slots=number)
            standard_score = NEVER
            if options.prior:
                standard_score = standard(
                    collaboration.score_loss, scores(collaboration, networks[1], real)
                )
            row = time_refinement(
                collaboration,
                method,
                networks,
                real,
                standard_score,
                options.images,
                options.repeats,
            )
            rows.append({"name": name, "slots": number, **row})
            print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def random_networks(
    name: str,
) -> tuple[str, Method, Networks, Array]:
    """Return the name, method and initial networks of a row, and random images."""
    config = row_config(ROWS[name])
    method = methods.method(config, tasks.task(config), channels=1)
    keys = jax.random.split(jax.random.key(0), 4)
    size = config.data.size
    real = jnp.tanh(jax.random.normal(keys[0], (BATCH, size, size, 1)))
    generator = method.generator.init(keys[1], method.latent(keys[2], 1))
    critic = method.critic.init(keys[3], real)
    return name, method, (generator, critic), real


def time_refinement(
    collaboration: Collaboration,
    method: Method,
    networks: Networks,
    real: Float[Array, "real height width channels"],
    standard_score: Standard,
    images: int,
    repeats: int,
) -> dict[str, float]:
    """Time the refinement of samples at stage 1, and a step of shaping.

    Args:
        collaboration: Networks and settings of the refinement.
        method: Method of the prior.
        networks: Variables of the prior's generator and critic.
        real: Real images for shaping.
        standard_score: Score of real images at which the refinement of a sample stops.
        images: Number of samples per call.
        repeats: Rounds per median.

    Returns:
        Milliseconds per refined image, mean number of steps, the ratio of batches that
        wait for their last image (`waiting`), seconds per shaping epoch, and MiB.
    """
    generator, critic = networks
    latents = method.latent(jax.random.key(5), images)
    probabilistic = collaboration._replace(stopping=STOPPINGS["probabilistic"])

    def refined(generator: Variables, critic: Variables, latents: Array) -> Refined:
        ends = stops(collaboration, jax.random.key(0), len(latents), standard_score)
        proposals = propose(collaboration, generator, latents)
        return improve(
            collaboration,
            generator,
            critic,
            proposals,
            Observation(),
            ends,
            standard_score.score,
        )

    statistics = {name: v for name, v in critic.items() if name != "params"}
    optimizer = method.critic_optimizer.init(critic["params"])
    player = Player(critic["params"], statistics, optimizer)
    weights = {
        name: jnp.float32(term.weight) for name, term in method.critic_terms.items()
    }
    real_batch = real[:BATCH]
    drawn = method.latent(jax.random.key(6), len(real_batch))
    batch = Lesson(Batch(real_batch, None, None), drawn, Observation())

    def shaped(generator: Variables, player: Player, batch: Lesson) -> Any:
        key = jax.random.key(7)
        return shape(method, probabilistic, generator, player, weights, batch, key)

    run = compiled(refined).lower(generator, critic, latents).compile()
    part = compiled(refined)  # for one batch, which waits for its last image
    step = compiled(shaped)
    batches = [
        latents[at : at + collaboration.slots]
        for at in range(0, images, collaboration.slots)
    ]
    times = time_in_turns(
        {
            "refined": lambda: jax.block_until_ready(run(generator, critic, latents)),
            "waiting": lambda: [
                jax.block_until_ready(part(generator, critic, images))
                for images in batches
            ],
            "shaped": lambda: jax.block_until_ready(step(generator, player, batch)),
        },
        repeats,
    )
    result = run(generator, critic, latents)
    return {
        "ms_per_image": float(np.median(times["refined"])) / images,
        "steps": float(result.steps.mean()),
        "waiting": float(np.median(times["waiting"] / times["refined"])),
        "shaping_epoch_s": float(np.median(times["shaped"])) * EPOCH / BATCH / 1e3,
        "mebibytes": run.memory_analysis().temp_size_in_bytes / 2**20,
    }


if __name__ == "__main__":
    main()
