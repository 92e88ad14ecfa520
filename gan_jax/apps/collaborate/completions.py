"""Completed images of a prior before and after refinement by its critic."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool
from ml_collections import ConfigDict

from gan_jax.apps.collaborate import report as pages
from gan_jax.apps.collaborate.refinement import Refinements, Refiner
from gan_jax.apps.collaborate.report import Outcome
from gan_jax.apps.collaborate.shaping import Snapshot
from gan_jax.apps.inpaint.fit import Fit
from gan_jax.apps.inpaint.missing import missing_plate
from gan_jax.apps.inpaint.observations import ObservedImages
from gan_jax.apps.inpaint.placement import masked_of, windows_of_each
from gan_jax.apps.inpaint.results import (
    Completion,
    complete,
    image_metrics,
    mean_of,
    write_images,
)
from gan_jax.evaluation.classes import inception_score
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.report.measures import measures
from gan_jax.report.page import Block, Figure, picture
from gan_jax.runs.feature_network import feature_network_of
from gan_jax.runs.prior import Prior
from gan_jax.search.latent import Found

_CAPTION = (
    "Means over the images. Levels are 0 to 255; composite: with the known pixels "
    "exact; hole: over missing pixels alone. inception_score: the formula on the "
    "data set's own classifier. worse: the share of images whose error grew; kept: "
    "the share whose refinement is trusted, the others stay proposals."
)


def refine_completions(
    config: ConfigDict,
    prior: Prior,
    workdir: Path,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    images: ObservedImages,
    found: Found,
    fit: Fit | None = None,
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Refine completed images with every snapshot of a critic; write the trusted ones.

    `fit` is what the search reaches on validation images, if it is known.

    Returns:
        The metrics, tables and pictures, and a line of `results.jsonl` for each image.
    """
    feature_network = None if config.images else feature_network_of(prior.config)
    proposals = complete(refiner.model, images, "proposals", found)
    proposals = proposals._replace(fit=fit)
    key = jax.random.fold_in(jax.random.key(config.seed), 1_000_013)
    stages: dict[str, Completion] = {"proposals": proposals}
    extra: dict[str, dict[str, float]] = {"proposals": {}}
    for epoch, critic in snapshots:
        stage = f"refined, {epoch:g} epochs" if epoch else "refined"
        after = refiner.refine(critic, found.latent, images.known, key)
        stages[stage] = proposals._replace(
            composite=after.images, generated=after.generated
        )
        extra[stage] = {"steps": float(after.steps.mean())}
        trusted = after.trusted
        stages[f"{stage}, kept where trusted"] = kept_where_trusted(proposals, after)
        extra[f"{stage}, kept where trusted"] = {"kept": float(trusted.mean())}
    before: list[dict[str, float]] = []
    by_image: list[dict[str, float]] = []
    rows: list[pages.Row] = []
    measured = Measured({}, {})
    for name, stage_images in stages.items():
        by_image, of_images = image_metrics(stage_images, feature_network)
        of_classes = _inception_score(stage_images, feature_network)
        values = of_images.metrics | of_classes.metrics | extra[name]
        if name == "proposals":
            before = by_image
        elif images.truth is not None:
            pairs = zip(before, by_image, strict=True)
            errors = [
                (old["mse_composite"], new["mse_composite"]) for old, new in pairs
            ]
            values["worse"] = float(np.mean([new > old for old, new in errors]))
        rows.append({"images": name, **measures(values)})
        failed = of_images.failed | of_classes.failed
        measured.add(Measured(values, failed), f"{name}/")
    last = list(stages.values())[-1]
    lines = write_images(last, by_image, workdir / "images", workdir)
    for line, numbers in zip(lines, windows_of_each(images.sources), strict=True):
        if not line["done"]:
            continue
        line["refined"] = bool(trusted[numbers].all())
        proposed = mean_of([before[number] for number in numbers])
        line |= {f"proposal_{k}": v for k, v in proposed.items() if v is not None}
    visits = functools.partial(
        refiner.visits, snapshots[-1].critic, found.latent, images.known, key
    )
    pictures = [*_pictures(stages), pages.every_step(visits)]
    tables: list[Block] = [pages.table(rows, "Completions", _CAPTION)]
    if images.truth is not None:
        tables.append(pages.published())
    return Outcome(measured, tables, pictures), lines


def kept_where_trusted(proposals: Completion, after: Refinements) -> Completion:
    """Return the refined images that are trusted, and the proposals of the others."""
    trusted: Bool[np.ndarray, "count 1 1 1"] = after.trusted.reshape(-1, 1, 1, 1)
    return proposals._replace(
        composite=np.where(trusted, after.images, proposals.composite),
        generated=np.where(trusted, after.generated, proposals.generated),
    )


def _inception_score(
    completion: Completion, feature_network: FeatureNetwork | None
) -> Measured:
    def score() -> float:
        outputs = feature_network(completion.composite) if feature_network else None
        if outputs is None or outputs.probabilities is None:
            raise ValueError("there is no classifier of labels for these images")
        return inception_score(outputs.probabilities)

    return measure({"inception_score": score})


def _pictures(stages: Mapping[str, Completion]) -> list[Figure]:
    first = stages["proposals"]
    plain = {
        name: stage.composite for name, stage in stages.items() if "kept" not in name
    }
    final = list(plain.values())[-1]
    known, truth = first.images.known, first.images.truth
    values, masks = np.asarray(known.values), np.asarray(known.mask)
    return [
        picture(
            "Missing pixels",
            missing_plate(masked_of(first.images.sources)),
            "The first images at their own sizes, reduced; what is missing is red.",
        ),
        picture(
            "Completions",
            pages.completions(values, masks, first.composite, final, truth),
            "Known pixels, the proposal of the latent search, what refinement changed "
            "(brightest from a quarter of the range on), what the last critic made of "
            "it, trusted or not, and the original.",
        ),
        picture(
            "Through shaping",
            pages.strip(plain, "proposals"),
            "All refined, with the critic as trained and after epochs of shaping.",
        ),
    ]
