"""Application of a trained run to a folder of the user's images."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from ml_collections import ConfigDict

from gan_jax.config.command_line import full_command
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.decode import read_file
from gan_jax.data.files.levels import (
    AUTO,
    FLAG,
    WHOLE,
    Range,
    Scaling,
    given_range,
    trained_ranges,
)
from gan_jax.data.user_images import (
    Image8,
    InputFile,
    Prepared,
    Read,
    UsersImages,
    decode_files,
    open_folder,
    user_images,
    without_clashes,
)
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.files import UnwritableError
from gan_jax.report.ownership import unwritten, write_image
from gan_jax.report.page import Block, Card, Command, Section, Text, page
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import another, check_workdir, claimed, write_results
from gan_jax.training.mesh import make_mesh

Outcome = TypeVar("Outcome")
"""The result for one image."""


class Conclusion(NamedTuple):
    """Metrics and report of all images."""

    measured: Measured
    subtitle: str
    cards: Sequence[Card]
    figures: Sequence[Block]
    pictures: Sequence[Block]
    more: Mapping[str, Any] = MappingProxyType({})
    """Entries of the summary that only the program has."""


class Applied(NamedTuple, Generic[Outcome]):
    """A chunk of files to which a run was applied."""

    done: list[tuple[InputFile, Outcome]]
    """The files whose output was written."""
    digests: list[str]
    """SHA-256 of each of these files."""
    skipped: list[Skipped]
    """The other files."""


class TrainedLevels(NamedTuple):
    """How the levels of the images that a run was trained on became 8 bits."""

    choice: str = AUTO
    """The run's `data.levels`."""
    ranges: Mapping[str, Range] = MappingProxyType({})
    """The levels that became black and white, by kind of file."""

    @property
    def scaling(self) -> Scaling:
        """The same scaling, whatever the levels in use of other images are."""
        return Scaling(given_range(self.choice), self.ranges)


UNKNOWN_LEVELS = TrainedLevels()
"""Those of a run whose data were not in files, or that an older version has written."""


def trained_levels(config: ConfigDict, summary: Mapping[str, Any]) -> TrainedLevels:
    """Return the levels of a run, from its config and its summary."""
    read = (summary.get("dataset") or {}).get("read")
    return TrainedLevels(config.data.get("levels", AUTO), trained_ranges(read))


def files_of(config: ConfigDict) -> list[InputFile]:
    """Return the image files of the folder `images` of a config.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    return user_images(config.images)


def open_images(
    config: ConfigDict,
    trained: TrainedLevels,
    files: Sequence[InputFile] | None = None,
) -> UsersImages:
    """Open the folder `images` of a config for a run that is applied to it.

    Levels become 8 bits by the config's own `data.levels`. Where it is `auto`, it is
    the run's, and where that is `auto` too, the bits in use decide: of this folder, and
    no fewer than of the images that the run was trained on.

    Raises:
        InputError: As `user_images.open_folder`.
    """
    own = config.data.levels
    choice = trained.choice if own == AUTO else own
    paths = None if files is None else [file.path for file in files]
    images = open_folder(config.images, choice, trained.ranges, paths)
    if choice != own:
        note = f"levels as in the run that is applied: --config.{FLAG}={choice}"
        images = images._replace(reading=images.reading.noting(note))
    return images


def say_what_was_read(images: UsersImages, folder: str) -> None:
    """Print what was read of a folder of the user's images."""
    name = Path(folder).expanduser().resolve().name
    for line in images.reading.lines():
        say(f"{name}: {line}")


@dataclasses.dataclass(frozen=True)
class Application(Generic[Prepared, Outcome]):
    """A trained run, ready to be applied to images."""

    description: Mapping[str, Any]
    """Workdir of the run, and the hash of its parameters."""
    preprocess: Callable[[InputFile, Image8], Prepared]
    """Function of a file and its image, called in threads; it may raise
    `BrokenImageError`."""
    chunk_size: int
    """Number of images that are decoded and processed at once."""
    process: Callable[[Sequence[Prepared]], Iterable[tuple[Image8, Outcome]]]
    """`process(images)` yields the output of each image, to be written before the next
    one is made, and its outcome."""
    line: Callable[[Outcome], Mapping[str, Any]]
    """Entries of an image's line in `results.jsonl`."""
    columns: Mapping[str, Any]
    """Types of these entries by name."""
    conclude: Callable[[Sequence[tuple[InputFile, Outcome]]], Conclusion]
    """Returns the conclusion from all files and their outcomes."""
    levels: TrainedLevels = UNKNOWN_LEVELS
    """How the levels of the images that the run was trained on became 8 bits."""


def apply_to_folder(
    config: ConfigDict,
    workdir: Path,
    purpose: str,
    open_application: Callable[[ConfigDict, Path], Application[Prepared, Outcome]],
    list_files: Callable[[ConfigDict], list[InputFile]] = files_of,
) -> dict[str, Any]:
    """Apply a trained run to the images of a folder.

    Every image gets an output of its name in `<workdir>/images` and a line in
    `results.jsonl`. Broken images get a line with the reason.

    Args:
        config: Config of the program; `prior` and `images` are read.
        workdir: Folder of the results.
        purpose: Verb for messages, e.g. "colorize".
        open_application: Opens the run: `open_application(config, workdir)`.
        list_files: Returns the files of a config; by default all images of the folder.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: If there is no run, no folder, or no image that can be used.
        OSError: If the disk failed.
        Interrupted: If SIGINT or SIGTERM was received.
    """
    began = time.monotonic()
    if config.prior and Path(config.prior).resolve() == workdir.resolve():
        raise InputError(
            f"{workdir} is the prior's, and the images need their own: "
            f"{another(workdir)}"
        )
    check_workdir(config, workdir)
    application = open_application(config, workdir)
    if not config.images:
        raise InputError(
            f"--config.images is empty: name a folder of images to {purpose}"
        )
    inputs = without_clashes(list_files(config))
    images = open_images(config, application.levels, inputs)
    say_what_was_read(images, config.images)
    with claimed(config, workdir, ()), Signals() as signals:
        start = time.monotonic()
        # An older summary would call the new results complete.
        (workdir / "summary.json").unlink(missing_ok=True)
        done, skipped, digest = _process(
            application, inputs, images.reading.scaling, workdir, purpose, signals
        )
        seconds = time.monotonic() - start
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
        lines = [result_line(application, workdir, *pair) for pair in done]
        write_results(workdir, skipped, lines)
        if not done:
            raise InputError(
                f"there is no image to {purpose} in {config.images} "
                f"({skipped[0].reason})"
            )
        rate = len(inputs) / seconds
        say(f"{len(inputs)} images in {seconds:.1f} s: {rate:.1f} images/s")
        conclusion = application.conclude(done)
        facts = {
            "prior": str(config.prior),
            "images": f"{len(done)} done, {len(skipped)} failed",
        }
        command = Command("Command", full_command(config.name, flatten(config)))
        sections = [
            Section("Figures", conclusion.figures),
            Section("Pictures", conclusion.pictures),
            Section("Data", [Text("", images.reading.lines())]),
            Section("Reproduce", [command]),
        ]
        text = page(config.name, conclusion.subtitle, facts, sections, conclusion.cards)
        files.write_text(workdir / "report.html", text)
        summary = complete_summary(
            config,
            dataset={
                "name": config.images,
                "split": "images",
                "count": len(done),
                "sha256": digest,
                "read": images.reading.as_json(),
            },
            measured=conclusion.measured,
            timing={
                "applying_seconds": seconds,
                "images_per_second": rate,
                "total_seconds": time.monotonic() - began,
            },
            environment=environment(make_mesh(1)),
            parameters_sha256=application.description["parameters_sha256"],
            prior=dict(application.description),
            inputs={"done": len(done), "failed": len(skipped)},
            **conclusion.more,
        )
        files.write_json(workdir / "summary.json", summary)
        return summary


def _process(
    application: Application[Prepared, Outcome],
    inputs: Sequence[InputFile],
    scaling: Scaling,
    workdir: Path,
    purpose: str,
    signals: Signals,
) -> tuple[list[tuple[InputFile, Outcome]], list[Skipped], str]:
    """Apply a run to files; return outcomes, skipped files, and the others' hash."""
    done: list[tuple[InputFile, Outcome]] = []
    skipped: list[Skipped] = []
    digest = hashlib.sha256()
    with Progress(len(inputs), 0, purpose, "image") as progress:
        for chunk in apply_to_files(application, inputs, workdir, scaling=scaling):
            skipped += chunk.skipped
            done += chunk.done
            digest.update("".join(chunk.digests).encode())
            progress.advance(len(done) + len(skipped))
            if signals.received:
                raise Interrupted(signals.received, "the same command begins anew")
    return done, skipped, digest.hexdigest()


def apply_to_files(
    application: Application[Prepared, Outcome],
    inputs: Sequence[InputFile],
    workdir: Path,
    read: Read = read_file,
    scaling: Scaling = WHOLE,
) -> Iterator[Applied[Outcome]]:
    """Apply a run to files, a chunk at a time, and write an image for each.

    A file whose output cannot be written is skipped.

    Args:
        application: The run.
        inputs: Image files.
        workdir: Images are written to `<workdir>/images`.
        read: Function that returns the content of a file.
        scaling: How levels become 8 bits.

    Yields:
        The outcomes of each chunk.

    Raises:
        OSError: If no output can be written.
    """
    for chunk in decode_files(
        inputs,
        lambda file, layers: application.preprocess(file, layers.image),
        application.chunk_size,
        read,
        scaling,
    ):
        applied: Applied[Outcome] = Applied([], [], chunk.skipped)
        made = application.process(chunk.images) if chunk.images else ()
        for file, digest, (image, outcome) in zip(
            chunk.files, chunk.digests, made, strict=True
        ):
            try:
                write_image(workdir, output_path(workdir, file), image)
            except UnwritableError as error:
                reason = unwritten(workdir, error)
                applied.skipped.append(Skipped(str(file.path), reason))
                continue
            applied.done.append((file, outcome))
            applied.digests.append(digest)
        yield applied


def output_path(workdir: Path, file: InputFile) -> Path:
    """Return the path of an input's output."""
    return workdir / "images" / f"{file.name}.png"


def result_line(
    application: Application[Prepared, Outcome],
    workdir: Path,
    file: InputFile,
    outcome: Outcome,
) -> dict[str, Any]:
    """Return the line of an image in `results.jsonl`."""
    return {
        "input": str(file.path),
        "done": True,
        "output": str(output_path(workdir, file).relative_to(workdir)),
        **application.line(outcome),
    }
