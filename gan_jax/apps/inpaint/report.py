"""The report of completed images: a plate, the figures, and the published ones."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from gan_jax.report import plots
from gan_jax.report.files import encode_png
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.page import Command, Figure, Section, Table, page, picture

Images = Float[np.ndarray, "count height width channels"]

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


class Along(NamedTuple):
    """Some images along their searches."""

    steps: Int[np.ndarray, " marks"]
    """Iterations made."""
    generated: Float[np.ndarray, "some marks height width channels"]
    """What the latent generated after so many; where a search had ended, its last."""
    ends: Int[np.ndarray, " some"]
    """Iterations that each search made."""
    best: Int[np.ndarray, " some"]
    """After so many the latent that is kept was visited."""


class Arm(NamedTuple):
    """One loss under one kind of hole, as it is shown."""

    data: str
    """The name of the images."""
    hole: str
    loss: str
    truth: Images | None
    masked: Images
    """Known pixels; what is missing is 0."""
    masks: Float[np.ndarray, "count height width 1"]
    composite: Images
    blended: Images | None
    spread: Float[np.ndarray, "count height width"]
    """Standard deviation over the restarts, in [-1, 1] units."""
    diverse: Float[np.ndarray, "count some height width channels"]
    """Completions that differ, the best first."""
    metrics: Mapping[str, float | None]
    history: Float[np.ndarray, " iterations"]
    """Median loss over the images."""
    along: Along | None
    """The first images on the way; None where they are not drawn."""


def plates(arms: Sequence[Arm]) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Draw images under one kind of hole, a plate for every few losses."""
    groups = range(0, len(arms), _TOGETHER)
    return [plate(arms[at : at + _TOGETHER]) for at in groups]


def plate(arms: Sequence[Arm]) -> UInt8[np.ndarray, "height width 3"]:
    """Draw images under one kind of hole: truth, known pixels, completions, spread."""
    first = arms[0]
    columns: list[tuple[str, Images]] = []
    if first.truth is not None:
        columns.append(("truth", first.truth))
    columns.append(("known", _known(first)))
    for arm in arms:
        loss = arm.loss.replace("_", " ")  # titles break between words
        columns.append((loss, arm.composite))
        if arm.blended is not None:
            columns.append((f"{loss} blended", arm.blended))
        spread = spread_shown(arm.spread[..., None])
        columns.append((f"{loss} spread", np.broadcast_to(spread, arm.composite.shape)))
    cells = np.stack([images[:_SHOWN] for _, images in columns], axis=1)
    return tile(to_uint8(cells), column_titles=[name for name, _ in columns])


def spread_shown(
    spread: Float[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    """Bring standard deviations to levels in [-1, 1]: white = a quarter of the range.

    Of images in [-1, 1], so 0.5.
    """
    return np.clip(4 * spread - 1, -1, 1)


def _known(arm: Arm) -> Images:
    """Show what was measured at the size of the images, what is missing as a chequer.

    Fewer values than pixels are repeated.
    """
    shown = chequered(arm.masked, arm.masks)
    times = arm.composite.shape[1] // shown.shape[1]
    large = shown.repeat(times, axis=1).repeat(times, axis=2)
    return np.broadcast_to(large, arm.composite.shape)


def chequered(
    known: Images, masks: Float[np.ndarray, "count height width 1"]
) -> Images:
    """Draw a chequer where nothing is known."""
    chequer = np.indices(known.shape[1:3]).sum(axis=0) % 2 * 0.5 - 0.25
    shown: Images = np.where(masks > 0, known, chequer.reshape(1, *chequer.shape, 1))
    return shown


def several(arm: Arm) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the different completions of each image beside its known pixels."""
    known = _known(arm)[:, None]
    cells = np.concatenate([known, arm.diverse], axis=1)[:_SHOWN]
    titles = ["known", *(f"completion {n + 1}" for n in range(arm.diverse.shape[1]))]
    return tile(to_uint8(cells), column_titles=titles)


def along_plate(arm: Arm, along: Along) -> UInt8[np.ndarray, "height width 3"]:
    """Draw images on their way: truth, known pixels, G(z) after iterations, result."""
    count = len(along.generated)
    columns = {} if arm.truth is None else {"truth": arm.truth[:count]}
    columns["known"] = _known(arm)[:count]
    for mark, step in enumerate(along.steps):
        columns[f"{step:,}" if step else "start"] = along.generated[:, mark]
    columns["result"] = arm.composite[:count]
    rows = [
        f"best at {best:,} of {end:,}"
        for best, end in zip(along.best, along.ends, strict=True)
    ]
    cells = np.stack(list(columns.values()), axis=1)
    return tile(to_uint8(cells), column_titles=list(columns), row_titles=rows)


def report(
    title: str, facts: Mapping[str, str], arms: Sequence[Arm], command: str
) -> str:
    """Compose the page."""
    names = list(dict.fromkeys(name for arm in arms for name in arm.metrics))
    table = Table(
        "Figures",
        ["hole", "loss", *names],
        [
            [arm.hole, arm.loss, *(arm.metrics.get(name) for name in names)]
            for arm in arms
        ],
        "Means over the images. Levels are 0 to 255 in MSE, PSNR and SSIM; hole: over "
        "missing pixels alone; composite: over the image with its known pixels exact, "
        "which flatters. Residual: mean absolute error of known values in [-1, 1].",
    )
    pictures: list[Figure] = []
    for hole in dict.fromkeys(arm.hole for arm in arms):
        own = [arm for arm in arms if arm.hole == hole]
        pictures += [
            picture(
                f"Under {hole}",
                drawn,
                "Missing pixels are chequered. Spread: standard deviation over the "
                "restarts, white = a quarter of the range or more.",
            )
            for drawn in plates(own)
        ]
        pictures += [
            Figure(
                f"{arm.loss}: different completions",
                encode_png(several(arm)),
                "The best by loss, then each the farthest from those before.",
            )
            for arm in own
            if arm.diverse.shape[1] > 1
        ]
        pictures += [
            picture(
                f"{arm.loss}: along the search",
                along_plate(arm, arm.along),
                "What the latent generates after so many iterations; a search that has "
                "ended stays where it was. Result: the best latent that was visited, "
                "under the known pixels.",
            )
            for arm in own
            if arm.along is not None
        ]
    courses = {f"{arm.hole}, {arm.loss}": arm.history for arm in arms}
    rows = [
        {"step": step}
        | {
            name: float(loss[step])
            for name, loss in courses.items()
            if step < len(loss)
        }
        for step in range(max(map(len, courses.values())))
    ]
    groups = {name: [name] for name in courses}
    course = Figure("Loss", plots.curves(rows, groups), "Median over the images.")
    return page(
        title,
        "Images completed by a search for the latent that explains what is known.",
        facts,
        [
            Section("Figures", [table, *_beside_published(arms)]),
            Section("Pictures", pictures),
            Section("Course", [course]),
            Section("Reproduce", [Command("Command", command)]),
        ],
    )


def _beside_published(arms: Sequence[Arm]) -> list[Table]:
    """Compare composites with the published ones, where the truth is known."""
    names = ("mse_composite", "psnr_composite", "ssim_composite")
    ours = [
        (arm.loss, f"{arm.data}, {arm.hole} (here)", *map(arm.metrics.get, names))
        for arm in arms
        if arm.truth is not None
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
