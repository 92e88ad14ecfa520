"""Write a trained network as a program that runs without this package.

python -m gan_jax.export --prior=runs/pixelcgan --out=exported/pixelcgan

The folder holds `program.jax`, which `jax.export.deserialize` reads (StableHLO, for any
number of images), `weights.npz`, its first argument, and `metadata.json`, which
describes inputs and output and shows how to call it. With --format=onnx it holds
`network.onnx`, for onnxruntime and others, in place of the first two. A run of `train`
gives a generator (with its condition, if it has one), `colorize` a colorizer, `detect`
a detector.
"""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gan_jax.config.checks import check_path
from gan_jax.config.errors import InputError, run_command
from gan_jax.export.artefact import FORMATS, export
from gan_jax.export.stablehlo import KNOWN_PLATFORMS, PLATFORMS
from gan_jax.report.terminal import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="gan_jax.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prior", required=True, help="workdir of a trained run")
    parser.add_argument("--out", help="folder to write; exported/NAME by default")
    parser.add_argument("--format", default="jax", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument(
        "--platforms",
        help=f"some of {', '.join(KNOWN_PLATFORMS)}, for --format=jax; "
        f"{','.join(PLATFORMS)} by default",
    )
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    return run_command(lambda: _export(options), options.verbose)


def _export(options: argparse.Namespace) -> None:
    name = Path(options.prior).expanduser().resolve().name
    out = Path(options.out or Path("exported") / name)
    check_path("--prior", options.prior)
    if options.platforms is not None and options.format != "jax":
        raise InputError(
            f"--platforms is for --format=jax alone: --format={options.format} runs "
            "wherever its runtime does"
        )
    platforms = PLATFORMS if options.platforms is None else options.platforms.split(",")
    metadata = export(options.prior, out, platforms, options.format)
    for array in [*metadata["inputs"], metadata["output"]]:
        say(f"{array['name']:20s} {array['shape']}: {array['meaning']}")
    runs_on = metadata.get("platforms", metadata["needs"][:1])
    say(f"{metadata['kind']}: {out}, for {', '.join(runs_on)}")


if __name__ == "__main__":
    sys.exit(main())
