"""Detect anomalies with each class in turn as the anomaly; print a table of metrics.

python -m launch.anomalies --labels=0,1,2 --seeds=3 --workdir=runs/digits -- --config=configs/detect.py:standard,mnist,narrow

Arguments after `--` are passed to gan_jax.main. Each run is in <workdir>/<label>/<seed>.
Runs that are complete with the same arguments are not repeated. The table holds the
AUPRC of every method, mean and standard deviation over seeds; random scores have the
base rate. The total variation of normal images and the generator's history is estimated
on validation images: near 1 the detector separates the texture of real and generated
images, not their shapes.
"""  # noqa: E501

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gan_jax.config.errors import explain, print_error
from launch.processes import Children

MEASURES = ("auprc", "auroc")


def main() -> int:
    """Run the missing detections, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", required=True, help="classes, joined by commas")
    parser.add_argument("--seeds", type=int, default=1, help="runs per class")
    parser.add_argument(
        "--workdir", type=Path, required=True, help="folder of all runs"
    )
    parser.add_argument(
        "--measure", default="auprc", choices=MEASURES, help="metric of the table"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("arguments", nargs="*", help="arguments of gan_jax.main")
    options = parser.parse_args()
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs must be at least 1")
    places = {
        (label, seed): options.workdir / label / str(seed)
        for label in options.labels.split(",")
        for seed in range(options.seeds)
    }

    with Children() as children, ThreadPoolExecutor(options.jobs) as pool:

        def run(place: tuple[str, int]) -> int:
            if children.received:
                return 128 + children.received
            return detect(children, options.arguments, *place, places[place])

        try:
            codes = [*pool.map(run, places)]
        except OSError as error:
            line, code = explain(error)
            print_error(line)
            return code
    if children.received:
        return 128 + children.received
    print(table(figures(places, options.measure)))
    return int(any(codes))


def detect(
    children: Children, arguments: Sequence[str], label: str, seed: int, workdir: Path
) -> int:
    """Run a detection unless it is complete, and return its exit code.

    Args:
        children: The processes, of which the run becomes one.
        arguments: Arguments of `gan_jax.main`.
        label: Class that is the anomaly.
        seed: Seed of the run.
        workdir: Workdir of the run.
    """
    record = workdir.parent / f"{seed}.json"
    text = json.dumps(list(arguments))
    same = record.exists() and record.read_text() == text
    if same and (workdir / "summary.json").exists():
        return 0
    workdir.mkdir(parents=True, exist_ok=True)
    flags = [f"--config.anomaly.label={label}", f"--config.seed={seed}"]
    with (workdir.parent / f"{seed}.log").open("w") as log:
        child = children.start(
            [*arguments, *flags, f"--workdir={workdir}"], stdout=log, stderr=log
        )
        code = child.wait()
    if code == 0:
        record.write_text(text)
    elif not children.received:
        print(f"{label}, seed {seed}: failed, see {log.name}", file=sys.stderr)
    return code


def figures(
    places: Mapping[tuple[str, int], Path], measure: str
) -> dict[str, dict[str, list[float]]]:
    """Return a metric of the complete runs by label and method, a value per seed.

    The base rate and the total variation are columns beside the methods. If a run has
    several kinds of anomalies, each kind is a row.

    Args:
        places: Workdirs by label and seed.
        measure: Name of the metric.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for (label, _), place in places.items():
        path = place / "summary.json"
        if not path.exists():
            continue
        metrics = json.loads(path.read_text())["metrics"]
        alone = "base_rate" in metrics
        for name, value in metrics.items():
            *parts, figure = name.split("/")
            kind = "" if alone or not parts else parts.pop(0)
            method = parts[0] if parts else "D_TV"
            columns = {method: value} if figure == measure else {}
            if figure == "base_rate" and method == "D_TV":
                # One value per run, for all kinds of anomalies; older runs have none.
                shared = metrics.get("total_variation")
                columns = {"base rate": value, "total variation": shared}
            for column, number in columns.items():
                if number is not None:
                    row = rows.setdefault(f"{label} {kind}".strip(), {})
                    row.setdefault(column, []).append(number)
    return rows


def table(rows: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a Markdown table with a row for each label and one for the mean."""
    methods = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| class | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for label, row in rows.items():
        cells = [spread(row.get(name, ())) for name in methods]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    means = []
    for name in methods:
        column = [np.mean(row[name]) for row in rows.values() if name in row]
        means.append(f"{np.mean(column):.3f}" if len(column) == len(rows) else "")
    lines.append(f"| mean | {' | '.join(means)} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return the mean of values as text, with the standard deviation of two or more."""
    if not values:
        return ""
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    sys.exit(main())
