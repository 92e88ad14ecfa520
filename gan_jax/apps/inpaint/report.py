"""The report of completed images: plates, metrics, and the published metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.inpaint.observations import Images
from gan_jax.apps.inpaint.results import Completion, spread_shown
from gan_jax.report import plots
from gan_jax.report.files import encode_png
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.page import Command, Figure, Section, Table, page, picture

_SHOWN = 10  # images of a plate
_TOGETHER = 3  # losses of a plate

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


def plates(
    completions: Sequence[Completion],
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Draw images under one kind of hole, a plate for every few losses."""
    groups = range(0, len(completions), _TOGETHER)
    return [plate(completions[at : at + _TOGETHER]) for at in groups]


def plate(completions: Sequence[Completion]) -> UInt8[np.ndarray, "height width 3"]:
    """Draw images under one kind of hole: truth, known pixels, completions, spread."""
    first = completions[0]
    columns: list[tuple[str, Images]] = []
    if first.images.truth is not None:
        columns.append(("truth", first.images.truth))
    columns.append(("known", _known(first)))
    for one in completions:
        loss = one.loss.replace("_", " ")  # titles break between words
        columns.append((loss, one.composite))
        if one.blended is not None:
            columns.append((f"{loss} blended", one.blended))
        spread = spread_shown(one.spread[..., None])
        columns.append((f"{loss} spread", np.broadcast_to(spread, one.composite.shape)))
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
    """Return images with a chequer where nothing is known.

    Args:
        known: Known values.
        masks: 1 where a value is known.
    """
    chequer = np.indices(known.shape[1:3]).sum(axis=0) % 2 * 0.5 - 0.25
    shown: Images = np.where(masks > 0, known, chequer.reshape(1, *chequer.shape, 1))
    return shown


def diverse_plate(
    completion: Completion, diverse: Float[np.ndarray, "images some height width _"]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw different completions of each image beside its known pixels."""
    cells = np.concatenate([_known(completion)[:, None], diverse], axis=1)[:_SHOWN]
    titles = ["known", *(f"completion {n + 1}" for n in range(diverse.shape[1]))]
    return tile(to_uint8(cells), column_titles=titles)


def along_plate(completion: Completion) -> UInt8[np.ndarray, "height width 3"]:
    """Draw images along their searches: truth, known pixels, G(z), result.

    Args:
        completion: A completion with a trace.
    """
    trace, traced, truth = completion.trace, completion.traced, completion.images.truth
    assert trace is not None and traced is not None
    count = len(traced)
    columns = {} if truth is None else {"truth": truth[:count]}
    columns["known"] = _known(completion)[:count]
    for mark, step in enumerate(trace.steps):
        columns[f"{step:,}" if step else "start"] = traced[:, mark]
    columns["result"] = completion.composite[:count]
    best = completion.found.best_step[:count]
    rows = [
        f"best at {best:,} of {end:,}"
        for best, end in zip(best, trace.ends, strict=True)
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
    """Return the report as a page.

    Args:
        title: Title of the page.
        facts: Settings that are listed at its top.
        completions: The completions by every loss under every kind of hole.
        metrics: Metrics of each.
        data: Name of the images.
        count: Largest number of different completions shown of each image.
        command: The command that repeats the run.
    """
    names = list(dict.fromkeys(name for values in metrics for name in values))
    table = Table(
        "Figures",
        ["hole", "loss", *names],
        [
            [one.images.hole, one.loss, *(values.get(name) for name in names)]
            for one, values in zip(completions, metrics, strict=True)
        ],
        "Means over the images. Levels are 0 to 255 in MSE, PSNR and SSIM; hole: over "
        "missing pixels alone; composite: over the image with its known pixels exact, "
        "which flatters. Residual: mean absolute error of known values in [-1, 1].",
    )
    holes = dict.fromkeys(one.images.hole for one in completions)
    pictures: list[Figure] = []
    for hole in holes:
        own = [one for one in completions if one.images.hole == hole]
        pictures += [
            picture(
                f"Under {hole}",
                drawn,
                "Missing pixels are chequered. Spread: standard deviation over the "
                "restarts, white = a quarter of the range or more.",
            )
            for drawn in plates(own)
        ]
        diverse = {one.loss: (one, one.diverse(count)) for one in own}
        pictures += [
            Figure(
                f"{loss}: different completions",
                encode_png(diverse_plate(one, images)),
                "The best by loss, then each the farthest from those before.",
            )
            for loss, (one, images) in diverse.items()
            if images.shape[1] > 1
        ]
        pictures += [
            picture(
                f"{one.loss}: along the search",
                along_plate(one),
                "What the latent generates after so many iterations; a search that has "
                "ended stays where it was. Result: the best latent that was visited, "
                "under the known pixels.",
            )
            for one in own
            if one.trace is not None
        ]
    return page(
        title,
        "Images completed by a search for the latent that explains what is known.",
        facts,
        [
            Section("Figures", [table, *_beside_published(completions, metrics, data)]),
            Section("Pictures", pictures),
            Section("Course", [_loss_curves(completions)]),
            Section("Reproduce", [Command("Command", command)]),
        ],
    )


def _loss_curves(completions: Sequence[Completion]) -> Figure:
    curves = {
        f"{one.images.hole}, {one.loss}": _median(one.found.history)
        for one in completions
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
    under_way = np.isfinite(history).any(axis=0)
    last = int(np.flatnonzero(under_way).max(initial=0))
    medians = np.full(history.shape[1], np.nan)
    medians[under_way] = np.nanmedian(history[:, under_way], axis=0)
    return medians[: last + 1]


def _beside_published(
    completions: Sequence[Completion],
    metrics: Sequence[Mapping[str, float | None]],
    data: str,
) -> list[Table]:
    """Return the metrics of composites beside the published ones, if truth is known."""
    names = ("mse_composite", "psnr_composite", "ssim_composite")
    ours = [
        (one.loss, f"{data}, {one.images.hole} (here)", *map(values.get, names))
        for one, values in zip(completions, metrics, strict=True)
        if one.images.truth is not None
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
