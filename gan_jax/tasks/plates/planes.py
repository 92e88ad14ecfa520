"""Plates of points in the plane, on the scores of a critic."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.report.plots import PALETTE, draw_panels, encode_figure

Points = Float[np.ndarray, "_ 2"]
Score = Callable[[Points], Float[np.ndarray, " _"]]

_GRID = 160  # points of the landscape along each side


def planes(
    real: Points,
    stages: Mapping[str, tuple[Points, Score]],
    score: Score,
    columns: int = 2,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw real points and those of several stages, each on the scores of a critic.

    `score` is that behind the real points; panels stand in so many `columns`.
    """
    from PIL import Image

    low, high = real.min(axis=0), real.max(axis=0)
    middle, reach = (low + high) / 2, 0.65 * float((high - low).max())
    line = np.linspace(-reach, reach, _GRID)
    across, up = np.meshgrid(middle[0] + line, middle[1] + line)
    places = np.stack([across.reshape(-1), up.reshape(-1)], axis=1)

    figure, panels = draw_panels(1 + len(stages), columns, height=4.8)
    contents = {"real": (real, score), **stages}
    for panel, (title, (points, critic)) in zip(panels, contents.items(), strict=True):
        landscape = critic(places.astype(np.float32)).reshape(_GRID, _GRID)
        panel.contourf(across, up, landscape, levels=24, cmap="bone", alpha=0.75)
        colour = PALETTE[4 if title == "real" else 1]
        panel.scatter(*points.T, s=5, color=colour, linewidths=0, alpha=0.7)
        panel.set(
            xlim=(across.min(), across.max()),
            ylim=(up.min(), up.max()),
            aspect="equal",
            title=title,
        )
        panel.grid(visible=False)
    image = Image.open(io.BytesIO(encode_figure(figure, "png")))
    return np.array(image.convert("RGB"))
