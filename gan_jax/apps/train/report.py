"""The report of a training run, whatever was trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.config.command_line import full_command
from gan_jax.report import files, plots
from gan_jax.report.formats import format_duration
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.measures import measures
from gan_jax.report.page import (
    Block,
    Command,
    Figure,
    Section,
    Table,
    Text,
    page,
    picture_file,
)
from gan_jax.tasks.task import TaskReport

_EARLIER = 4  # plates of earlier steps that are shown


def report(
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plate: UInt8[np.ndarray, "height width 3"],
    figures: Sequence[Figure],
    task: TaskReport,
    workdir: Path,
    read: Sequence[str],
) -> str:
    """Return the report page of a training run.

    `rows` are those of the journal; the plate and the figures are of the best epoch;
    the workdir holds earlier plates under `samples`; `read` are lines on the data.
    """
    timing, data = summary["timing"], summary["dataset"]
    metrics, best = summary["metrics"], summary["best"]["step"]
    facts = {
        "Data": f"{data['name']}, {data['count']} training images",
        "Objective": config["objective"],
        "Steps": f"{summary['steps']} of batch {config['batch_size']}",
        "Time, last session": f"{format_duration(timing['total_seconds'])}, "
        f"{timing['steps_per_second']:.1f} steps/s",
        "Device": f"{summary['environment']['count']} x "
        f"{summary['environment']['device']}",
        "Seed": str(config["seed"]),
        "Augmentation": config["augment.kind"],
    }
    published = task.published(data["name"], metrics)
    settings = Table(
        "Config", ("key", "value"), [(k, str(v)) for k, v in config.items()]
    )
    return page(
        f"{summary['config_name']} on {data['name']}",
        "An adversarial image prior, trained and measured.",
        facts,
        [
            Section(
                "Samples",
                [
                    Figure(
                        f"Step {best}, the best epoch",
                        files.encode_png(plate),
                        task.caption,
                    ),
                    *figures,
                ],
            ),
            Section("Data", [Text("", read)]),
            Section(
                "Measures",
                [
                    _figures(summary),
                    *_baselines(summary),
                    *([published] if published is not None else []),
                ],
            ),
            Section("Epochs", _epochs(rows, summary["best"])),
            Section(
                "Training", [*_curves(rows), *_earlier_plates(workdir / "samples")]
            ),
            Section(
                "Reproduce",
                [
                    Command("Command", full_command(summary["config_name"], config)),
                    settings,
                ],
            ),
        ],
        cards=task.cards(metrics),
    )


def _figures(summary: Mapping[str, Any]) -> Table:
    """Return the measures of the best and the last epoch, with reasons of failures."""
    best, last = summary["best"]["step"], summary["last"]
    features = summary["metrics"].get("fid_features")
    failed = summary["metrics_failed"]
    head = ["metric", f"best, step {best}", f"last, step {last['step']}"]
    rows = [
        [name, value, last["metrics"].get(name)]
        for name, value in summary["metrics"].items()
        if not isinstance(value, Mapping)
    ]
    if failed:
        head.append("remark")
        rows = [[*row, failed.get(row[0], "")] for row in rows]
    return Table(
        "Figures",
        head,
        rows,
        f"On the {summary['evaluation']['split']} part, never trained on; "
        f"{summary['evaluation']['count']} generated images in [-1, 1]. "
        + (
            f"FID, KID, precision and recall are on the features of a "
            f"{features['network']}, right on {features['accuracy']:.2%} of its test "
            f"images (SHA-256 {features['sha256'][:12]}); figures of other features "
            "or counts cannot be compared. memorised is the share of samples nearer to "
            "a training image than 95% of the real images of this part are: 0.05 for "
            "samples like those, 1 for copies."
            if features
            else ""
        ),
    )


def _baselines(summary: Mapping[str, Any]) -> list[Table]:
    """Return the measures of images made without a network, where the task has any."""
    baselines = summary.get("baselines", {})
    if not baselines:
        return []
    rows = {"this run": summary["metrics"], **baselines}
    names = list(measures(summary["metrics"]))
    return [
        Table(
            "Beside what needs no network",
            ["", *names],
            [[row, *map(values.get, names)] for row, values in rows.items()],
            "The same images, measured alike.",
        )
    ]


def copies_figure(
    samples: Float[np.ndarray, "count height width channels"],
    training: Float[np.ndarray, "count height width channels"],
    searched: int,
) -> Figure:
    """Return a figure of samples above the training images that are nearest to them.

    Both are in [-1, 1]; `searched` is the number of samples that they are chosen from.
    """
    rows = np.stack([to_uint8(samples), to_uint8(training)])
    return Figure(
        "Samples nearest to training images",
        files.encode_png(tile(rows, gap=3, row_titles=["sample", "training"])),
        f"Above: of {searched} samples, those nearest to a training image by their "
        "features. Below: these training images. A generator that memorises makes the "
        "same image again.",
    )


_PANELS = {
    "precision and recall": ("precision", "recall"),
    "diversity": ("diversity", "diversity_within", "diversity_real"),
}
"""Measures that share a panel, by its title."""
_SILENT = ("collapsed", "fid_count", "fid_real_count")
"""Measures that are not plotted."""
_EPOCH = "validation/"


def _epochs(rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> list[Block]:
    """Return curves of all measures over the epochs, and the trade-off of two."""
    epochs = [
        {
            "step": row["step"],
            **{
                name.removeprefix(_EPOCH): value
                for name, value in row.items()
                if name.startswith(_EPOCH)
            },
        }
        for row in rows
        if any(name.startswith(_EPOCH) for name in row)
    ]
    if not epochs:
        return [Text("", ["No epoch was evaluated on the way: evaluation.every is 0."])]
    names = list(dict.fromkeys(name for row in epochs for name in row))
    names = [name for name in names if name not in ("step", *_SILENT)]
    titles = {name: title for title, group in _PANELS.items() for name in group}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(titles.get(name, name), []).append(name)
    blocks: list[Block] = []
    if len(best["criterion"]) == 2:
        across, up = best["criterion"][::-1]
        blocks.append(
            Figure(
                f"{_title(up)} against {_title(across)}",
                plots.trade_off(epochs, across, up, best["step"]),
                "Each dot is an epoch on the validation part, later ones darker. The "
                "ring is the best epoch: nearest to the lower left corner once both "
                "measures are scaled to the range they have here.",
            )
        )
    elif best["criterion"]:
        name = _title(best["criterion"][0])
        text = f"The best epoch is the one of the lowest value: {name}."
        blocks.append(Text("", [text]))
    return blocks + [
        Figure(
            _title(title),
            plots.curves(epochs, {title: group}, mark=best["step"]),
            half=True,
        )
        for title, group in groups.items()
    ]


def _title(name: str) -> str:
    words = name.replace("_", " ")
    return name.upper() if len(name) == 3 else words[:1].upper() + words[1:]


def _curves(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return a panel of each player's addends, one of scores, and their difference."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        player = name.partition("/")[0]
        if name == "step" or name.startswith(_EPOCH):
            continue
        if name in _OVERFITTING:
            title = "augmentation"
        elif name.endswith("_score"):
            title = f"{player}'s scores"
        else:
            title = f"{player}'s loss"
        groups.setdefault(title, []).append(name)
    return [
        Figure(title, plots.curves(rows, {title: group}), half=True)
        for title, group in groups.items()
    ] + _gap(rows)


_OVERFITTING = ("augmentation/probability", "critic/real_sign")
"""Values of an adaptive probability of augmentation; both lie within [-1, 1]."""
_GAP = "real score - fake score"
_MEDIAN = 101  # logged values; Cooper's figure has as many


def _gap(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return the difference of real and fake scores over the steps."""
    gaps = [
        {"step": row["step"], _GAP: row["critic/real_score"] - row["critic/fake_score"]}
        for row in rows
        if None not in (row.get("critic/real_score"), row.get("critic/fake_score"))
    ]
    if not gaps:
        return []
    window = _MEDIAN if len(gaps) > 3 * _MEDIAN else max(3, len(gaps) // 25)
    steps = gaps[-1]["step"] - gaps[-window:][0]["step"] + 1
    return [
        Figure(
            "What the critic sees between them",
            plots.curves(gaps, {_GAP: [_GAP]}, window=window),
            "Mean score of real less mean score of generated images; for a Wasserstein "
            "critic it estimates the distance of the two (Arjovsky 2017, eq. 3). Thin: "
            f"as logged. Thick: its median over {window} values, {steps:,} "
            "steps.",
        )
    ]


def _earlier_plates(folder: Path) -> list[Figure]:
    own = (path for path in folder.glob("*.png") if path.stem.isdecimal())
    plates = sorted(own)[:-1]
    chosen = [plates[at * len(plates) // _EARLIER] for at in range(_EARLIER) if plates]
    figures = [
        picture_file(path, f"Step {int(path.stem)}") for path in dict.fromkeys(chosen)
    ]
    return [figure for figure in figures if figure is not None]
