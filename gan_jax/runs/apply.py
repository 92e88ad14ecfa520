"""What a trained run makes of the user's images: the frame of every such program."""

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from ml_collections import ConfigDict

from gan_jax.config.command_line import command
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.datasets.folders import list_images
from gan_jax.data.decode import read_file
from gan_jax.data.user_images import Given, Image8, Prepared, Read, decoded
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.page import Block, Card, Command, Section, page
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import another, check_workdir, claimed, write_results
from gan_jax.training.mesh import make_mesh

Outcome = TypeVar("Outcome")
"""What became of one image."""


class Conclusion(NamedTuple):
    """What is said of all images."""

    measured: Measured
    subtitle: str
    cards: Sequence[Card]
    figures: Sequence[Block]
    pictures: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Application(Generic[Prepared, Outcome]):
    """A trained run, ready to be applied."""

    prior: Mapping[str, Any]
    """Which run: its place, and the hash of its parameters."""
    prepare: Callable[[Image8], Prepared]
    """What is made of an image in a thread; it may raise `BrokenImageError`."""
    together: int
    """Images decoded, and applied to, at once."""
    apply: Callable[[Sequence[Path], Sequence[Prepared]], Sequence[Outcome]]
    """`apply(outputs, images)`: makes of each image the file that is named, and an
    outcome."""
    line: Callable[[Outcome], Mapping[str, Any]]
    """What `results.jsonl` says of an image."""
    columns: Mapping[str, Any]
    """The types of what it says, by name."""
    conclude: Callable[[Sequence[tuple[Path, Outcome]]], Conclusion]
    """What the report says of all images, by the file that each was."""


def applied_to_images(
    config: ConfigDict,
    workdir: Path,
    purpose: str,
    open_application: Callable[[ConfigDict, Path, str], Application[Prepared, Outcome]],
    commands: str,
) -> dict[str, Any]:
    """Apply a trained run to the images of a folder.

    Every image has an output of the same stem in `<workdir>/images` and a line in
    `results.jsonl`. A broken one is reported there, and the rest are done.

    Args:
        config: `prior` and `images` of it.
        workdir: where the results go.
        purpose: what is done to images, for messages: "colorize".
        open_application: opens the run, of a config, a workdir and `commands`.
        commands: what to run where there is none.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: there is no run, no folder, or no image that can be used.
        OSError: the disk failed.
        Interrupted: by SIGINT or SIGTERM.
    """
    began = time.monotonic()
    if config.prior and Path(config.prior).resolve() == workdir.resolve():
        raise InputError(
            f"{workdir} is the prior's, and the images need their own: "
            f"{another(workdir)}"
        )
    check_workdir(config, workdir)
    application = open_application(config, workdir, commands)
    if not config.images:
        raise InputError(
            f"--config.images is empty: name a folder of images to {purpose}"
        )
    found = list_images(config.images)
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed(config, workdir, ()))
        signals = stack.enter_context(Signals())
        start = time.monotonic()
        # An older one would say of other results that they are complete.
        (workdir / "summary.json").unlink(missing_ok=True)
        digest = hashlib.sha256()
        done, skipped = _apply(application, found, workdir, purpose, signals, digest)
        seconds = time.monotonic() - start
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
        lines = [said(application, workdir, *one) for one in done]
        write_results(workdir, skipped, lines)
        if not done:
            raise InputError(
                f"there is no image to {purpose} in {config.images} "
                f"({skipped[0].reason})"
            )
        rate = len(found) / seconds
        say(f"{len(found)} images in {seconds:.1f} s: {rate:.1f} images/s")
        conclusion = application.conclude(done)
        facts = {
            "prior": str(config.prior),
            "images": f"{len(done)} done, {len(skipped)} failed",
        }
        _report(config, workdir, conclusion, facts)
        summary = complete_summary(
            config,
            dataset={
                "name": config.images,
                "split": "images",
                "count": len(done),
                "sha256": digest.hexdigest(),
            },
            measured=conclusion.measured,
            timing={
                "applying_seconds": seconds,
                "images_per_second": rate,
                "total_seconds": time.monotonic() - began,
            },
            environment=environment(make_mesh(1)),
            parameters_sha256=application.prior["parameters_sha256"],
            prior=dict(application.prior),
            inputs={"done": len(done), "failed": len(skipped)},
        )
        files.write_json(workdir / "summary.json", summary)
        return summary


def _apply(
    application: Application[Prepared, Outcome],
    found: Sequence[Path],
    workdir: Path,
    purpose: str,
    signals: Signals,
    digest: Any,
) -> tuple[list[tuple[Path, Outcome]], list[Skipped]]:
    """Apply a run to files, some at a time, and hash those that could be used."""
    done: list[tuple[Path, Outcome]] = []
    skipped: list[Skipped] = []
    with Progress(len(found), 0, purpose, "image") as progress:
        for given, outcomes in applied(application, found, workdir):
            skipped += given.skipped
            done += zip(given.files, outcomes, strict=True)
            digest.update("".join(given.digests).encode())
            progress.advance(len(done) + len(skipped))
            if signals.received:
                raise Interrupted(signals.received, "the same command begins anew")
    return done, skipped


def applied(
    application: Application[Prepared, Outcome],
    found: Sequence[Path],
    workdir: Path,
    read: Read = read_file,
) -> Iterator[tuple[Given[Prepared], Sequence[Outcome]]]:
    """Apply a run to files, some at a time, and write an image for each.

    Args:
        application: the run.
        found: the files, each of a name of its own.
        workdir: the images go into `<workdir>/images`.
        read: gives the content of each file.
    """
    for given in decoded(found, application.prepare, application.together, read):
        outputs = [output_of(workdir, file) for file in given.files]
        yield given, application.apply(outputs, given.images) if outputs else ()


def _report(
    config: ConfigDict,
    workdir: Path,
    conclusion: Conclusion,
    facts: Mapping[str, str],
) -> None:
    again = Command("Command", command(config.name, flatten(config)))
    text = page(
        config.name,
        conclusion.subtitle,
        facts,
        [
            Section("Figures", conclusion.figures),
            Section("Pictures", conclusion.pictures),
            Section("Reproduce", [again]),
        ],
        cards=conclusion.cards,
    )
    files.write_text(workdir / "report.html", text)


def output_of(workdir: Path, file: Path) -> Path:
    """Return where an input's output goes."""
    return workdir / "images" / f"{file.stem}.png"


def said(
    application: Application[Prepared, Outcome],
    workdir: Path,
    file: Path,
    outcome: Outcome,
) -> dict[str, Any]:
    """Return the line of an image that was done."""
    return {
        "input": str(file),
        "done": True,
        "output": str(output_of(workdir, file).relative_to(workdir)),
        **application.line(outcome),
    }
