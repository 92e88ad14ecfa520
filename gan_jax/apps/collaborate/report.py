"""The report of refined samples and completions: plates, figures, and the course."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.inpaint.report import chequered
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
Row = Mapping[str, Value]

_SHOWN = 12  # images of a plate
_FOLLOWED = 8  # examples that are shown at every step
_STEP_SIDE = 56  # screen pixels of an image among those of every step
_CHANGE = 0.5  # the change that is drawn brightest, in [-1, 1] units

_PUBLISHED = (
    ("proposals (Mortiniera 2020)", 23.713, 0.813, None),
    ("refined and shaped (Mortiniera 2020)", 24.478, 0.834, 5 / 20),
)
"""Composite PSNR and SSIM of 2,000 Fashion-MNIST images at 64x64 under a centre hole of
32x32, and the share of the listed images that got worse."""


def heat(before: Images, after: Images) -> UInt8[np.ndarray, "count height width 3"]:
    """Draw how much each pixel has changed, from dark (not) to bright (by 0.5 of 2)."""
    return glow(np.abs(after - before).mean(axis=-1) / _CHANGE)


def completions(
    known: Images,
    masks: Float[np.ndarray, "count height width 1"],
    proposals: Images,
    refined: Images,
    truth: Images | None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw masked images, proposals, what changed, refined and original images."""
    rows = {
        "masked": rgb(to_uint8(chequered(known, masks))),
        "proposal": rgb(to_uint8(proposals)),
        "change": heat(proposals, refined),
        "refined": rgb(to_uint8(refined)),
    }
    if truth is not None:
        rows["original"] = rgb(to_uint8(truth))
    return _plate(rows)


def strip(
    stages: Mapping[str, Images], reference: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the same examples through the stages, and what the last one changed.

    Args:
        stages: images by the name of the stage, in their order.
        reference: the name of the stage that is the beginning.
    """
    rows = {name: rgb(to_uint8(images)) for name, images in stages.items()}
    last = list(stages.values())[-1]
    return _plate(rows | {"change": heat(stages[reference], last)})


def steps(
    visits: Float[np.ndarray, "visits count height width channels"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw examples below each other, each from its proposal through every step.

    Args:
        visits: the images of proposals, then of each step.
    """
    images = rgb(to_uint8(visits.swapaxes(0, 1)))
    scale = max(1, round(_STEP_SIDE / max(images.shape[2:4])))
    titles = [str(step) for step in range(len(visits))]
    return tile(images, scale, gap=2, column_titles=titles)


def every_step(
    visits: Callable[[int], Float[np.ndarray, "visits count height width channels"]],
) -> Figure:
    """Return the picture of each step, of a few examples.

    Args:
        visits: `visits(count)`, as `steps` draws them.
    """
    caption = (
        "The first examples from their proposals on, through every step with the last "
        "critic. One that has ended stays as it is."
    )
    return picture("Every step", steps(visits(_FOLLOWED)), caption)


def _plate(
    rows: Mapping[str, UInt8[np.ndarray, "count height width 3"]],
) -> UInt8[np.ndarray, "height width 3"]:
    cells = np.stack([images[:_SHOWN] for images in rows.values()])
    return tile(cells, row_titles=list(rows), gap=3)


def table(rows: Sequence[Row], title: str, caption: str) -> Table:
    """Set rows under all their names; what a row has not stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(
        title, names, [[row.get(name) for name in names] for row in rows], caption
    )


def published() -> Table:
    """Return the published figures of completions, to be read beside one's own."""
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
    figures: Sequence[Block],
    pictures: Sequence[Figure],
    rows: Sequence[Mapping[str, Any]],
    text: str,
) -> str:
    """Compose the page.

    Args:
        title: of the page.
        subtitle: a sentence.
        facts: what was refined with what.
        figures: tables.
        pictures: plates and plots.
        rows: of the journal of shaping.
        text: the command.
    """
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
            Section("Figures", figures),
            Section("Pictures", pictures),
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
