"""Write the networks of a run into the file of a packaged prior.

python -m gan_jax.priors --run=runs/prior_digits --name=digits
python -m gan_jax.priors --run=runs/prior_digits_latent --name=digits_latent --critic

Applications then take its name in place of a run: --config.prior=digits. The networks
are stored in half precision; their measures are printed as they were and as they are in
the file. `docs/priors.md` has the commands that train the runs.
"""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.setup import prepare
from gan_jax.config.errors import run_command
from gan_jax.priors.packaged import FOLDER
from gan_jax.priors.packing import as_packed, check_name, check_public, pack
from gan_jax.report.measures import measures
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior, open_prior


def main(arguments: Sequence[str] | None = None) -> int:
    """Package what the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="gan_jax.priors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, help="workdir of a trained run")
    parser.add_argument("--name", required=True, help="name of the packaged prior")
    parser.add_argument(
        "--critic", action="store_true", help="keep the critic, for latent searches"
    )
    parser.add_argument(
        "--out", default=str(FOLDER), help="folder of the file; the package by default"
    )
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    return run_command(lambda: _package(options), options.verbose)


def _package(options: argparse.Namespace) -> None:
    check_name(options.name)
    path = Path(options.out).expanduser() / f"{options.name}.npz"
    prior = open_prior(options.run, "Train it first: docs/priors.md.")
    check_public(prior)
    before, after = _measured(prior, as_packed(prior, options.critic))
    sha256 = pack(options.run, path, options.critic, {"metrics_as_stored": after})
    exact, stored = measures(before), measures(after)
    for name in filter(stored.__contains__, exact):
        say(f"{name:20s} {exact[name]:<12.6g} as stored: {stored[name]:.6g}")
    say(f"{options.name}: {path}, {path.stat().st_size} bytes, sha256 {sha256}")


def _measured(*priors: Prior) -> list[dict[str, Any]]:
    """Return the metrics of the generator of several priors of one run.

    They are not those of the run's summary: a prior has statistics of batch
    normalisation of its own (`apps.train.prior`).
    """
    config = priors[0].config
    with tempfile.TemporaryDirectory() as unused:
        run = prepare(config, Path(unused), trained=priors[0].workdir)
        evaluation = Evaluation(run)
        return [
            evaluation.measure(
                prior.networks, "test", config.evaluation.final_count
            ).metrics
            for prior in priors
        ]


if __name__ == "__main__":
    sys.exit(main())
