"""The report of refined samples and completions: plates, tables, and loss curves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.inpaint.report import chequered
from gan_jax.evaluation.measure import Measured
from gan_jax.report import plots
from gan_jax.report.grids import glow, rgb, tile, to_uint8
from gan_jax.report.page import (
    Block,
    Command,
    Figure,
    Section,
    Table,
    Value,
    page,
    picture,
)

Images = Float[np.ndarray, "count height width channels"]
Plate = UInt8[np.ndarray, "plate_height plate_width 3"]
Row = Mapping[str, Value]

_SHOWN = 12  # images of a plate
FOLLOWED = 8  # examples shown at every step
STEP_SIDE = 56  # screen pixels of an image among those of every step
_CHANGE = 0.5  # the change drawn brightest, of images in [-1, 1]

_PUBLISHED = (
    ("proposals (Mortiniera 2020)", 23.713, 0.813, None),
    ("refined and shaped (Mortiniera 2020)", 24.478, 0.834, 5 / 20),
)
"""Composite PSNR and SSIM of 2,000 Fashion-MNIST images at 64x64 under a centre hole of
32x32, and the share of the listed images that got worse."""


class Outcome(NamedTuple):
    """The results of a collaboration, on samples or on completed images."""

    measured: Measured
    tables: Sequence[Block]
    pictures: Sequence[Figure]


def heat(before: Images, after: Images) -> UInt8[np.ndarray, "count height width 3"]:
    """Draw the change of each pixel, from dark (none) to bright (0.5 or more)."""
    return glow(np.abs(after - before).mean(axis=-1) / _CHANGE)


def completions(
    known: Images,
    masks: Float[np.ndarray, "count height width 1"],
    proposals: Images,
    refined: Images,
    truth: Images | None,
) -> Plate:
    """Draw masked images, proposals, their change, refined and original images."""
    rows = {
        "masked": rgb(to_uint8(chequered(known, masks))),
        "proposal": rgb(to_uint8(proposals)),
        "change": heat(proposals, refined),
        "refined": rgb(to_uint8(refined)),
    }
    if truth is not None:
        rows["original"] = rgb(to_uint8(truth))
    return _plate(rows)


def strip(stages: Mapping[str, Images], reference: str) -> Plate:
    """Draw the same examples at every stage, and the change up to the last one."""
    rows = {name: rgb(to_uint8(images)) for name, images in stages.items()}
    last = list(stages.values())[-1]
    return _plate(rows | {"change": heat(stages[reference], last)})


def every_step(
    visits: Callable[[int], Float[np.ndarray, "visits count height width channels"]],
) -> Figure:
    """Return the picture of every step of a few examples, each in a row.

    Args:
        visits: `visits(count)` returns the images of the proposals of `count` examples,
            then of each step.
    """
    images = rgb(to_uint8(visits(FOLLOWED).swapaxes(0, 1)))
    scale = max(1, round(STEP_SIDE / max(images.shape[2:4])))
    titles = [str(step) for step in range(images.shape[1])]
    return picture(
        "Every step",
        tile(images, scale, gap=2, column_titles=titles),
        "The first examples from their proposals on, through every step with the last "
        "critic. One that has ended stays as it is.",
    )


def _plate(rows: Mapping[str, UInt8[np.ndarray, "count height width 3"]]) -> Plate:
    cells = np.stack([images[:_SHOWN] for images in rows.values()])
    return tile(cells, row_titles=list(rows), gap=3)


def table(rows: Sequence[Row], title: str, caption: str) -> Table:
    """Return a table with a column for every name; missing values stay empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(
        title, names, [[row.get(name) for name in names] for row in rows], caption
    )


def published() -> Table:
    """Return the table of published metrics of completions."""
    return Table(
        "Published",
        ["images", "psnr_composite", "ssim_composite", "share that got worse"],
        [list(row) for row in _PUBLISHED],
        "Fashion-MNIST at 64x64, centre hole of a quarter, 2,000 test images: another "
        "size and other networks, so only the differences compare.",
    )


def report(
    title: str,
    subtitle: str,
    facts: Mapping[str, str],
    outcome: Outcome,
    rows: Sequence[Mapping[str, Any]],
    text: str,
) -> str:
    """Return the report as a page."""
    course = plots.curves(
        rows,
        {
            "Cost to the critic": [
                "refinement/proposed",
                "refinement/refined",
                "refinement/real",
            ],
            "Steps of refinement": ["refinement/steps"],
            "Critic's loss": ["critic/loss"],
            "Scores": ["critic/real_score", "critic/fake_score"],
        },
    )
    return page(
        title,
        subtitle,
        facts,
        [
            Section("Figures", outcome.tables),
            Section("Pictures", outcome.pictures),
            Section(
                "Shaping",
                [
                    Figure(
                        "Course of shaping",
                        course,
                        "Means over the batch; of real images the median.",
                    )
                ],
            ),
            Section("Reproduce", [Command("Command", text)]),
        ],
    )
