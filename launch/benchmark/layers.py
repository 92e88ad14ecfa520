"""Compare refinement at every stage of a generator: FID against the step size.

python -m launch.benchmark.layers --prior=runs/gan --plot=layers.png

Samples are refined at every stage, from the latent to the image, with the prior's
critic and the same latents. FID uses the features of the dataset's classifier.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from gan_jax.apps.collaborate.refinement import Refiner
from gan_jax.apps.collaborate.run import collaboration
from gan_jax.apps.study.named_lines import comparison
from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.setup import prepare
from gan_jax.config import defaults
from gan_jax.runs.prior import open_prior
from gan_jax.search.observation import Observation
from launch.benchmark.timing import line


def main() -> None:
    """Refine at every stage with every step size; print and plot the FID."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prior", required=True, help="workdir of a training run")
    parser.add_argument(
        "--rates", default="0.001,0.003,0.01,0.03,0.1,0.3,1", help="step sizes"
    )
    parser.add_argument(
        "--stopping", default="deterministic", help="as config.refinement.stopping"
    )
    parser.add_argument("--count", type=int, default=2000, help="number of samples")
    parser.add_argument("--plot", type=Path, help="write the plot here (PNG)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    prior = open_prior(options.prior, "")
    this = prepare(prior.config, prior.workdir)
    evaluation = Evaluation(this)
    latents = np.asarray(prior.method.latent(jax.random.key(1), options.count))
    request = this.task.ask(this.parts["test"], jax.random.key(2), options.count)
    observations = Observation(condition=request.condition)
    critic = prior.networks.critic
    rows: list[dict[str, object]] = []
    for layer in range(len(prior.method.generator.stages) + 1):
        for rate in map(float, options.rates.split(",")):
            config = defaults.collaboration("layers")
            config.refinement.layer = layer
            config.refinement.rate = rate
            config.refinement.stopping = options.stopping
            settings = collaboration(config, prior, "refinement")
            refiner = Refiner(prior, settings, this.parts["validation"])
            refined = refiner.refine(critic, latents, observations, jax.random.key(3))
            images, condition = refined.images, observations.condition
            metrics = evaluation.compare(images, condition, "test", 10_000).metrics
            rows.append(
                {
                    "layer": layer,
                    "rate": rate,
                    "steps": float(refined.steps.mean()),
                    "fid": metrics["fid"],
                    "recall": metrics["recall"],
                }
            )
            print(line(rows[-1]), flush=True)
    images = refiner.propose(latents, observations)
    plain = evaluation.compare(images, observations.condition, "test", 10_000).metrics
    print(f"proposals: {plain['fid']}", flush=True)
    if options.json:
        text = json.dumps({"proposals": plain["fid"], "rows": rows}, indent=2)
        options.json.write_text(text + "\n")
    if options.plot and plain["fid"] is not None:
        lines = {
            f"layer {layer}": [
                (
                    np.array([row["rate"] for row in rows if row["layer"] == layer]),
                    np.array([row["fid"] for row in rows if row["layer"] == layer]),
                )
            ]
            for layer in dict.fromkeys(row["layer"] for row in rows)
        }
        rates = next(iter(lines.values()))[0][0][[0, -1]]
        lines["proposals"] = [(rates, np.full(2, plain["fid"]))]
        options.plot.write_bytes(comparison(lines, "step size", "FID", "png"))


if __name__ == "__main__":
    main()
