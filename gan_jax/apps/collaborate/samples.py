"""Samples of a prior before and after refinement, and those that are accepted."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.collaborate import report as pages
from gan_jax.apps.collaborate.refinement import Images, Refinements, Refiner
from gan_jax.apps.collaborate.shaping import Snapshot
from gan_jax.apps.train.evaluation import Evaluation
from gan_jax.apps.train.setup import Run
from gan_jax.data.feed import read
from gan_jax.evaluation.measure import Measured
from gan_jax.report.measures import measures
from gan_jax.report.page import Block, Figure, picture
from gan_jax.report.terminal import say
from gan_jax.runs.inference import taken
from gan_jax.search.acceptance import calibrated, metropolis_hastings, rejection
from gan_jax.search.refinement import Observation
from gan_jax.tasks.plates.planes import planes
from gan_jax.tasks.task import Request
from gan_jax.training.state import Variables

_POINTS = 2000  # of a picture


class Outcome(NamedTuple):
    """What a form of collaboration came to."""

    tables: Sequence[Block]
    pictures: Sequence[Figure]
    metrics: Mapping[str, Any]
    failed: Mapping[str, str]
    done: int
    """Samples or images."""


_Make = Callable[[int, int], tuple[Images, Request]]
"""`make(use, number)`: images, and what was asked for."""


class _Pool(NamedTuple):
    """Samples of one kind."""

    images: Images
    scores: Float[np.ndarray, " count"]
    """By the critic that tells them from real ones."""
    asked: Request


def refine_samples(
    config: ConfigDict,
    this: Run,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    tellers: Mapping[str, Variables],
) -> Outcome:
    """Refine samples with every snapshot of a critic; accept some by its scores.

    Args:
        config: of the collaboration.
        this: the data of the prior, and the workdir.
        refiner: of the prior.
        snapshots: the critic as it was trained comes first.
        tellers: critics that tell `proposals` and `refined` samples from real ones;
            without them none are accepted.
    """
    evaluation = Evaluation(this)
    rows: list[pages.Row] = []
    found: dict[str, Measured] = {}

    def draw(use: int, count: int) -> tuple[np.ndarray, Request, PRNGKeyArray]:
        key = jax.random.fold_in(jax.random.key(config.seed), 1_000_011 + use)
        keys = jax.random.split(key, 3)
        asked = this.task.ask(this.parts["test"], keys[1], count)
        return np.asarray(this.method.latent(keys[0], count)), asked, keys[2]

    def judge(stage: str, images: Images, asked: Request, **more: Any) -> None:
        say(f"measuring {stage}")
        measured = evaluation.compare(images, asked, "test", config.count)
        found[stage] = measured
        values = measures(measured.metrics)
        rows.append({"samples of": stage, "count": len(images), **values, **more})

    def proposed(use: int, count: int) -> tuple[Images, Request]:
        latents, asked, _ = draw(use, count)
        return refiner.propose(latents, Observation(asked.condition)), asked

    def refined(critic: Variables, use: int, count: int) -> tuple[Refinements, Request]:
        latents, asked, key = draw(use, count)
        problems = Observation(asked.condition)
        return refiner.refine(critic, latents, problems, key), asked

    images, asked = proposed(0, config.count)
    stages = {"proposals": images}
    judge("proposals", images, asked)
    for epoch, critic in snapshots:
        stage = f"refined, {epoch:g} epochs" if epoch else "refined"
        after, asked = refined(critic, 0, config.count)
        stages[stage] = after.images
        judge(
            stage,
            after.images,
            asked,
            steps=float(after.steps.mean()),
            cost=float(after.cost.mean()),
        )
    count = config.acceptance.count
    tables: list[Block] = [
        pages.table(
            rows,
            "Refinement",
            "Refined with the critic as shaping began, and after so many epochs of "
            "shaping. Steps and cost: means; cost by the critic that refines.",
        )
    ]
    if tellers:
        begun = len(rows)

        def accept(name: str, critic: Variables, make: _Make) -> None:
            def scored(use: int, number: int) -> _Pool:
                images, asked = make(use, number)
                scores = refiner.scores(critic, images, asked.condition)
                return _Pool(images, scores, asked)

            pool = scored(1, count * config.acceptance.proposals)
            judge(f"{name}, {count}", *_some(pool, np.arange(count)))
            others = scored(2, count).scores
            real = refiner.scores(critic, *refiner.real())
            for rule, places in _accept(config, pool, others, real).items():
                judge(f"{name}, {rule}", *_some(pool, places))

        def improved(use: int, number: int) -> tuple[Images, Request]:
            after, asked = refined(snapshots[-1].critic, use, number)
            return after.images, asked

        accept("proposals", tellers["proposals"], proposed)
        accept("refined and shaped", tellers["refined"], improved)
        tables.append(
            pages.table(
                rows[begun:],
                "Acceptance",
                "By the scores of a critic that has learned to tell these samples from "
                "real images, calibrated on others: rejection (Azadi et al. 2018) and "
                "Metropolis-Hastings (Turner et al. 2018). FID falls with the number "
                "of images, so it compares within a table.",
            )
        )
    latents, asked, key = draw(0, config.count)
    followed = functools.partial(
        refiner.visits,
        snapshots[-1].critic,
        latents,
        Observation(asked.condition),
        key,
    )
    return Outcome(
        tables,
        _pictures(this, refiner, snapshots, stages, followed),
        {
            f"{stage}/{name}": value
            for stage, measured in found.items()
            for name, value in measured.metrics.items()
        },
        {
            f"{stage}/{name}": reason
            for stage, measured in found.items()
            for name, reason in measured.failed.items()
        },
        config.count,
    )


def _some(pool: _Pool, places: Int[np.ndarray, " places"]) -> tuple[Images, Request]:
    return pool.images[places], taken(pool.asked, places)


def _accept(
    config: ConfigDict,
    pool: _Pool,
    fake: Float[np.ndarray, " fake"],
    real: Float[np.ndarray, " real"],
) -> dict[str, np.ndarray]:
    """Choose samples of a pool by either rule.

    Args:
        config: of the collaboration.
        pool: from which they are chosen.
        fake: scores of other samples of its kind.
        real: scores of real images that the critic has not seen.
    """
    settings = config.acceptance
    logits_of = calibrated(real, fake)
    logits = logits_of(pool.scores)
    lots, others = np.random.default_rng(config.seed).random((2, len(logits)))
    kept = rejection(logits, float(logits.max()), lots, settings.share)
    chains = logits.reshape(settings.count, settings.proposals)
    starts = logits_of(np.resize(real, settings.count))
    ends = metropolis_hastings(chains, starts, lots.reshape(chains.shape))
    # A chain that never left its real image begins again, at a sample, and is offered
    # those of the next one: its own have just been found worse than most.
    stuck, own = ends < 0, np.arange(settings.count)
    following = np.roll(own, -1)
    offered = chains[following]
    again = metropolis_hastings(offered, offered[:, 0], others.reshape(chains.shape))
    ends = np.where(stuck, np.maximum(again, 0), ends)
    chain = np.where(stuck, following, own)
    return {
        "rejection": np.flatnonzero(kept)[: settings.count],
        "Metropolis-Hastings": chain * settings.proposals + ends,
    }


def _pictures(
    this: Run,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    stages: Mapping[str, Images],
    followed: Callable[[int], Float[np.ndarray, "visits count height width channels"]],
) -> list[Figure]:
    if not this.task.points:
        caption = (
            "The same latents through the stages; change: mean absolute difference of "
            "the last stage from the proposals, brightest at a quarter of the range."
        )
        return [
            picture("Samples", pages.strip(stages, "proposals"), caption),
            pages.every_step(followed),
        ]

    def score(critic: Variables, points: Any) -> Any:
        return refiner.scores(critic, points.reshape(-1, 1, 1, 2))

    real = np.asarray(read(this.parts["test"]["real"], np.arange(_POINTS)).image)
    first = functools.partial(score, snapshots[0].critic)
    scores = [first, *(functools.partial(score, each.critic) for each in snapshots)]
    image = planes(
        real.reshape(-1, 2),
        {
            name: (images[:_POINTS].reshape(-1, 2), critic)
            for (name, images), critic in zip(stages.items(), scores, strict=True)
        },
        first,
        columns=4,
    )
    caption = "Points of every stage, on the scores of the critic that refined them."
    return [picture("Points", image, caption)]
