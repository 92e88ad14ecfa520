"""Complete images by latent search under a trained prior."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.fit import (
    Minimise,
    best_windows,
    measure_fit,
    say_misfits,
)
from gan_jax.apps.inpaint.masked_images import named_holes
from gan_jax.apps.inpaint.memory import completion_demands
from gan_jax.apps.inpaint.observations import (
    ObservedImages,
    Observer,
    open_latent_prior,
    open_users_images,
)
from gan_jax.apps.inpaint.placement import masked_of
from gan_jax.apps.inpaint.report import along_plate, by_hole, plates, report
from gan_jax.apps.inpaint.results import (
    Completion,
    complete,
    generate_grouped,
    image_metrics,
    search_metrics,
    write_images,
)
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.train.identity import unseen_parts
from gan_jax.build import searches
from gan_jax.config.command_line import full_command
from gan_jax.config.keys import flatten
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.datasets.reading import Reading
from gan_jax.evaluation.measure import Measured
from gan_jax.report import files
from gan_jax.report.ownership import write_image
from gan_jax.report.terminal import say
from gan_jax.runs.feature_network import feature_network_of
from gan_jax.runs.inference import make_model
from gan_jax.runs.memory import check_memory
from gan_jax.runs.prior import Prior, describe
from gan_jax.runs.signals import Signals
from gan_jax.runs.summary import complete_summary, environment
from gan_jax.runs.workdir import check_workdir, claimed, write_results
from gan_jax.search.latent import Found
from gan_jax.training.mesh import make_mesh


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Complete unseen images of a prior's data, or the user's, and report.

    Test images are degraded first; the user's images are expected to be degraded
    already. Every loss under every kind of hole is a separate search, kept in
    `<workdir>/searches` once it has ended: the same call continues from there.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: If the user can mend it; nothing was overwritten.
        OSError: If the disk failed; the same call continues once it is mended.
        Interrupted: By SIGINT or SIGTERM; searches that ended are kept.
    """
    began = time.monotonic()
    check_workdir(config, workdir)
    losses = losses_of(config)
    prior = open_latent_prior(config)
    degradation = searches.degradation(config.degradation)
    by_loss = {
        name: LatentSearch(config, prior, settings, key, degradation)
        for name, (key, settings) in losses.items()
    }
    holes = named_holes(config.masks)
    users = open_users_images(config, prior)
    parts = None if users else unseen_parts(prior, config.data.changed)
    observers = [
        Observer(config, prior, name, hole, degradation, users, parts)
        for name, hole in holes.items()
    ]
    gathered = [observer.gather() for observer in observers]
    skipped = list(dict.fromkeys(file for _, files in gathered for file in files))
    for source, reason in skipped:
        say(f"skipped {source}: {reason}")
    count = sum(len(images.sources) for images, _ in gathered)
    check_memory(config, completion_demands(config, prior, count, len(by_loss)))
    with claimed(config, workdir, skipped), Signals() as signals:
        model = make_model(prior.method)(prior.networks)
        completions: list[Completion] = []
        total = 0.0
        for observer, (images, _) in zip(observers, gathered, strict=True):
            first = next(iter(by_loss.values()))
            images = best_windows(
                observer, images, _kept(first, images.hole, workdir, signals, 1)
            )
            for loss, search in by_loss.items():
                title = _title(images.hole, loss)
                path = workdir / "searches" / f"{title}.npz"
                found, seconds = search.run(images, path, title, signals)
                total += seconds
                kept = _kept(search, images.hole, workdir, signals)
                fit = measure_fit(observer, images, kept, f"{loss}-validation")
                say_misfits(images.sources, found, fit)
                completion = complete(model, images, loss, found, config.blend)
                completion = completion._replace(fit=fit)
                if config.along:
                    path = workdir / "searches" / "along" / f"{title}.npz"
                    trace = search.trace(
                        images, found, config.along, path, title, signals
                    )
                    traced = generate_grouped(model, trace.latent)
                    completion = completion._replace(trace=trace, traced=traced)
                completions.append(completion)
        read = users and users.reading
        return _conclude(
            config, prior, completions, total, skipped, read, workdir, began
        )


def _kept(
    search: LatentSearch,
    hole: str,
    workdir: Path,
    signals: Signals,
    restarts: int | None = None,
) -> Minimise:
    """Return the search under a hole, whose results are kept in the workdir."""

    def minimise(images: ObservedImages, name: str) -> Found:
        title = _title(hole, name)
        path = workdir / "searches" / f"{title}.npz"
        return search.run(images, path, title, signals, restarts)[0]

    return minimise


def _title(*parts: str) -> str:
    """Return names as a part of a path: `random:0.8` as `random_0.8`."""
    names = (Path(part).resolve().name or "masks" for part in parts)
    return files.short_name("-".join(name.replace(":", "_") for name in names))


def _conclude(
    config: ConfigDict,
    prior: Prior,
    completions: Sequence[Completion],
    search_seconds: float,
    skipped: Sequence[Skipped],
    read: Reading | None,
    workdir: Path,
    began: float,
) -> dict[str, Any]:
    """Write the images, the report and the summary; return the summary."""
    alone = len(completions) == 1
    feature_network = None if config.images else feature_network_of(prior.config)
    folder = Path(config.images).expanduser().resolve().name
    data = folder if config.images else prior.data_name
    lines: list[dict[str, Any]] = []
    by_completion: list[dict[str, float | None]] = []
    measured = Measured({}, {})
    for completion in completions:
        hole, loss = completion.images.hole, completion.loss
        place = workdir / "images" / ("" if alone else _title(hole, loss))
        by_image, of_images = image_metrics(completion, feature_network)
        of_search = search_metrics(completion)
        others = config.completions if config.images else 0
        lines += write_images(
            completion, by_image, place, workdir, config.blend, others
        )
        by_completion.append(of_images.metrics | of_search.metrics)
        prefix = "" if alone else f"{hole}/{loss}/"
        measured.add(of_images, prefix)
        measured.add(of_search, prefix)
    write_results(workdir, skipped, lines)
    sources = masked_of(completions[0].images.sources)
    unwritten = {line["input"] for line in lines if not line["done"]}
    done = len(sources) - len(unwritten)
    failed = len(skipped) + len(unwritten)
    facts = {
        "prior": f"{prior.config.name} on {prior.data_name}",
        "images": f"{done} done, {failed} failed",
        "restarts": str(config.search.restarts),
        "iterations": f"at most {config.search.iterations:,}",
    }
    if read is not None:
        facts["data"] = "; ".join(read.lines())
    if config.sweep.loss:
        facts["numbers in names"] = config.sweep.key.replace(",", ", ")
    again = full_command(config.name, flatten(config))
    count = config.completions
    page = report(config.name, facts, completions, by_completion, data, count, again)
    files.write_text(workdir / "report.html", page)
    _write_plates(completions, workdir)
    summary = complete_summary(
        config,
        dataset={
            "name": config.images or prior.data_name,
            "split": "images" if config.images else "test",
            "count": done,
            "sha256": masked_images.digest(sources),
            **({"read": read.as_json()} if read is not None else {}),
        },
        measured=measured,
        timing={
            "search_seconds": search_seconds,
            "total_seconds": time.monotonic() - began,
        },
        environment=environment(make_mesh(1)),
        parameters_sha256=prior.digest,
        prior=describe(prior),
        inputs={"done": done, "failed": failed},
    )
    files.write_json(workdir / "summary.json", summary)
    return summary


def _write_plates(completions: Sequence[Completion], workdir: Path) -> None:
    """Write the pictures of the report as files."""
    folder = workdir / "samples"
    for hole, group in by_hole(completions).items():
        for number, picture in enumerate(plates(group), 1):
            name = _title(hole) if number == 1 else f"{_title(hole)}-{number}"
            write_image(workdir, folder / f"{name}.png", picture)
    for completion in completions:
        if completion.trace is not None:
            name = f"{_title(completion.images.hole, completion.loss)}-along"
            write_image(workdir, folder / f"{name}.png", along_plate(completion))
