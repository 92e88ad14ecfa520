"""Colorization of the user's photographs at their own sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.apps.colorize.colorizer import Colored, Colorizer
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.data import color
from gan_jax.data.decode import crop_and_resize, to_float_numpy, with_channels
from gan_jax.data.user_images import Image8
from gan_jax.evaluation.color import colourfulness
from gan_jax.evaluation.measure import measure
from gan_jax.evaluation.restoration import psnr
from gan_jax.report.grids import to_uint8
from gan_jax.report.ownership import write_image
from gan_jax.report.page import Card, Table, picture
from gan_jax.runs.apply import Application, Conclusion
from gan_jax.runs.prior import describe, open_colorizer
from gan_jax.tasks.plates.colors import plate

_TOGETHER = 8  # images decoded at once
_COLUMNS = {
    "size": list[int],
    "lightness_change": float,
    "colourfulness": float,
    "psnr": float,
    "ab_error": float,
    "colourfulness_real": float,
}
_SHOWN, _THUMBNAIL = 24, 128  # images in the report, and their size there


class Colorized(NamedTuple):
    """The result for one image."""

    size: tuple[int, int]
    """Width and height of the image and its output."""
    lightness_change: float
    """Mean absolute difference of L, in Lab units, after rounding to 8 bits."""
    colourfulness: float
    true: Mapping[str, float]
    """PSNR, colour error and colourfulness of the given image; empty if it is grey."""


def open_colorizing(
    config: ConfigDict, workdir: Path
) -> Application[Image8, Colorized]:
    """Open a trained colorizer for photographs; the plate is written to `workdir`.

    Every output has the size of its image. The generator does not see the colours of
    the given image; the output is compared with them.

    Raises:
        InputError: If there is no colorizer.
    """
    prior = open_colorizer(config.prior, FIRST_COMMANDS["colorize"])
    colorizer = Colorizer(prior)
    shown: list[dict[str, Image8]] = []

    def process(images: Sequence[Image8]) -> Iterator[tuple[Image8, Colorized]]:
        for image in images:
            colored = colorizer(image)
            if len(shown) < _SHOWN:
                shown.append(_thumbnails(image, colored))
            yield colored.image, _compared(image, colored, colorizer)

    return Application(
        description=describe(prior),
        preprocess=lambda image: image,
        chunk_size=_TOGETHER,
        process=process,
        line=_line,
        columns=_COLUMNS,
        conclude=lambda done: _conclude(done, shown, workdir),
    )


def _compared(image: Image8, colored: Colored, colorizer: Colorizer) -> Colorized:
    """Return the measures of an output against its input."""
    height, width, _ = image.shape
    light, ab = colorizer.split(colored.image)
    output, truth = to_float_numpy(colored.image), to_float_numpy(image)
    true: dict[str, float] = {}
    if _coloured(image):
        distances = np.linalg.norm(ab - colored.true_ab, axis=-1)
        exactness = psnr(output, truth)
        # An exact output, as of an image that is nearly black, has no PSNR.
        true = {"psnr": exactness} if np.isfinite(exactness) else {}
        true |= {
            "ab_error": float(distances.mean()) * color.AB_SCALE,
            "colourfulness_real": colourfulness(truth[None]),
        }
    change = np.abs(light - colored.lightness)
    return Colorized(
        (width, height),
        float(change.mean()) * color.LIGHTNESS_SCALE,
        colourfulness(output[None]),
        true,
    )


def _thumbnails(image: Image8, colored: Colored) -> dict[str, Image8]:
    versions = {
        "lightness": to_uint8(colored.lightness),
        "colorized": colored.image,
        "as given": image,
    }
    return {
        name: with_channels(crop_and_resize(version, _THUMBNAIL), 3)
        for name, version in versions.items()
    }


def _coloured(image: Image8) -> bool:
    return image.shape[-1] == 3 and bool((image != image[..., :1]).any())


def _line(colorized: Colorized) -> dict[str, Any]:
    return {
        "size": list(colorized.size),
        "lightness_change": colorized.lightness_change,
        "colourfulness": colorized.colourfulness,
        **colorized.true,
    }


def _conclude(
    done: Sequence[tuple[Path, Colorized]],
    shown: Sequence[Mapping[str, Image8]],
    workdir: Path,
) -> Conclusion:
    """Return the report of all images; draw the plate."""
    outcomes = [outcome for _, outcome in done]

    def mean(values: Sequence[float]) -> Callable[[], float]:
        def value() -> float:
            if not values:
                raise ValueError("no image that was given is in colour")
            return float(np.mean(values))

        return value

    measured = measure(
        {
            name: mean(
                [outcome.true[name] for outcome in outcomes if name in outcome.true]
            )
            for name in ("psnr", "ab_error", "colourfulness_real")
        }
        | {
            "colourfulness": mean([outcome.colourfulness for outcome in outcomes]),
            "lightness_change": mean(
                [outcome.lightness_change for outcome in outcomes]
            ),
        }
    )
    columns = {
        name: to_float_numpy(np.stack([versions[name] for versions in shown]))
        for name in shown[0]
    }
    drawn = plate(columns, min(6, len(shown)))
    write_image(workdir, workdir / "samples" / "colorized.png", drawn)
    table = Table(
        "Images",
        ["image", "size", "colourfulness", "change of lightness", "PSNR"],
        [
            [
                str(file),
                f"{outcome.size[0]}x{outcome.size[1]}",
                outcome.colourfulness,
                outcome.lightness_change,
                outcome.true.get("psnr"),
            ]
            for file, outcome in done[:_SHOWN]
        ],
        "Change of lightness: mean, in Lab units, after rounding to 8 bits. PSNR in dB "
        "against the colours that an image had.",
    )
    metrics = measured.metrics
    return Conclusion(
        measured,
        "Images colorized by a generator.",
        [
            Card("Colourfulness", metrics["colourfulness"], "0 = grey"),
            Card("Change of lightness", metrics["lightness_change"], "of 100"),
        ],
        [table],
        [picture("Colorized", drawn, "The first of them.")],
    )
