"""A batch job: a trained run applied to a collection of images of any size."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.batch.engine import Engine
from gan_jax.apps.batch.inputs import Files, Inputs, inputs_of
from gan_jax.apps.batch.table import STATE, Parts, Row, State
from gan_jax.apps.inpaint.missing import doubt_files
from gan_jax.config.errors import InputError, printable
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.files.levels import trained_ranges
from gan_jax.data.user_images import InputFile, without_clashes
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.apply import say_what_was_read
from gan_jax.runs.signals import Signals, limited
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import (
    another,
    check_workdir,
    claimed,
    read_summary,
    written_config,
)
from gan_jax.training.mesh import make_mesh

_ROWS, _SECONDS = 500, 10.0  # a part is written when it has so many or is so old


def run(
    config: ConfigDict,
    out: Path,
    start_engine: Callable[[ConfigDict, Path], AbstractContextManager[Engine]],
    block_size: int = 0,
) -> dict[str, Any]:
    """Do a batch job, or the part of it that is missing.

    Every image gets an output of its name in `<out>/images` and a row in
    `<out>/results`, written after it. A job that is started again does only images
    without a row, and those that have changed since; after `kill -9` those of the last
    ten seconds may have none. Images that are broken, or whose output cannot be
    written, get a row with the reason.

    Args:
        config: Config of the program that is applied, with `prior` and `images`.
        out: Folder of the results.
        start_engine: Starts the engine, see `local` and `on_ray`.
        block_size: Number of files in a block; 0 = the work's default.

    Returns:
        The summary, as written to `<out>/summary.json`.

    Raises:
        InputError: If the user can mend it; nothing was overwritten.
        OSError: If the disk failed; the same call continues once it is mended.
        Interrupted: By SIGINT or SIGTERM; the same call continues.
    """
    began = time.monotonic()
    inputs = inputs_of(config.program)
    _check(config, out, inputs)
    files_of = inputs.files(config)
    if "masks_white" in config:
        masks = {file.path: of for file, of in files_of.items()}
        if warning := doubt_files(config, masks):
            say(warning)
    with (
        limited(config.minutes),
        start_engine(config, out) as engine,
        claimed(config, out, (), "--out"),
    ):
        work = engine.work
        if work.images is not None:
            say_what_was_read(work.images, config.images)
            _check_levels(out, work.images.reading)
        digest = work.origin["parameters_sha256"]
        parts = Parts(out / "results", work.columns, digest)
        states = input_states(files_of)
        changed = {name for name in states if _is_stale(parts, name, states[name])}
        if changed:
            say(
                f"{len(changed)} images are done again: they have changed since, or "
                "failed in an earlier version"
            )
        parts.forget(changed)
        missing = to_do([*files_of], parts)
        before, start = len(parts.done), time.monotonic()
        if before:
            say(f"{before} images were done before")
        # An older summary would call the new results complete.
        (out / "summary.json").unlink(missing_ok=True)
        size = block_size or work.block_size
        blocks = (missing[at : at + size] for at in range(0, len(missing), size))
        total = len(missing) + before
        with (
            Signals() as signals,
            Progress(total, len(parts.done), config.program, "image") as progress,
            contextlib.closing(engine.rows(blocks)) as rows,
        ):
            _gather(
                ([_with_state(row, states) for row in block] for block in rows),
                parts,
                signals,
                progress,
            )
        seconds = time.monotonic() - start
        images = len(parts.done) - before
        summary = complete_summary(
            config,
            dataset={
                "name": config[inputs.key],
                "split": "images",
                "count": total,
                "read": work.images and work.images.reading.as_json(),
            },
            measured=Measured({}, {}),
            timing={
                "images": images,
                "applying_seconds": seconds,
                "images_per_second": images / seconds,
                "total_seconds": time.monotonic() - began,
            },
            environment=environment(make_mesh(1)),
            parameters_sha256=digest,
            prior=dict(work.origin),
            inputs={
                "done": sum(parts.done.values()),
                "failed": total - sum(parts.done.values()),
            },
            engine=dict(engine.description),
        )
        files.write_json(out / "summary.json", summary)
        return summary


def _check(config: ConfigDict, out: Path, inputs: Inputs) -> None:
    if not config.get(inputs.key, ""):
        raise InputError("--images is empty: name a folder of images")
    if Path(config.prior).resolve() == out.resolve():
        raise InputError(
            f"{out} is the prior's, and the results need their own: "
            f"{another(out, '--out')}"
        )
    check_workdir(config, out, "--out")
    before = written_config(out) or {}
    for key in inputs.fixed:
        if before.get(key, config[key]) != config[key]:
            raise InputError(
                f"{out} holds results with {key} {before[key]}: give "
                f"--config.{key}={before[key]}, or {another(out, '--out')}"
            )
    if (out / "results.jsonl").exists():
        raise InputError(f"{out} holds a run of gan_jax.main: {another(out, '--out')}")


def _check_levels(out: Path, reading: Reading) -> None:
    """Refuse images whose levels would not be scaled as those of finished ones were.

    Raises:
        InputError: Names both ranges.
    """
    try:
        summary = read_summary(out) or {}
    except (OSError, ValueError):  # nothing tells how they were scaled
        return
    before = trained_ranges((summary.get("dataset") or {}).get("read"))
    for kind in sorted(before.keys() & reading.levels.keys()):
        if before[kind] != reading.scaling.of(kind):
            raise InputError(
                f"{out} holds images whose levels {before[kind]} of {kind} became 0 to "
                f"255, and with the files that are new it would be "
                f"{reading.scaling.of(kind)}: {another(out, '--out')}, or take the new "
                "files out"
            )


def input_states(inputs: Files) -> dict[str, State]:
    """Return the state of each file, its masks included, by its name in the rows.

    A file that cannot be found counts as empty.
    """

    def state(files: Sequence[Path]) -> State:
        found = [(0, 0)]
        for path in files:
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_size, status.st_mtime_ns))
        sizes, times = zip(*found, strict=True)
        return sum(sizes), max(times)

    return {
        printable(str(file.path)): state([file.path, *masks])
        for file, masks in inputs.items()
    }


def _is_stale(parts: Parts, name: str, state: State) -> bool:
    """Return whether an input has a row, but of another state.

    In rows of earlier versions, which have none, those that failed count as stale.
    """
    if name not in parts.done:
        return False
    before = parts.states[name]
    return before != state if None not in before else not parts.done[name]


def _with_state(row: Row, states: Mapping[str, State]) -> Row:
    state = states.get(printable(row["input"]), (None, None))
    return {**row, **dict(zip(STATE, state, strict=True))}


def to_do(files: Sequence[InputFile], parts: Parts) -> list[InputFile]:
    """Return the files that have no row yet, in their order.

    Their names are not those of outputs that have a row.
    """
    missing = [file for file in files if printable(str(file.path)) not in parts.done]
    return without_clashes(
        missing, lambda name: printable(f"images/{name}.png") in parts.outputs
    )


def _gather(
    rows: Iterator[Sequence[Row]], parts: Parts, signals: Signals, progress: Progress
) -> None:
    """Write rows as they arrive, in parts.

    Raises:
        Interrupted: By a signal; the rows that have arrived are written.
    """
    waiting: list[Row] = []
    # Write the first rows at once, so that results can be looked at early.
    written = -math.inf
    try:
        for arrived in rows:
            waiting += arrived
            progress.advance(len(parts.done) + len(waiting))
            old = time.monotonic() - written > _SECONDS
            if waiting and (old or len(waiting) >= _ROWS):
                parts.write(waiting)
                waiting, written = [], time.monotonic()
            signals.obey()
    finally:
        if waiting:
            parts.write(waiting)
