"""Compare the pixel-conditioned generator with latent search for the same known pixels.

python -m launch.benchmark.constraints --conditional=runs/pixelcgan --prior=runs/gan
python -m launch.benchmark.constraints ... --json=rows.json --plot=constraints.png

The comparison of Ruffino et al. 2019, section 5 (arXiv 1911.00689): images that have a
few known pixels of test images. The conditional generator needs one pass; an
unconditional prior of the same data needs a latent search per image (Yeh et al. 2017),
with Adam or the natural gradient. Rows hold the quality by the dataset's classifier,
the error at known pixels in [-1, 1], and milliseconds per image without compilation.
Published, on other machines: 9 ms and 4.3 s.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from PIL import Image

from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.setup import prepare as assemble
from gan_jax.build import searches
from gan_jax.networks.compilation import compiled
from gan_jax.report.measures import measures
from gan_jax.runs.inference import make_model
from gan_jax.runs.prior import Prior, open_prior
from gan_jax.search.completion import Terms, completion_loss, for_one
from gan_jax.search.latent import Search, compile_search, run
from gan_jax.search.natural_gradient import natural_gradient
from gan_jax.search.observation import Observation
from gan_jax.tasks.plates.constraints import constraint_grid
from gan_jax.tasks.task import Request, Samples
from launch.benchmark.timing import line

_KEY = 20_191_100  # of the known pixels, which are the same for both ways
_ROWS = 6  # of the plate


def main() -> None:
    """Generate images for the same known pixels in every way; print the metrics."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conditional", required=True, help="workdir of a pixelcgan")
    parser.add_argument("--prior", required=True, help="workdir of a plain GAN")
    parser.add_argument("--count", type=int, default=1000, help="test images")
    parser.add_argument(
        "--iterations", type=int, default=500, help="largest number per search"
    )
    parser.add_argument("--restarts", type=int, default=1, help="searches per image")
    parser.add_argument("--slots", type=int, default=64, help="searches at once")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="write a plate here (PNG)")
    options = parser.parse_args()
    conditional = open_prior(options.conditional, "")
    prior = open_prior(options.prior, "")
    this = assemble(conditional.config, conditional.workdir)
    names = [array.name for array in this.task.condition_arrays]
    if names != ["values", "mask"] or prior.config.task != "samples":
        parser.error("--conditional must be a pixelcgan run, --prior a plain GAN's")
    if prior.config.data != conditional.config.data:
        parser.error("the two runs have different data: train both on the same data")
    evaluation = Evaluation(this)
    request = this.task.ask(this.parts["test"], jax.random.key(_KEY), options.count)
    model = make_model(this.method, this.task.render)(conditional.networks)
    key = jax.random.key(_KEY + 1)
    search = options.iterations, options.restarts, options.slots
    falling = optax.cosine_decay_schedule(0.03, options.iterations)
    ways: Mapping[str, Callable[[], Samples]] = {
        "conditional generator": lambda: model.sample(
            key, request.condition, options.count
        ),
        "latent search, Adam": latent_search(
            prior, request, optax.adam(falling), *search
        ),
        "latent search, natural": latent_search(
            prior, request, natural_gradient(falling), *search
        ),
    }
    rows: list[dict[str, object]] = []
    samples: dict[str, Samples] = {}
    for name, make in ways.items():
        make()  # compile
        began = time.perf_counter()
        samples[name] = make()
        seconds = time.perf_counter() - began
        metrics = evaluation.compare(
            samples[name], request, "test", options.count
        ).metrics
        rows.append(
            {
                "name": name,
                "ms_per_image": 1e3 * seconds / options.count,
                **measures(metrics),
            }
        )
        print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.plot:
        plate = constraint_grid(
            *(np.asarray(maps)[:_ROWS] for maps in request.condition),
            np.stack([images[:_ROWS] for images in samples.values()], axis=1),
            original=request.truth[:_ROWS],
            titles=list(samples),
        )
        Image.fromarray(plate).save(options.plot)


def latent_search(
    prior: Prior,
    request: Request,
    optimizer: optax.GradientTransformation,
    iterations: int,
    restarts: int,
    slots: int,
) -> Callable[[], Samples]:
    """Return a function that searches latents for images with the known pixels.

    Args:
        prior: Unconditional prior.
        request: Conditions: the known pixels.
        optimizer: Optimiser of latents.
        iterations: Largest number of iterations per search.
        restarts: Searches per image, of which the best one counts.
        slots: Searches at once.
    """
    networks, method = prior.networks, prior.method
    values, mask = request.condition
    observations = Observation(values, mask, mask)
    search = Search(
        completion_loss(
            for_one(method.generator, networks.generator),
            for_one(method.critic, networks.critic),
            lambda image: image,
            Terms(
                score_loss=searches.score_loss(prior.config, "unlikely", "trained"),
                real_score=prior.real_score,
            ),
        ),
        optimizer,
        searches.support(prior.config),
        iterations=iterations,
        patience=50,
        progress=0.01,
    )
    compiled_search = compile_search(search, 25, compiled)
    count = len(values)
    drawn = method.latent(jax.random.key(_KEY + 2), restarts * count)
    starts = jnp.clip(drawn, -1.0, 1.0).reshape(restarts, count, -1)

    @compiled
    def paint(variables: object, latents: Array) -> Array:
        images: Array = method.generator.apply(variables, latents, None)
        return images

    def searched() -> Samples:
        minima = run(
            compiled_search, starts, observations, min(slots, restarts * count)
        )
        return np.asarray(paint(networks.generator, minima.latent))

    return searched


if __name__ == "__main__":
    main()
