"""The report of completed images: plates, metrics, and the published metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.inpaint.missing import missing_plate
from gan_jax.apps.inpaint.observations import Images
from gan_jax.apps.inpaint.placement import masked_of, windows_of_each
from gan_jax.apps.inpaint.results import Completion, spread_shown
from gan_jax.data.windows import Window
from gan_jax.report import plots
from gan_jax.report.files import encode_png
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.page import Command, Figure, Section, Table, page, picture

Plate = UInt8[np.ndarray, "plate_height plate_width 3"]

_SHOWN = 10  # images of a plate
_LOSSES = 3  # losses of a plate
_LISTED = 50  # images in the table of their fit

_SETS = ("CelebA, masks A", "SVHN, masks A", "CelebA, masks B", "SVHN, masks B")
_PUBLISHED = {
    "Yeh": (
        (872.9, 18.72, 0.9071),
        (1535.9, 16.27, 0.4925),
        (622.1, 20.19, 0.9087),
        (1531.5, 16.28, 0.4791),
    ),
    "Yeh + gradient (.1, .9, .5)": (
        (794.3, 19.13, 0.9130),
        (1472.7, 16.44, 0.5041),
        (580.8, 20.49, 0.9115),
        (1446.4, 16.53, 0.5120),
    ),
    "Ballester (.1, .9, 1)": (
        (855.3, 18.81, 0.9158),
        (631.0, 20.13, 0.8169),
        (424.8, 21.85, 0.9281),
        (168.9, 25.85, 0.8960),
    ),
    "Ballester (.5, .5, 1)": (
        (785.3, 19.18, 0.9196),
        (743.9, 19.42, 0.8030),
        (380.4, 22.33, 0.9314),
        (221.8, 24.67, 0.9018),
    ),
    "Ballester (.1, .9, .5)": (
        (862.5, 18.77, 0.9135),
        (622.9, 20.19, 0.8005),
        (321.3, 23.06, 0.9341),
        (154.6, 26.24, 0.8969),
    ),
    "Ballester (.5, .5, .5)": (
        (834.0, 18.92, 0.9146),
        (703.8, 19.66, 0.8000),
        (411.9, 21.98, 0.9292),
        (171.8, 25.78, 0.8939),
    ),
}
"""Vitoria, Sintes & Ballester 2019 (arXiv 1812.01071) under two kinds of mask, 64x64:
by loss (alpha, beta, eta) and set MSE, PSNR and SSIM."""


def by_hole(completions: Sequence[Completion]) -> dict[str, list[Completion]]:
    """Return completions by the name of their hole, in their order."""
    groups: dict[str, list[Completion]] = {}
    for completion in completions:
        groups.setdefault(completion.images.hole, []).append(completion)
    return groups


def plates(completions: Sequence[Completion]) -> list[Plate]:
    """Draw images under one kind of hole, a plate for every few losses."""
    starts = range(0, len(completions), _LOSSES)
    return [plate(completions[at : at + _LOSSES]) for at in starts]


def plate(completions: Sequence[Completion]) -> Plate:
    """Draw images under one kind of hole: truth, known pixels, completions, spread."""
    first = completions[0]
    columns: list[tuple[str, Images]] = []
    if first.images.truth is not None:
        columns.append(("truth", first.images.truth))
    columns.append(("known", _known(first)))
    for completion in completions:
        loss, composite = completion.loss.replace("_", " "), completion.composite
        columns.append((loss, composite))  # titles break between words
        if completion.blended is not None:
            columns.append((f"{loss} blended", completion.blended))
        spread = spread_shown(completion.spread[..., None])
        columns.append((f"{loss} spread", np.broadcast_to(spread, composite.shape)))
    cells = np.stack([images[:_SHOWN] for _, images in columns], axis=1)
    return tile(to_uint8(cells), column_titles=[name for name, _ in columns])


def _known(completion: Completion) -> Images:
    """Return measured values at the size of the images, with a chequer elsewhere.

    Fewer values than pixels are repeated.
    """
    known = completion.images.known
    shown = chequered(np.asarray(known.values), np.asarray(known.mask))
    times = completion.composite.shape[1] // shown.shape[1]
    large = shown.repeat(times, axis=1).repeat(times, axis=2)
    return np.broadcast_to(large, completion.composite.shape)


def chequered(
    known: Images, masks: Float[np.ndarray, "count height width 1"]
) -> Images:
    """Return images with a chequer where nothing is known."""
    chequer = np.indices(known.shape[1:3]).sum(axis=0) % 2 * 0.5 - 0.25
    shown: Images = np.where(masks > 0, known, chequer.reshape(1, *chequer.shape, 1))
    return shown


def diverse_plate(
    completion: Completion, diverse: Float[np.ndarray, "images some height width _"]
) -> Plate:
    """Draw different completions of each image beside its known pixels."""
    cells = np.concatenate([_known(completion)[:, None], diverse], axis=1)[:_SHOWN]
    titles = ["known", *(f"completion {n + 1}" for n in range(diverse.shape[1]))]
    return tile(to_uint8(cells), column_titles=titles)


def along_plate(completion: Completion) -> Plate:
    """Draw images along their searches: truth, known pixels, G(z), result."""
    trace, traced, truth = completion.trace, completion.traced, completion.images.truth
    assert trace is not None and traced is not None
    count = len(traced)
    columns = {} if truth is None else {"truth": truth[:count]}
    columns["known"] = _known(completion)[:count]
    for index, step in enumerate(trace.steps):
        columns[f"{step:,}" if step else "start"] = traced[:, index]
    columns["result"] = completion.composite[:count]
    best = completion.found.best_step[:count]
    rows = [
        f"best at {step:,} of {end:,}"
        for step, end in zip(best, trace.ends, strict=True)
    ]
    cells = np.stack(list(columns.values()), axis=1)
    return tile(to_uint8(cells), column_titles=list(columns), row_titles=rows)


def report(
    title: str,
    facts: Mapping[str, str],
    completions: Sequence[Completion],
    metrics: Sequence[Mapping[str, float | None]],
    data: str,
    count: int,
    command: str,
) -> str:
    """Return the report as a page."""
    names = list(dict.fromkeys(name for values in metrics for name in values))
    table = Table(
        "Figures",
        ["hole", "loss", *names],
        [
            [completion.images.hole, completion.loss, *map(values.get, names)]
            for completion, values in zip(completions, metrics, strict=True)
        ],
        "Means over the images. Levels are 0 to 255 in MSE, PSNR and SSIM; hole: over "
        "missing pixels alone; composite: over the image with its known pixels exact, "
        "which flatters. Residual: mean absolute error of known values in [-1, 1].",
    )
    pictures: list[Figure] = []
    for hole, group in by_hole(completions).items():
        pictures.append(
            picture(
                f"Missing under {hole}",
                missing_plate(masked_of(group[0].images.sources)),
                "The first images at their own sizes, reduced; what is missing is red.",
            )
        )
        pictures += [
            picture(
                f"Under {hole}",
                image,
                "Missing pixels are chequered. Spread: standard deviation over the "
                "restarts, white = a quarter of the range or more.",
            )
            for image in plates(group)
        ]
        pictures += [
            Figure(
                f"{completion.loss}: different completions",
                encode_png(diverse_plate(completion, completion.diverse(count))),
                "The best by loss, then each the farthest from those before.",
            )
            for completion in group
            if min(count, completion.restarts.shape[1]) > 1
        ]
        pictures += [
            picture(
                f"{completion.loss}: along the search",
                along_plate(completion),
                "What the latent generates after so many iterations; a search that has "
                "ended stays where it was. Result: the best latent that was visited, "
                "under the known pixels.",
            )
            for completion in group
            if completion.trace is not None
        ]
    return page(
        title,
        "Images completed by a search for the latent that explains what is known.",
        facts,
        [
            Section(
                "Figures",
                [
                    table,
                    *_fits(completions),
                    *_beside_published(completions, metrics, data),
                ],
            ),
            Section("Pictures", pictures),
            Section("Course", [_loss_curves(completions)]),
            Section("Reproduce", [Command("Command", command)]),
        ],
    )


def _fits(completions: Sequence[Completion]) -> list[Table]:
    """Return the table of how the user's images lie under the prior, and fit it."""
    rows: list[list[Any]] = []
    for completion in completions:
        sources, residuals = completion.images.sources, completion.found.residual
        for numbers in windows_of_each(sources):
            if not (place := sources[numbers[0]].place):
                continue
            residual, fit = float(residuals[numbers].max()), completion.fit
            row = [
                sources[numbers[0]].masked.source,
                completion.images.hole,
                completion.loss,
                place,
                "; ".join(_described(sources[number].window) for number in numbers),
                residual,
                fit and fit.mean,
                bool(fit and fit.note(residual)),
            ]
            rows.append(row)
    if not rows:
        return []
    rows.sort(key=lambda row: -row[5])
    titles = ["image", "hole", "loss", "place", "windows", "residual"]
    return [
        Table(
            "How the prior fits",
            [*titles, "of validation images", "does not fit"],
            rows[:_LISTED],
            "The worst first. Windows: height x width at row, column. Residual: mean "
            "absolute error of known values, of several windows the largest; beside it "
            "the mean of the prior's own validation images. The prior does not fit an "
            "image whose residual lies two standard deviations above that.",
        )
    ]


def _described(window: Window) -> str:
    return f"{window.size} at {window.top}, {window.left}"


def _loss_curves(completions: Sequence[Completion]) -> Figure:
    curves = {
        f"{completion.images.hole}, {completion.loss}": _median(
            completion.found.history
        )
        for completion in completions
    }
    rows = [
        {"step": step}
        | {name: float(loss[step]) for name, loss in curves.items() if step < len(loss)}
        for step in range(max(map(len, curves.values())))
    ]
    groups = {name: [name] for name in curves}
    return Figure("Loss", plots.curves(rows, groups), "Median over the images.")


def _median(
    history: Float[np.ndarray, "images iterations"],
) -> Float[np.ndarray, " iterations"]:
    """Return the median loss of the searches that were running at each iteration."""
    running = np.isfinite(history).any(axis=0)
    last = int(np.flatnonzero(running).max(initial=0))
    medians = np.full(history.shape[1], np.nan)
    medians[running] = np.nanmedian(history[:, running], axis=0)
    return medians[: last + 1]


def _beside_published(
    completions: Sequence[Completion],
    metrics: Sequence[Mapping[str, float | None]],
    data: str,
) -> list[Table]:
    """Return the metrics of composites beside the published ones, if truth is known."""
    names = ("mse_composite", "psnr_composite", "ssim_composite")
    ours = [
        (
            completion.loss,
            f"{data}, {completion.images.hole} (here)",
            *map(values.get, names),
        )
        for completion, values in zip(completions, metrics, strict=True)
        if completion.images.truth is not None
    ]
    theirs = [
        (loss, name, *figures)
        for loss, rows in _PUBLISHED.items()
        for name, figures in zip(_SETS, rows, strict=True)
    ]
    if not ours:
        return []
    return [
        Table(
            "Beside the published figures",
            ["loss", "images", "MSE", "PSNR", "SSIM"],
            [*ours, *theirs],
            "Vitoria, Sintes & Ballester 2019 (arXiv 1812.01071) at 64x64: other "
            "images, sizes and networks, so only the order of losses compares.",
        )
    ]
