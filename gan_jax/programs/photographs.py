"""The user's photographs, grey or in colour, colorized at their own sizes."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.config import flatten
from gan_jax.data import color
from gan_jax.data.decode import fit, to_numbers, with_channels
from gan_jax.data.files import given_images
from gan_jax.data.sources import Skipped
from gan_jax.errors import InputError, Interrupted
from gan_jax.evaluation.color import colourfulness
from gan_jax.evaluation.measure import measure
from gan_jax.evaluation.restoration import psnr
from gan_jax.programs.assembly import make_mesh
from gan_jax.programs.colorizer import TOGETHER, Colorizer
from gan_jax.programs.given import Image8, decoded
from gan_jax.programs.prior import Prior, describe, open_prior
from gan_jax.programs.results import environment
from gan_jax.programs.signals import Signals
from gan_jax.programs.workdir import check_workdir, claimed, write_results
from gan_jax.report import files
from gan_jax.report.colorization import plate
from gan_jax.report.grids import to_uint8
from gan_jax.report.page import Card, Command, Section, Table, page, picture
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.report.training import command

_SHOWN, _THUMBNAIL = 24, 128  # images in the report, and their size there


class Colorized(NamedTuple):
    """What became of one image."""

    file: Path
    output: Path
    size: tuple[int, int]
    """Width and height, of both."""
    lightness_change: float
    """Mean absolute difference of L after rounding to 8 bits, in Lab units."""
    colourfulness: float
    true: Mapping[str, float]
    """PSNR, colour error and colourfulness, where the image had colours."""


def colorize_images(config: ConfigDict, workdir: Path, commands: str) -> dict[str, Any]:
    """Colorize the images of a folder with a trained colorizer.

    Every image is written to `<workdir>/images` at its own size. What colours it had
    are not looked at, but compared with afterwards. A broken one is reported, and the
    rest are done.

    Args:
        config: `prior` and `images` of it.
        workdir: where the results go.
        commands: that make a colorizer.

    Raises:
        InputError: there is no colorizer, no folder, or no image that can be used.
        OSError: the disk failed.
        Interrupted: by SIGINT or SIGTERM.
    """
    began = time.monotonic()
    if config.prior and Path(config.prior).resolve() == workdir.resolve():
        raise InputError(
            f"{workdir} is the colorizer's: choose another --workdir for the images"
        )
    check_workdir(config, workdir)
    prior = open_prior(config.prior, commands, program="colorize")
    if not config.images:
        raise InputError(
            "--config.images is empty: name a folder of images to colorize"
        )
    found = given_images(config.images)
    with claimed(config, workdir, ()), Signals() as signals:
        start = time.monotonic()
        done, shown, skipped = _colorize(found, Colorizer(prior), workdir, signals)
        seconds = time.monotonic() - start
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
        write_results(workdir, skipped, [_line(one, workdir) for one in done])
        if not done:
            raise InputError(f"no image can be colorized ({skipped[0].reason})")
        timing = {
            "colorizing_seconds": seconds,
            "images_per_second": len(found) / seconds,
            "total_seconds": time.monotonic() - began,
        }
        return _conclude(config, workdir, prior, (done, shown, skipped), timing)


def _colorize(
    found: Sequence[Path], colorizer: Colorizer, workdir: Path, signals: Signals
) -> tuple[list[Colorized], list[dict[str, Image8]], list[Skipped]]:
    """Colorize files, a few at a time, and keep small versions of the first."""
    done: list[Colorized] = []
    shown: list[dict[str, Image8]] = []
    skipped: list[Skipped] = []
    with Progress(len(found), 0, "colorizes", "image") as progress:
        for given in decoded(found, lambda image: image, TOGETHER):
            skipped += given.skipped
            outputs = colorizer(given.images) if given.images else []
            for file, image, output in zip(
                given.files, given.images, outputs, strict=True
            ):
                path = workdir / "images" / f"{file.stem}.png"
                files.write_image(path, output)
                done.append(_compared(file, path, image, output, colorizer))
                if len(shown) < _SHOWN:
                    shown.append(_thumbnails(image, output, colorizer))
            progress.advance(len(done) + len(skipped))
            if signals.received:
                raise Interrupted(signals.received, "the same command begins anew")
    return done, shown, skipped


def _compared(
    file: Path, path: Path, image: Image8, output: Image8, colorizer: Colorizer
) -> Colorized:
    """Compare an output with its input."""
    height, width, _ = image.shape
    (light, ab), (true_light, true_ab) = map(colorizer.split, (output, image))
    made, truth = to_numbers(output), to_numbers(image)
    true: dict[str, float] = {}
    if _coloured(image):
        distances = np.linalg.norm(ab - true_ab, axis=-1)
        true = {
            "psnr": psnr(made, truth),
            "ab_error": float(distances.mean()) * color.AB_SCALE,
            "colourfulness_real": colourfulness(truth[None]),
        }
    return Colorized(
        file,
        path,
        (width, height),
        float(np.abs(light - true_light).mean()) * color.LIGHTNESS_SCALE,
        colourfulness(made[None]),
        true,
    )


def _coloured(image: Image8) -> bool:
    return image.shape[-1] == 3 and bool((image != image[..., :1]).any())


def _thumbnails(
    image: Image8, output: Image8, colorizer: Colorizer
) -> dict[str, Image8]:
    lightness, _ = colorizer.split(image)
    columns = {
        "lightness": to_uint8(lightness),
        "colorized": output,
        "as given": image,
    }
    return {
        name: with_channels(fit(version, _THUMBNAIL), 3)
        for name, version in columns.items()
    }


def _line(one: Colorized, workdir: Path) -> dict[str, Any]:
    return {
        "input": str(one.file),
        "done": True,
        "output": str(one.output.relative_to(workdir)),
        "size": list(one.size),
        "lightness_change": one.lightness_change,
        "colourfulness": one.colourfulness,
        **one.true,
    }


def _conclude(
    config: ConfigDict,
    workdir: Path,
    prior: Prior,
    outcome: tuple[
        Sequence[Colorized], Sequence[Mapping[str, Image8]], Sequence[Skipped]
    ],
    timing: Mapping[str, float],
) -> dict[str, Any]:
    """Write the plate, the report and the summary."""
    done, shown, skipped = outcome

    def mean(values: Sequence[float], reason: str) -> Callable[[], float]:
        def value() -> float:
            if not values:
                raise ValueError(reason)
            return float(np.mean(values))

        return value

    found = measure(
        {
            name: mean(
                [one.true[name] for one in done if name in one.true],
                "no image that was given is in colour",
            )
            for name in ("psnr", "ab_error", "colourfulness_real")
        }
        | {
            "colourfulness": mean([one.colourfulness for one in done], ""),
            "lightness_change": mean([one.lightness_change for one in done], ""),
        }
    )
    columns = {
        name: to_numbers(np.stack([each[name] for each in shown])) for name in shown[0]
    }
    drawn = plate(columns, min(6, len(shown)))
    files.write_image(workdir / "samples" / "colorized.png", drawn)
    table = Table(
        "Images",
        ["image", "size", "colourfulness", "change of lightness", "PSNR"],
        [
            [
                str(one.file),
                f"{one.size[0]}x{one.size[1]}",
                one.colourfulness,
                one.lightness_change,
                one.true.get("psnr"),
            ]
            for one in done[:_SHOWN]
        ],
        "Change of lightness: mean, in Lab units, after rounding to 8 bits. PSNR in dB "
        "against the colours that an image had.",
    )
    cards = [
        Card("Colourfulness", found.metrics["colourfulness"], "0 = grey"),
        Card("Change of lightness", found.metrics["lightness_change"], "of 100"),
    ]
    text = page(
        config.name,
        "Images colorized by a generator.",
        {
            "colorizer": str(config.prior),
            "images": f"{len(done)} colorized, {len(skipped)} failed",
        },
        [
            Section("Pictures", [picture("Colorized", drawn, "The first of them.")]),
            Section("Figures", [table]),
            Section(
                "Reproduce", [Command("Command", command(config.name, flatten(config)))]
            ),
        ],
        cards=cards,
    )
    files.write_text(workdir / "report.html", text)
    digest = hashlib.sha256()
    for one in done:
        digest.update(one.output.read_bytes())
    summary = {
        "program": config.program,
        "config_name": config.name,
        "dataset": {
            "name": config.images,
            "split": "images",
            "count": len(done),
            "sha256": digest.hexdigest(),
        },
        "prior": describe(prior),
        "inputs": {"done": len(done), "failed": len(skipped)},
        "metrics": found.metrics,
        "metrics_failed": found.failed,
        "timing": dict(timing),
        "environment": environment(make_mesh(1)),
        "parameters_sha256": prior.digest,
        "complete": True,
    }
    files.write_json(workdir / "summary.json", summary)
    return summary
