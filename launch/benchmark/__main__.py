"""Time what the library does most: rows as JSON, and as a table for the README.

python -m launch.benchmark                     our own programs
python -m launch.benchmark --peers             peers in the same rounds (minutes)
python -m launch.benchmark --peers=eager       one of them: eager compiled flax
python -m launch.benchmark --rows=dcgan_28,fid --json=rows.json --markdown=table.md
python -m launch.benchmark --rows=dcgan_28,dcgan_64 --batches=16,64,256

Rows: train steps (`steps`), the latent search per iteration of 64 images
(`searches`), the refinement of a sample per image (`refinements`), and
`fid`, which measures 2,000 generated images as training does. PyTorch (`peers`)
runs the same networks, eager and through `torch.compile`, with as many threads as there
are cores. Flax's `Conv` and `ConvTranspose` call `jax.lax` directly, the form that our
layers take on accelerators: `flax` is our step in that form. Everything takes turns, so
that whatever else the machine does strikes all of it.

`milliseconds` is a step within a fused call (what training does), or one alone where
there is no such thing; `gigaflops` the arithmetic of the published layers over it, and
`of_peak` its share of what a product of large matrices reaches. `ratio_to_...` is above
1 where ours is faster.
"""

import argparse
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from gan_jax.evaluation.features import frechet_distance
from gan_jax.networks.classifier import Classifier
from gan_jax.runs.feature_network import TrainedFeatureNetwork
from gan_jax.runs.startup import keep_memory
from gan_jax.search.collaboration import Collaboration
from launch.benchmark import refinements, searches, steps
from launch.benchmark.timing import import_peers, line, peak, time_in_turns

PEERS = ("eager", "compiled", "flax")

_SLOTS = 64  # searches, and refinements, at once
_MEASURED = 2000  # images of which FID is taken
_SHOWN = (
    "batch",
    "milliseconds",
    "alone",
    "ratio_to_streamed",
    "compile_cold",
    "compile_warm",
    "mebibytes",
    "gigaflops",
    "of_peak",
    "ratio_to_torch",
    "ratio_to_torch_compiled",
    "ratio_to_flax",
)

Row = dict[str, Any]
Timer = Callable[[int, int, ModuleType | None, Sequence[str]], Row]
"""`(repeats, batch, peers module or None, peers)`; a batch of 0 is the row's own."""


def time_training(row: steps.Row) -> Timer:
    """Return what times a train step."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        found = steps.time_step(row, repeats, module, peers, batch)
        return {"milliseconds": found.pop("in_loop"), **found}

    return timed


def time_search(changes: Mapping[str, Any]) -> Timer:
    """Return what times an iteration of the latent search, of all images at once."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        slots = batch or _SLOTS
        eager = module if "eager" in peers else None
        config = searches.setting(dict(changes))
        found: Row = dict(searches.time_search(config, slots, repeats, eager))
        return {
            "batch": slots,
            "milliseconds": 1e3 * slots / found["ours"],
            **{key: found[key] for key in found if key[:6] == "ratio_"},
            "mebibytes": found["mebibytes"],
        }

    return timed


def time_refinement(name: str) -> Timer:
    """Return what times the refinement of one sample, of many at once."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        slots = batch or _SLOTS
        _, method, networks, real = refinements.random_networks(name)
        who = Collaboration(*method[:2], steps=refinements.STEPS, slots=slots)
        found = refinements.time_refinement(
            who, method, networks, real, refinements.NEVER, 4 * slots, repeats
        )
        return {"batch": slots, "milliseconds": found.pop("ms_per_image"), **found}

    return timed


def time_fid(
    repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
) -> Row:
    """Time what FID takes of generated images: their features, and the distance."""
    count = batch or _MEASURED
    classifier = Classifier(10)
    real, fake = (
        np.random.default_rng(seed).uniform(-1, 1, (count, 28, 28, 1)).astype("f4")
        for seed in range(2)
    )
    variables = jax.jit(classifier.init)(jax.random.key(0), real[:1])
    described = {"network": "random", "sha256": "", "accuracy": 0.0, "labels": False}
    judge = TrainedFeatureNetwork(classifier, {"variables": variables, **described})
    known = judge(real).features
    times = time_in_turns(
        {
            "milliseconds": lambda: frechet_distance(known, judge(fake).features),
            "distance": lambda: frechet_distance(known, known),
        },
        repeats,
    )
    return {"batch": count} | {name: float(np.median(t)) for name, t in times.items()}


TIMERS: dict[str, Timer] = {
    **{name: time_training(row) for name, row in steps.ROWS.items()},
    **{name: time_search(changes) for name, changes in searches.ROWS.items()},
    "refinement_28": time_refinement("latent_search_28"),
    "fid": time_fid,
}


def main() -> None:
    """Time the rows and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ",".join(name for name in TIMERS if name not in steps.SLOW)
    parser.add_argument(
        "--peers", nargs="?", const=",".join(PEERS), default="", help="names, by commas"
    )
    parser.add_argument("--rows", default=default, help="names, by commas")
    parser.add_argument("--batches", default="0", help="sizes; 0 is the row's own")
    parser.add_argument("--repeats", type=int, default=5, help="medians of so many")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    options = parser.parse_args()
    names = _known(parser, options.rows, TIMERS)
    peers = _known(parser, options.peers, PEERS)
    if peers and jax.default_backend() != "cpu":
        parser.error("the peers run on CPUs, and would be compared with this device")
    keep_memory()  # as the program does, for the peers too
    module = import_peers() if {"eager", "compiled"} & set(peers) else None
    reached = peak()
    print(f"peak {reached:.0f} GFLOP/s", flush=True)
    rows: list[Row] = []
    for name in names:
        for batch in map(int, options.batches.split(",")):
            found = TIMERS[name](options.repeats, batch, module, peers)
            if "gigaflops" in found:
                found["of_peak"] = found["gigaflops"] / reached
            rows.append({"name": name, **found})
            print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(table(rows))


def _known(
    parser: argparse.ArgumentParser, given: str, known: Collection[str]
) -> list[str]:
    names = [name for name in given.split(",") if name]
    if unknown := set(names) - set(known):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def table(rows: Sequence[Row]) -> str:
    """Set rows as a Markdown table of the figures that at least one of them has."""
    shown = [key for key in _SHOWN if any(key in row for row in rows)]
    lines = [["row", *(key.replace("_", " ") for key in shown)]]
    lines.append(["---"] * len(lines[0]))
    lines += [[row["name"], *(_cell(row.get(key)) for key in shown)] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
