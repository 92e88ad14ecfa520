"""Samples of a prior before and after refinement, and those that are accepted."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.collaborate import report as pages
from gan_jax.apps.collaborate.refinement import Images, Refinements, Refiner
from gan_jax.apps.collaborate.report import Outcome
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
from gan_jax.search.observation import Observation
from gan_jax.tasks.plates.planes import planes
from gan_jax.tasks.task import Request
from gan_jax.training.state import Variables

_POINTS = 2000  # of a picture
_SHOWN, _POOL, _CALIBRATION = range(3)  # uses of samples, which draw other latents

Draw = Callable[[int, int], tuple[Images, Request]]
"""`draw(use, count)` returns samples and their request."""


def refine_samples(
    config: ConfigDict,
    training: Run,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    acceptance_critics: Mapping[str, Variables],
) -> Outcome:
    """Refine samples with every snapshot of a critic; accept some by their scores.

    Samples are accepted by the critics that tell `proposals` and `refined` samples from
    real images; without critics none are accepted.
    """
    samples = _Samples(config, training, refiner)
    measurement = _Measurement(config, training)
    images, request = samples.proposals(_SHOWN, config.count)
    stages = {"proposals": images}
    measurement.add("proposals", images, request)
    for epoch, critic in snapshots:
        stage = f"refined, {epoch:g} epochs" if epoch else "refined"
        after, request = samples.refined(critic, _SHOWN, config.count)
        stages[stage] = after.images
        steps, cost = float(after.steps.mean()), float(after.cost.mean())
        measurement.add(stage, after.images, request, steps=steps, cost=cost)
    caption = (
        "Refined with the critic as shaping began, and after so many epochs of shaping."
        " Steps and cost: means; cost by the critic that refines."
    )
    tables: list[Block] = [pages.table(measurement.rows, "Refinement", caption)]
    last = snapshots[-1].critic
    if acceptance_critics:
        measurement.rows = []
        for name, critic, draw in (
            ("proposals", acceptance_critics["proposals"], samples.proposals),
            (
                "refined and shaped",
                acceptance_critics["refined"],
                functools.partial(samples.refined_images, last),
            ),
        ):
            for stage, images, request in _accepted(config, refiner, critic, draw):
                measurement.add(f"{name}, {stage}", images, request)
        caption = (
            "By the scores of a critic that has learned to tell these samples from "
            "real images, calibrated on others: rejection (Azadi et al. 2018) and "
            "Metropolis-Hastings (Turner et al. 2018). FID falls with the number "
            "of images, so it compares within a table."
        )
        tables.append(pages.table(measurement.rows, "Acceptance", caption))
    if training.task.points:
        pictures = [_points(training, refiner, snapshots, stages)]
    else:
        caption = (
            "The same latents through the stages; change: mean absolute difference of "
            "the last stage from the proposals, brightest at a quarter of the range."
        )
        latents, known, key = samples.inputs(_SHOWN, config.count)[0]
        visits = functools.partial(refiner.visits, last, latents, known, key)
        pictures = [
            picture("Samples", pages.strip(stages, "proposals"), caption),
            pages.every_step(visits),
        ]
    return Outcome(measurement.measured, tables, pictures)


class _Samples:
    """Samples of a prior, the same for the same use and count."""

    def __init__(self, config: ConfigDict, training: Run, refiner: Refiner):
        self._seed, self._training, self._refiner = config.seed, training, refiner

    def inputs(
        self, use: int, count: int
    ) -> tuple[tuple[np.ndarray, Observation, PRNGKeyArray], Request]:
        """Return latents, conditions and key for `Refiner.refine`, and the request."""
        key = jax.random.fold_in(jax.random.key(self._seed), 1_000_011 + use)
        keys = jax.random.split(key, 3)
        training = self._training
        request = training.task.ask(training.parts["test"], keys[1], count)
        latents = np.asarray(training.method.latent(keys[0], count))
        return (latents, Observation(condition=request.condition), keys[2]), request

    def proposals(self, use: int, count: int) -> tuple[Images, Request]:
        (latents, *_), request = self.inputs(use, count)
        return self._refiner.propose(latents, request.condition), request

    def refined(
        self, critic: Variables, use: int, count: int
    ) -> tuple[Refinements, Request]:
        inputs, request = self.inputs(use, count)
        return self._refiner.refine(critic, *inputs), request

    def refined_images(
        self, critic: Variables, use: int, count: int
    ) -> tuple[Images, Request]:
        after, request = self.refined(critic, use, count)
        return after.images, request


class _Measurement:
    """The measures of several sets of samples, as rows of a table and as metrics."""

    def __init__(self, config: ConfigDict, training: Run):
        self._evaluation, self._count = Evaluation(training), config.count
        self.rows: list[pages.Row] = []
        self.measured = Measured({}, {})

    def add(self, stage: str, images: Images, request: Request, **means: Any) -> None:
        say(f"measuring {stage}")
        measured = self._evaluation.compare(images, request, "test", self._count)
        values = measures(measured.metrics)
        self.rows.append({"samples of": stage, "count": len(images), **values, **means})
        self.measured.add(measured, f"{stage}/")


def _accepted(
    config: ConfigDict, refiner: Refiner, critic: Variables, draw: Draw
) -> list[tuple[str, Images, Request]]:
    """Return `acceptance.count` samples by rule: the first, and the accepted ones."""
    settings = config.acceptance
    count = settings.count
    images, request = draw(_POOL, count * settings.proposals)
    pool = refiner.scores(critic, images, request.condition)
    calibration, requested = draw(_CALIBRATION, count)
    fake = refiner.scores(critic, calibration, requested.condition)
    real = refiner.scores(critic, *refiner.real())
    chosen = {str(count): np.arange(count), **_choose(config, pool, fake, real)}
    return [(rule, images[at], taken(request, at)) for rule, at in chosen.items()]


def _choose(
    config: ConfigDict,
    pool: Float[np.ndarray, " pool"],
    fake: Float[np.ndarray, " fake"],
    real: Float[np.ndarray, " real"],
) -> dict[str, np.ndarray]:
    """Return the indices of accepted samples by rule.

    The `fake` scores are those of other samples, drawn as the `pool` was.
    """
    settings = config.acceptance
    logits_of = calibrated(real, fake)
    logits = logits_of(pool)
    uniform, again = np.random.default_rng(config.seed).random((2, len(logits)))
    is_accepted = rejection(logits, float(logits.max()), uniform, settings.share)
    chains = logits.reshape(settings.count, settings.proposals)
    starts = logits_of(np.resize(real, settings.count))
    ends = metropolis_hastings(chains, starts, uniform.reshape(chains.shape))
    # A chain that never left its real image begins again, at a sample, with the
    # proposals of the next chain: its own were just rejected.
    is_stuck, numbers = ends < 0, np.arange(settings.count)
    following = np.roll(numbers, -1)
    proposed = chains[following]
    second_ends = metropolis_hastings(
        proposed, proposed[:, 0], again.reshape(chains.shape)
    )
    ends = np.where(is_stuck, np.maximum(second_ends, 0), ends)
    chain = np.where(is_stuck, following, numbers)
    return {
        "rejection": np.flatnonzero(is_accepted)[: settings.count],
        "Metropolis-Hastings": chain * settings.proposals + ends,
    }


def _points(
    training: Run,
    refiner: Refiner,
    snapshots: Sequence[Snapshot],
    stages: Mapping[str, Images],
) -> Figure:
    """Return the picture of points of every stage, on their critics' scores."""

    def score(critic: Variables, points: Any) -> Any:
        return refiner.scores(critic, points.reshape(-1, 1, 1, 2))

    real = np.asarray(read(training.parts["test"]["real"], np.arange(_POINTS)).image)
    first = functools.partial(score, snapshots[0].critic)
    scores = [first, *(functools.partial(score, snap.critic) for snap in snapshots)]
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
    return picture("Points", image, caption)
