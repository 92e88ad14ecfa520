"""The report of a detector of anomalies: scores, measures and diagnostics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from gan_jax.apps.detect.baselines import DETECTOR, DetectionResult
from gan_jax.apps.detect.data import Images8
from gan_jax.apps.detect.diagnostics import Diagnostics, ScoreCurve
from gan_jax.config.command_line import full_command
from gan_jax.config.keys import flatten
from gan_jax.evaluation.detection import Detection, Scores
from gan_jax.report import plots
from gan_jax.report.formats import format_number
from gan_jax.report.grids import glow, rgb, tile
from gan_jax.report.page import (
    Card,
    Command,
    Figure,
    Section,
    Table,
    page,
    picture,
)

_SHOWN = 12  # images in a row of a plate

_VAE = (0.75, 0.21, 0.76, 0.64, 0.23, 0.45, 0.69, 0.27, 0.47, 0.15)
_PUBLISHED: dict[str, float] = {
    "VAE, MNIST, mean of the digits (standard)": 0.46,
    **{f"VAE, MNIST, digit {digit}": auprc for digit, auprc in enumerate(_VAE)},
    "HistoryAD, SVHN against CIFAR-10": 0.941,
    "HistoryAD, SVHN against CelebA": 0.976,
    "HistoryAD, SVHN against Tiny ImageNet": 0.949,
}

PUBLISHED = Table(
    "Published",
    ["method, data", "AUPRC"],
    [list(pair) for pair in _PUBLISHED.items()],
    "A random score's AUPRC is the base rate: 0.10 for a digit, 0.28 for CIFAR-10 and "
    "Tiny ImageNet, 0.43 for CelebA. HistoryAD: Chatillon & Ballester 2019, with the "
    "critic of the variant published; an autoencoder's figures are not HistoryAD's.",
)

_DETECTION = (
    "A random score's AUPRC is the base rate. Rates are at the threshold that each "
    "method's scores of validation images give; searches have none. The total "
    "variation is that between normal images and the history's, estimated by the "
    "detector on validation images, in [0, 1]: the method needs the support of normal "
    "images to lie inside the history's; a value near 1 says that the critic separates "
    "texture, real from generated, and no longer shape."
)


def table(results: Sequence[DetectionResult], total_variation: float) -> Table:
    """Return a table with a row for each method and kind of anomalies.

    The total variation between normal images and the history's, in [0, 1], stands
    beside the detector's measures.
    """
    names = [name.replace("_", " ") for name in Detection._fields]
    return Table(
        "Detection",
        ["method", "anomalies", "images", *names, "total variation"],
        [
            [
                *(row.method, row.anomalies, row.images, *row.figures),
                total_variation if row.method == DETECTOR else None,
            ]
            for row in results
        ],
        _DETECTION,
    )


def cards(results: Sequence[DetectionResult], total_variation: float) -> list[Card]:
    """Return the key figures of the detector; arguments as of `table`."""
    detected = [
        Card(
            f"AUPRC, {row.anomalies}",
            row.figures.auprc,
            f"base rate {row.figures.base_rate:.2f}; AUROC {row.figures.auroc:.3f}",
            row.figures.auprc > row.figures.base_rate,
        )
        for row in results
        if row.method == DETECTOR
    ]
    note = "between normal images and the history's; near 1 the detector sees texture"
    return [*detected, Card("Total variation", total_variation, note)]


def histograms(scores: Mapping[str, Scores], threshold: float) -> bytes:
    """Draw the distribution of each kind of images' scores, and the threshold."""
    figure, (panel,) = plots.draw_panels(1, height=3.4, width=7.2)
    all_scores = np.concatenate(list(scores.values()))
    low, high = map(float, np.percentile(all_scores, (0.2, 99.8)))
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 61)
    for colour, (name, values) in zip(
        plots.cycle(len(scores)), scores.items(), strict=True
    ):
        settings = {"density": True, "color": colour, "label": name}
        inside = values.clip(edges[0], edges[-1])
        panel.hist(inside, edges, alpha=0.25, **settings | {"label": None})
        panel.hist(inside, edges, histtype="step", linewidth=1.5, **settings)
    panel.axvline(threshold, color=plots.QUIET, linewidth=0.9, linestyle=(0, (4, 3)))
    panel.set(xlabel="anomaly score; dashed: the threshold", yticks=[])
    panel.legend(frameon=False, fontsize=8.5)
    return plots.encode_figure(figure)


def bands(lines: Mapping[str, ScoreCurve], across: str) -> bytes:
    """Draw the means over images along a line, and the band of their middle half."""
    figure, (panel,) = plots.draw_panels(1, height=3.0)
    for colour, (name, (at, scores)) in zip(
        plots.cycle(len(lines)), lines.items(), strict=True
    ):
        low, high = np.percentile(scores, (25, 75), axis=1)
        panel.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
        panel.plot(at, scores.mean(axis=1), color=colour, linewidth=1.7, label=name)
    panel.set(xlabel=across, ylabel="anomaly score")
    if len(lines) > 1:
        panel.legend(frameon=False, fontsize=8.5)
    return plots.encode_figure(figure)


def agreement(first: Scores, second: Scores, across: str, up: str) -> bytes:
    """Draw one score against another, a dot for each image."""
    figure, (panel,) = plots.draw_panels(1, height=3.0)
    panel.scatter(first, second, s=5, alpha=0.35, color=plots.PALETTE[0], linewidths=0)
    panel.set(xlabel=across, ylabel=up)
    return plots.encode_figure(figure)


def ranking(
    images: Images8, scores: Scores, rows: int = 3
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Draw images in the order of their scores, the most anomalous first.

    If there are more than fit, the rows show the highest scores, some from the middle,
    and the lowest.
    """
    order = np.argsort(-scores, kind="stable")
    wanted = min(rows, -(-len(order) // _SHOWN)) * _SHOWN
    groups = np.array_split(order, max(1, wanted // _SHOWN))
    strips = []
    for at, group in enumerate(groups):
        start = {0: 0, len(groups) - 1: max(0, len(group) - _SHOWN)}.get(
            at, max(0, (len(group) - _SHOWN) // 2)
        )
        strips.append(group[start : start + _SHOWN])
    width = min(map(len, strips))
    chosen = np.stack([strip[:width] for strip in strips])
    titles = [
        f"{format_number(scores[row[0]])} to {format_number(scores[row[-1]])}"
        for row in chosen
    ]
    return tile(rgb(images[chosen]), row_titles=titles, gap=3)


def beside(
    images: Images8, slopes: Float[np.ndarray, "count height width"]
) -> list[UInt8[np.ndarray, "height both 3"]]:
    """Draw each image beside a map of its score's slopes, brightest at the steepest."""
    peaks = slopes.reshape(len(slopes), -1).max(axis=1)[:, None, None]
    bright = glow(slopes / np.maximum(peaks, 1e-12))
    return list(np.concatenate([rgb(images), bright], axis=2))


def extremes(
    kinds: Mapping[str, tuple[Images8, Scores]],
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Draw the images of the lowest and the highest scores of each kind."""
    rows: dict[str, np.ndarray] = {}
    for name, (images, scores) in kinds.items():
        order = np.argsort(scores, kind="stable")
        count = min(_SHOWN, len(order))
        rows[f"{name}, lowest"] = images[order[:count]]
        rows[f"{name}, highest"] = images[order[::-1][:count]]
    width = min(map(len, rows.values()))
    cells = np.stack([rgb(row[:width]) for row in rows.values()])
    return tile(cells, row_titles=list(rows), gap=3)


def pictures(
    scores: Mapping[str, Scores],
    images: Mapping[str, Images8],
    threshold: float,
    diagnostics: Diagnostics,
) -> list[Figure]:
    """Return the figures of a detector's scores of test images, and its diagnostics.

    The scores and the images are by kind of images, of which one is `normal`.
    """
    kinds = {name: (images[name], values) for name, values in scores.items()}
    noise, path, history = diagnostics
    steps = np.array(history.steps)
    through = {
        "normal": ScoreCurve(steps, history.normal),
        "anomalies": ScoreCurve(steps, history.anomalous),
    }
    return [
        Figure(
            "Scores of test images",
            histograms(scores, threshold),
            "Of normal images and of anomalies; neither was learned from.",
        ),
        picture(
            "Extremes",
            extremes(kinds),
            "The images that are found most and least normal.",
        ),
        Figure(
            "Noise",
            bands({"": noise}, "noise added, of the range"),
            "Normal images with noise of this standard deviation: mean and quarters.",
            half=True,
        ),
        Figure(
            "Between latents",
            bands({"": path}, "share of the way"),
            "Generated images on lines between two latents: mean and quarters.",
            half=True,
        ),
        Figure(
            "Through training",
            bands(through, "steps of training"),
            "What each saved critic says of test images, by minus its score.",
            half=True,
        ),
        Figure(
            "Mean critic",
            agreement(
                history.mean_of_scores,
                history.score_of_mean,
                "mean of the critics' scores",
                "score of the mean critic",
            ),
            "The critic of averaged weights beside the average of all critics.",
            half=True,
        ),
    ]


def report(
    config: ConfigDict,
    facts: Mapping[str, str],
    results: Sequence[DetectionResult],
    total_variation: float,
    figures: Sequence[Figure],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page.

    `facts` are what was trained, on what; `figures` the result of `pictures`, and
    `rows` the journal of the detector's training.
    """
    course = plots.curves(
        rows,
        {
            "Total variation on validation images": ["validation/total_variation"],
            "Anomaly scores": ["validation/normal", "validation/history"],
            "Critic's loss": ["critic/loss"],
            "Its bound": ["critic/bound"],
        },
    )
    training = Figure(
        "Course of the detector's training",
        course,
        "The best look at validation images is kept; no anomaly is looked at.",
    )
    command = full_command(config.name, flatten(config))
    return page(
        config.name,
        "Anomalies detected by the history of a generator's training.",
        facts,
        [
            Section("Figures", [table(results, total_variation), PUBLISHED]),
            Section("Pictures", figures),
            Section("Training", [training]),
            Section("Reproduce", [Command("Command", command)]),
        ],
        cards(results, total_variation),
    )
