"""Time the main programs of the library; print rows, write JSON and a Markdown table.

python -m launch.benchmark                     our own programs
python -m launch.benchmark --peers             peers in the same rounds (minutes)
python -m launch.benchmark --peers=eager       one of them: eager compiled flax
python -m launch.benchmark --rows=dcgan_28,fid --json=rows.json --markdown=table.md
python -m launch.benchmark --rows=dcgan_28,dcgan_64 --batches=16,64,256

Rows: train steps (`steps`), an iteration of the latent search of 64 images
(`searches`), the refinement of a sample (`refinements`), and the FID of 2,000 generated
images as in training (`fid`). PyTorch (`peers`) runs the same networks, eager and with
`torch.compile`, with one thread per core. `flax` is our step with flax's convolutions,
which call `jax.lax` directly, as our layers do on accelerators. All programs take turns
in rounds, so that other load of the machine affects all of them.

`milliseconds` is the time of a step within a fused call, as in training, or of a single
call where nothing is fused. `gigaflops` is the arithmetic of the published layers per
second, and `of_peak` its share of a product of large matrices. `ratio_to_...` is above
1 if our program is faster.
"""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

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

_SLOTS = 64  # searches, or refinements, at once
_FID_COUNT = 2000  # generated images for FID
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
"""`timer(repeats, batch, peers_module, peers)` returns a row; a batch of 0 is the row's
default, and `peers_module` is None without PyTorch."""


def time_training(row: steps.Row) -> Timer:
    """Return the timer of a train step."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        measured = steps.time_step(row, repeats, module, peers, batch)
        return {"milliseconds": measured.pop("in_loop"), **measured}

    return timed


def time_search(changes: Mapping[str, Any]) -> Timer:
    """Return the timer of an iteration of the latent search of a batch of images."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        slots = batch or _SLOTS
        eager = module if "eager" in peers else None
        config = searches.row_config(dict(changes))
        row: Row = dict(searches.time_search(config, slots, repeats, eager))
        return {
            "batch": slots,
            "milliseconds": 1e3 * slots / row["ours"],
            **{key: row[key] for key in row if key[:6] == "ratio_"},
            "mebibytes": row["mebibytes"],
        }

    return timed


def time_refinement(name: str) -> Timer:
    """Return the timer of refinement, per sample of a batch."""

    def timed(
        repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
    ) -> Row:
        slots = batch or _SLOTS
        _, method, networks, real = refinements.random_networks(name)
        settings = Collaboration(*method[:2], steps=refinements.STEPS, slots=slots)
        row = refinements.time_refinement(
            settings, method, networks, real, refinements.NEVER, 4 * slots, repeats
        )
        return {"batch": slots, "milliseconds": row.pop("ms_per_image"), **row}

    return timed


def time_fid(
    repeats: int, batch: int, module: ModuleType | None, peers: Sequence[str]
) -> Row:
    """Time the FID of generated images: their features and the distance."""
    count = batch or _FID_COUNT
    classifier = Classifier(10)
    real, fake = (
        np.random.default_rng(seed).uniform(-1, 1, (count, 28, 28, 1)).astype("f4")
        for seed in range(2)
    )
    variables = jax.jit(classifier.init)(jax.random.key(0), real[:1])
    described = {"network": "random", "sha256": "", "accuracy": 0.0, "labels": False}
    network = TrainedFeatureNetwork({"variables": variables, **described})
    features = network(real).features
    times = time_in_turns(
        {
            "milliseconds": lambda: frechet_distance(features, network(fake).features),
            "distance": lambda: frechet_distance(features, features),
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
        "--peers",
        nargs="?",
        const=",".join(PEERS),
        default="",
        help="names of peers, joined by commas; all without a value",
    )
    parser.add_argument(
        "--rows", default=default, help="names of rows, joined by commas"
    )
    parser.add_argument(
        "--batches",
        type=batch_sizes,
        default="0",
        help="batch sizes, joined by commas; 0 is the default of a row",
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds per median")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    options = parser.parse_args()
    if options.repeats < 1 or min(options.batches) < 0:
        parser.error("--repeats must be at least 1, and --batches at least 0")
    names = _parse_names(parser, options.rows, TIMERS)
    peers = _parse_names(parser, options.peers, PEERS)
    if peers and jax.default_backend() != "cpu":
        parser.error("the peers run on CPUs and cannot be compared with this device")
    keep_memory()  # as in the programs, and for the peers as well
    module = import_peers() if {"eager", "compiled"} & set(peers) else None
    reached = peak()
    print(f"peak {reached:.0f} GFLOP/s", flush=True)
    rows: list[Row] = []
    for name in names:
        for batch in options.batches:
            row = TIMERS[name](options.repeats, batch, module, peers)
            if "gigaflops" in row:
                row["of_peak"] = row["gigaflops"] / reached
            rows.append({"name": name, **row})
            print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(table(rows))


def batch_sizes(text: str) -> list[int]:
    """Return the numbers of a flag; argparse names this function in its error."""
    return [int(part) for part in text.split(",")]


def _parse_names(
    parser: argparse.ArgumentParser, text: str, known: Collection[str]
) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(known):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table of the columns that at least one row has."""
    shown = [key for key in _SHOWN if any(key in row for row in rows)]
    lines = [["row", *(key.replace("_", " ") for key in shown)]]
    lines.append(["---"] * len(lines[0]))
    lines += [[row["name"], *(_cell(row.get(key)) for key in shown)] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
