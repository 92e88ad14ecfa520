"""The report of a training run, whatever was trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from gan_jax.report import files, plots
from gan_jax.report.formats import format_duration
from gan_jax.report.page import Card, Command, Figure, Section, Table, page

_COURSE = 4  # sample plates shown from along the way


@runtime_checkable
class Shown(Protocol):
    """What the report asks of a task."""

    @property
    def cards(self) -> Callable[[Mapping[str, Any]], Sequence[Card]]:
        """Key figures from the metrics."""

    @property
    def caption(self) -> str:
        """What there is to see on the plate."""


def report(
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plate: UInt8[np.ndarray, "height width 3"],
    task: Shown,
    workdir: Path,
) -> str:
    """Compose the page.

    Args:
        summary: as written to `summary.json`.
        config: by dotted key.
        rows: of the journal.
        plate: the task's picture by the final generator.
        task: gives the plate's caption and the key figures.
        workdir: where earlier plates lie, under `samples`.
    """
    timing, data = summary["timing"], summary["dataset"]
    metrics, failed = summary["metrics"], summary["metrics_failed"]
    facts = {
        "Data": f"{data['name']}, {data['count']} training images",
        "Objective": config["objective"],
        "Steps": f"{summary['steps']} of batch {config['batch_size']}",
        "Time": f"{format_duration(timing['total_seconds'])}, "
        f"{timing['steps_per_second']:.1f} steps/s",
        "Device": f"{summary['environment']['count']} x "
        f"{summary['environment']['device']}",
        "Seed": str(config["seed"]),
    }
    figures = Table(
        "Figures",
        ("metric", "value", "remark"),
        [(name, value, failed.get(name, "")) for name, value in metrics.items()],
        f"On the {summary['evaluation']['split']} part, never trained on; "
        f"{summary['evaluation']['count']} generated images, images in [-1, 1].",
    )
    settings = Table(
        "Config", ("key", "value"), [(k, str(v)) for k, v in config.items()]
    )
    return page(
        f"{summary['config_name']} on {data['name']}",
        "An adversarial image prior, trained and measured.",
        facts,
        [
            Section(
                "Samples", [Figure("Samples", files.encode_png(plate), task.caption)]
            ),
            Section("Measures", [figures]),
            Section("Training", [*_curves(rows), *_course(workdir / "samples")]),
            Section(
                "Reproduce",
                [Command("Command", _command(summary, config)), settings],
            ),
        ],
        cards=task.cards(metrics),
    )


def _curves(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """One panel for each player's addends, one for scores, one per measure."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    scores = [name for name in names if name.endswith("_score")]
    groups: dict[str, list[str]] = {}
    for name in names:
        if name in scores:
            continue
        player, _, measure = name.partition("/")
        title = measure if player == "validation" else f"{player}'s loss"
        groups.setdefault(title, []).append(name)
    if scores:
        groups["critic's scores"] = scores
    return [
        Figure(title.replace("_", " "), plots.curves(rows, {title: group}), half=True)
        for title, group in groups.items()
        if title != "collapsed"
    ]


def _course(folder: Path) -> list[Figure]:
    plates = sorted(folder.glob("*.png"))[:-1]
    chosen = [plates[at * len(plates) // _COURSE] for at in range(_COURSE) if plates]
    return [
        Figure(f"Step {int(path.stem)}", path.read_bytes(), half=True)
        for path in dict.fromkeys(chosen)
    ]


def _command(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Give a command that sets every key, so that no variant needs to be known."""
    flags = [
        f"  --config.{key}={value!r}" if value != "" else f"  --config.{key}=''"
        for key, value in config.items()
        if key != "name"
    ]
    first = f"python -m gan_jax.main --config=configs/{summary['config_name']}.py"
    return " \\\n".join([first, *flags])
