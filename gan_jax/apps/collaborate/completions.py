"""Completed images of a prior before and after refinement, and those to be trusted."""

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
from gan_jax.apps.collaborate.samples import Outcome
from gan_jax.apps.collaborate.shaping import Snapshot
from gan_jax.apps.inpaint.results import (
    Completion,
    complete,
    figures,
    generating,
    write_images,
)
from gan_jax.apps.inpaint.search import Searched
from gan_jax.evaluation.classes import inception_score
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.report.measures import measures
from gan_jax.report.page import picture
from gan_jax.runs.feature_network import feature_network_of
from gan_jax.runs.prior import Prior
from gan_jax.search.refinement import Observation


def refine_completions(
    config: ConfigDict,
    prior: Prior,
    workdir: Path,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    searched: Searched,
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Refine completed images with every snapshot of a critic; keep what is trusted.

    Args:
        config: of the collaboration.
        prior: under which the images were completed.
        workdir: for the images.
        refiner: of the prior.
        snapshots: the critic as it was trained comes first.
        searched: the images and their latents.

    Returns:
        What is reported, and a line for each image.
    """
    task, found, seconds = searched
    judge = None if config.images else feature_network_of(prior.config)
    proposals = complete(generating(prior), task, "proposals", found, False, seconds)
    problems = Observation(None, task.known.values, task.known.mask)
    key = jax.random.fold_in(jax.random.key(config.seed), 1_000_013)
    stages: dict[str, Completion] = {"proposals": proposals}
    extra: dict[str, dict[str, float]] = {"proposals": {}}
    for epoch, critic in snapshots:
        stage = f"refined, {epoch:g} epochs" if epoch else "refined"
        after = refiner.refine(critic, found.latent, problems, key)
        stages[stage] = proposals._replace(
            composite=after.images, pasted=after.generated
        )
        extra[stage] = {"steps": float(after.steps.mean())}
        kept = after.trusted
        stages[f"{stage}, kept where trusted"] = kept_where_trusted(proposals, after)
        extra[f"{stage}, kept where trusted"] = {"kept": float(kept.mean())}
    measured = {name: figures(one, judge) for name, one in stages.items()}
    before = measured["proposals"].each
    rows: list[pages.Row] = []
    metrics: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, one in measured.items():
        more = _more(stages[name], judge)
        values = one.images.metrics | more.metrics | extra[name]
        if task.truth is not None and name != "proposals":
            values["worse"] = _share_worse(before, one.each)
        rows.append({"images": name, **measures(values)})
        metrics |= {f"{name}/{k}": v for k, v in values.items()}
        reasons = one.images.failed | more.failed
        failed |= {f"{name}/{k}": v for k, v in reasons.items()}
    name, last = list(stages.items())[-1]
    lines = write_images(last, measured[name].each, workdir / "images", workdir)
    for line, own, is_kept in zip(lines, before, kept.tolist(), strict=True):
        line["refined"] = is_kept
        line |= {f"proposal_{k}": v for k, v in own.items() if np.isfinite(v)}
    return Outcome(
        _tables(rows, has_truth=task.truth is not None),
        [
            *_pictures(stages),
            pages.every_step(
                functools.partial(
                    refiner.visits, snapshots[-1].critic, found.latent, problems, key
                )
            ),
        ],
        metrics,
        failed,
        len(task.targets),
    ), lines


def kept_where_trusted(proposals: Completion, after: Refinements) -> Completion:
    """Return the refined images that are trusted, and the proposals of the others.

    Args:
        proposals: as they were completed.
        after: what refinement made of them.
    """
    trusted: Bool[np.ndarray, "count 1 1 1"] = after.trusted.reshape(-1, 1, 1, 1)
    return proposals._replace(
        composite=np.where(trusted, after.images, proposals.composite),
        pasted=np.where(trusted, after.generated, proposals.pasted),
    )


def _more(completion: Completion, judge: FeatureNetwork | None) -> Measured:
    def score() -> float:
        probabilities = judge(completion.composite).probabilities if judge else None
        if probabilities is None:
            raise ValueError("there is no classifier of labels for these images")
        return inception_score(probabilities)

    return measure({"inception_score": score})


def _share_worse(
    before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]
) -> float:
    pairs = zip(before, after, strict=True)
    return float(
        np.mean([new["mse_composite"] > old["mse_composite"] for old, new in pairs])
    )


def _tables(rows: Sequence[pages.Row], has_truth: bool) -> list[Any]:
    caption = (
        "Means over the images. Levels are 0 to 255; composite: with the known pixels "
        "exact; hole: over missing pixels alone. inception_score: the formula on the "
        "data set's own classifier. worse: the share of images whose error grew; kept: "
        "the share whose refinement is trusted, the others stay proposals."
    )
    tables = [pages.table(rows, "Completions", caption)]
    return [*tables, pages.published()] if has_truth else tables


def _pictures(stages: Mapping[str, Completion]) -> list[Any]:
    first = stages["proposals"]
    task = first.task
    plain = {
        name: stage.composite for name, stage in stages.items() if "kept" not in name
    }
    final = list(plain.values())[-1]
    known, masks = np.asarray(task.known.values), np.asarray(task.known.mask)
    return [
        picture(
            "Completions",
            pages.completions(known, masks, first.composite, final, task.truth),
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
