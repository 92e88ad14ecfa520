"""Plates of realisations under wells, their variograms and their connectivity."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.report import plots
from gan_jax.report.grids import glow, to_uint8
from gan_jax.report.page import Figure
from gan_jax.tasks.plates.constraints import constraint_grid

_SHOWN = 4  # realisations of each set of wells


def realisation_grid(
    values: Float[np.ndarray, "rows height width 1"],
    mask: Float[np.ndarray, "rows height width 1"],
    truth: Float[np.ndarray, "rows height width 1"],
    generated: Float[np.ndarray, "rows realisations height width 1"],
) -> UInt8[np.ndarray, "tall wide 3"]:
    """Draw wells, some realisations, and the mean and the spread of all of them.

    Args:
        values: Known values, in [-1, 1].
        mask: 1 at wells, 0 elsewhere.
        truth: The images that the wells were taken from, in [-1, 1].
        generated: Realisations for each set of wells, in [-1, 1]. Their spread is the
            standard deviation, from 0 to 1.
    """
    spread = glow(generated[..., 0].std(axis=1))
    mean = to_uint8(generated.mean(axis=1))
    return constraint_grid(
        values,
        mask,
        generated[:, :_SHOWN],
        original=truth,
        maps={"mean": mean, "spread": spread},
    )


def lags_figure(
    real: Mapping[str, Float[np.ndarray, "_ 2 lags"]],
    generated: Mapping[str, Float[np.ndarray, "_ 2 lags"]],
) -> Figure:
    """Plot mean variograms by distance, along rows and along columns.

    Args:
        real: Variograms of real images, by name.
        generated: Variograms of generated images, by name.
    """
    figure, panels = plots.draw_panels(2)
    for direction, (panel, title) in enumerate(
        zip(panels, ("along rows", "along columns"), strict=True)
    ):
        for colour, (name, values) in zip(
            plots.cycle(len(real) + len(generated)),
            {**real, **generated}.items(),
            strict=True,
        ):
            along = values[:, direction]
            at = np.arange(1, along.shape[1] + 1)
            low, high = np.percentile(along, (10, 90), axis=0)
            panel.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
            panel.plot(at, along.mean(axis=0), color=colour, label=name)
        panel.set_title(title, loc="left", color=plots.INK, size=10.5)
        panel.set(xlabel="distance, pixels", ylabel="variogram")
        panel.legend(frameon=False, fontsize=8.5)
    return Figure(
        "Variograms",
        plots.encode_figure(figure),
        "Half the mean squared difference of two pixels by their distance: the mean "
        "over images, and between which bounds eight of ten lie.",
    )


def connectivity_figure(
    real: Float[np.ndarray, "kinds 2 lags"],
    generated: Float[np.ndarray, "kinds 2 lags"],
) -> Figure:
    """Plot the two-point connectivity of facies by distance, along rows and columns.

    Args:
        real: Connectivity of real images; NaN where a facies has no two cells at a
            distance.
        generated: Connectivity of generated images.
    """
    figure, panels = plots.draw_panels(2)
    drawn = list(zip(real, generated, plots.PALETTE, strict=False))
    for direction, (panel, title) in enumerate(
        zip(panels, ("along rows", "along columns"), strict=True)
    ):
        at = np.arange(1, real.shape[2] + 1)
        for number, (of_real, of_generated, colour) in enumerate(drawn, 1):
            label = f"facies {number}"
            panel.plot(
                at,
                of_real[direction],
                "--",
                color=colour,
                label=f"{label}, training image",
            )
            panel.plot(
                at, of_generated[direction], color=colour, label=f"{label}, generated"
            )
        panel.set_title(title, loc="left", color=plots.INK, size=10.5)
        panel.set(
            xlabel="distance, pixels", ylabel="connected pairs", ylim=(-0.03, 1.03)
        )
        panel.legend(frameon=False, fontsize=8.5)
    more = (
        f" The first {len(drawn)} facies are shown." if len(real) > len(drawn) else ""
    )
    return Figure(
        "Connectivity",
        plots.encode_figure(figure),
        "The probability that two pixels of one facies belong to one connected body, "
        "by their distance. Facies are numbered from the darkest one, and generated "
        f"pixels belong to the facies that is nearest.{more}",
    )
