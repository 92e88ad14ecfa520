"""Generate images under the user's own known values."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.generate.memory import demands
from gan_jax.apps.generate.prior import Source, open_source
from gan_jax.apps.generate.realisations import Maker
from gan_jax.apps.generate.report import report
from gan_jax.apps.generate.sets import Outline, outlines
from gan_jax.config.command_line import full_command
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.report import files
from gan_jax.report.files import UnwritableError
from gan_jax.report.ownership import unwritten
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import describe
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import check_workdir, claimed, write_results
from gan_jax.training.mesh import make_mesh


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Make realisations of every set of known values, and report.

    Realisations are kept in `<workdir>/realisations` as they are made: the same call
    continues from there, also where `count` has grown.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: If the user can mend it; nothing was overwritten.
        OSError: If the disk failed; the same call continues once it is mended.
        Interrupted: By SIGINT or SIGTERM; the realisations made are kept.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    source = open_source(config)
    sets, skipped = outlines(config, source)
    for path, reason in skipped:
        say(f"skipped {path}: {reason}")
    maker = Maker(config, source, workdir)
    check_sets(config, source, maker, sets)
    with claimed(config, workdir, skipped), Signals() as signals:
        # An older summary would call the new results complete.
        (workdir / "summary.json").unlink(missing_ok=True)
        start = time.monotonic()
        lines, failed = _make_all(maker, sets, signals)
        seconds = time.monotonic() - start
        if not lines:
            raise InputError(f"no set can be written ({failed[0].reason})")
        skipped += failed
        write_results(workdir, skipped, lines)
        return _conclude(config, source, sets, lines, skipped, seconds, workdir, began)


def check_sets(
    config: ConfigDict, source: Source, maker: Maker, sets: Sequence[Outline]
) -> None:
    """Refuse sets of which more is made than asked for, or that need too much memory.

    Raises:
        InputError: Names the folder; or the key, the estimate and the memory.
    """
    for each in sets:
        maker.check_count(each)
    largest = max((each.size for each in sets), key=lambda size: size.pixels)
    batch = min(config.count, maker.batch(largest))
    check_memory(config, demands(config, source, largest, batch))


def _make_all(
    maker: Maker, sets: Sequence[Outline], signals: Signals
) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Make the realisations of all sets; return their lines, and failed sets.

    Raises:
        Interrupted: By a signal; the realisations made are kept.
    """
    count = maker.config.count
    lines: list[dict[str, Any]] = []
    failed: list[Skipped] = []
    with Progress(len(sets) * count, 0, "generate", "image") as progress:
        for place, each in enumerate(sets):
            try:
                with contextlib.closing(maker.make(each)) as making:
                    for made in making:
                        progress.advance(place * count + made.done)
                        signals.obey()
                        if made.line is not None:
                            lines.append(made.line)
            except UnwritableError as error:
                reason = unwritten(maker.workdir, error)
                failed.append(Skipped(each.source or each.name, reason))
            except InputError as error:  # its file was changed or removed meanwhile
                failed.append(Skipped(each.source or each.name, str(error)))
    return lines, failed


def _conclude(
    config: ConfigDict,
    source: Source,
    sets: Sequence[Outline],
    lines: Sequence[dict[str, Any]],
    skipped: Sequence[Skipped],
    seconds: float,
    workdir: Path,
    began: float,
) -> dict[str, Any]:
    """Write the report and the summary; return the summary."""
    prior = source.prior
    measured = _measured(lines)
    facts = {
        "prior": f"{prior.config.name} on {prior.data_name}",
        "sets": f"{len(lines)} done, {len(skipped)} failed",
        "realisations": f"{config.count:,} of each set",
        "known values": _honouring(config),
    }
    page = report(
        config.name,
        facts,
        lines,
        measured.metrics,
        workdir,
        full_command(config.name, flatten(config)),
    )
    files.write_text(workdir / "report.html", page)
    digest = hashlib.sha256()
    for each in sets:
        digest.update(each.digest.encode())
    summary = complete_summary(
        config,
        dataset={
            "name": config.known or prior.data_name,
            "split": "known" if config.known else "none",
            "count": len(lines),
            "sha256": digest.hexdigest(),
        },
        measured=measured,
        timing={
            "generating_seconds": seconds,
            "total_seconds": time.monotonic() - began,
        },
        environment=environment(make_mesh(1)),
        parameters_sha256=prior.digest,
        prior=describe(prior),
        inputs={"done": len(lines), "failed": len(skipped)},
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _honouring(config: ConfigDict) -> str:
    done = [
        words
        for key, words in (("refine", "latents searched"), ("exact", "put in"))
        if config[key]
    ]
    return " and ".join(done) or "as generated"


def _measured(lines: Sequence[Mapping[str, Any]]) -> Measured:
    """Return the means over the sets, and the largest miss of all."""

    def numbers(name: str) -> list[float]:
        values = (line.get(name) for line in lines)
        return [value for value in values if value is not None]

    names = [
        name
        for name in dict.fromkeys(name for line in lines for name in line)
        if name.startswith(("honoured", "largest_miss", "diversity")) and numbers(name)
    ]

    def total(name: str) -> Callable[[], float]:
        values = numbers(name)
        if name.startswith("largest"):
            return lambda: max(values)
        return lambda: sum(values) / len(values)

    return measure({name: total(name) for name in names})
