"""Colorization of the user's photographs at their own sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from gan_jax.apps.colorize.colorizer import Colorizer, Strip, in_strips
from gan_jax.apps.colorize.hints import (
    Hints,
    check_hints,
    check_takes_hints,
    hints_reader,
)
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, memory_limit
from gan_jax.data import color
from gan_jax.data.decode import (
    AT_WORK,
    BrokenImageError,
    crop_and_resize,
    to_float_numpy,
    with_channels,
)
from gan_jax.data.memory import UnreadableFileError
from gan_jax.data.user_images import Image8, InputFile
from gan_jax.evaluation.color import colourfulness_of_sums, opponent_sums
from gan_jax.evaluation.measure import measure
from gan_jax.evaluation.restoration import decibels
from gan_jax.report.grids import to_uint8
from gan_jax.report.ownership import write_image
from gan_jax.report.page import Card, Table, picture
from gan_jax.runs.apply import Application, Conclusion, trained_levels
from gan_jax.runs.prior import describe, open_colorizer
from gan_jax.tasks.plates.colors import plate

_TOGETHER = 8  # images decoded at once
_COLUMNS = {
    "size": list[int],
    "hints": int,
    "lightness_change": float,
    "colourfulness": float,
    "psnr": float,
    "ab_error": float,
    "colourfulness_real": float,
}
_SHOWN, _THUMBNAIL = 24, 128  # images in the report, and their size there


class HintedImage(NamedTuple):
    """An image and its hints, of which there may be none."""

    image: Image8
    hints: Hints


class Colorized(NamedTuple):
    """The result for one image."""

    size: tuple[int, int]
    """Width and height of the image and its output."""
    hints: int
    """Number of its hints."""
    lightness_change: float
    """Mean absolute difference of L, in Lab units, after rounding to 8 bits."""
    colourfulness: float
    true: Mapping[str, float]
    """PSNR, colour error and colourfulness of the given image; empty if it is grey."""


def open_colorizing(
    config: ConfigDict, workdir: Path
) -> Application[HintedImage, Colorized]:
    """Open a trained colorizer for photographs; the plate is written to `workdir`.

    Every output has the size of its image. The generator does not see the colours of
    the given image, but those of its hints (`hints` of the config); the output is
    compared with them.

    Raises:
        InputError: If there is no colorizer, or it takes no hints and there are some,
            or these cannot be read.
    """
    prior = open_colorizer(
        config.prior, FIRST_COMMANDS["colorize"], memory_limit(config)
    )
    colorizer = Colorizer(prior)
    if config.hints:
        check_takes_hints(prior)
    hints_of = hints_reader(config)
    shown: list[dict[str, Image8]] = []

    def preprocess(file: InputFile, image: Image8) -> HintedImage:
        try:
            hints = hints_of(file.path)
            check_hints(hints, Size(*image.shape[:2]))
        except (InputError, UnreadableFileError) as error:
            raise BrokenImageError(str(error)) from None
        return HintedImage(image, hints)

    def process(images: Sequence[HintedImage]) -> Iterator[tuple[Image8, Colorized]]:
        for image, hints in images:
            height, width, _ = image.shape
            with AT_WORK.holding(height * width):  # until the output is written
                painted = _painted(image, hints, colorizer)
                if len(shown) < _SHOWN:
                    shown.append(_thumbnails(image, painted))
                yield (
                    painted.image,
                    _measured((width, height), len(hints), painted.sums),
                )

    return Application(
        description=describe(prior),
        preprocess=preprocess,
        chunk_size=_TOGETHER,
        process=process,
        line=_line,
        columns=_COLUMNS,
        conclude=lambda done: _conclude(done, shown, workdir),
        levels=trained_levels(prior.config, prior.summary),
    )


class _Sums(NamedTuple):
    """Sums over the pixels of an image, or of a strip of it."""

    lightness: float
    """Absolute changes of scaled lightness."""
    squares: float
    """Squared differences of levels, of all channels."""
    distances: float
    """Distances of scaled colours in the ab plane."""
    opponents: Float[np.ndarray, "2 2"]
    true_opponents: Float[np.ndarray, "2 2"]
    coloured: int
    """Number of values that differ from red in the given image."""


class _Painted(NamedTuple):
    image: Image8
    lightness: UInt8[np.ndarray, "height width 1"]
    """Lightness of the given image."""
    sums: _Sums


def _painted(image: Image8, hints: Hints, colorizer: Colorizer) -> _Painted:
    """Return an image in colour, and the sums of its differences from the given one."""
    height, width, _ = image.shape
    output = np.empty((height, width, 3), np.uint8)
    lightness = np.empty((height, width, 1), np.uint8)
    paint = colorizer(image, hints)

    def fill(columns: slice) -> _Sums:
        strip = paint(columns)
        output[:, columns] = strip.image
        lightness[:, columns] = to_uint8(strip.lightness)
        return _sums(strip, colorizer)

    sums = in_strips(fill, height, width)
    totals: list[Any] = [sum(values) for values in zip(*sums, strict=True)]
    return _Painted(output, lightness, _Sums(*totals))


def _sums(strip: Strip, colorizer: Colorizer) -> _Sums:
    lightness, ab = colorizer.split(strip.image)
    differences = strip.image.astype(np.float32) - strip.given
    distances = np.linalg.norm(ab - strip.true_ab, axis=-1)
    return _Sums(
        float(np.abs(lightness - strip.lightness).sum(dtype=np.float64)),
        float(np.square(differences).sum(dtype=np.float64)),
        float(distances.sum(dtype=np.float64)),
        opponent_sums(strip.image),
        opponent_sums(strip.given),
        int((strip.given != strip.given[..., :1]).sum()),
    )


def _measured(size: tuple[int, int], hints: int, sums: _Sums) -> Colorized:
    """Return the measures of an output against its input."""
    pixels = size[0] * size[1]
    true: dict[str, float] = {}
    if sums.coloured:
        exactness = decibels(sums.squares / (3 * pixels))
        # An exact output, as of an image that is nearly black, has no PSNR.
        true = {"psnr": exactness} if np.isfinite(exactness) else {}
        true |= {
            "ab_error": sums.distances / pixels * color.AB_SCALE,
            "colourfulness_real": colourfulness_of_sums(sums.true_opponents, pixels),
        }
    return Colorized(
        size,
        hints,
        sums.lightness / pixels * color.LIGHTNESS_SCALE,
        colourfulness_of_sums(sums.opponents, pixels),
        true,
    )


def _thumbnails(image: Image8, painted: _Painted) -> dict[str, Image8]:
    versions = {
        "lightness": painted.lightness,
        "colorized": painted.image,
        "as given": image,
    }
    return {
        name: with_channels(crop_and_resize(version, _THUMBNAIL), 3)
        for name, version in versions.items()
    }


def _line(colorized: Colorized) -> dict[str, Any]:
    return {
        "size": list(colorized.size),
        "hints": colorized.hints,
        "lightness_change": colorized.lightness_change,
        "colourfulness": colorized.colourfulness,
        **colorized.true,
    }


def _conclude(
    done: Sequence[tuple[InputFile, Colorized]],
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
                str(file.path),
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
