"""A detector beside baselines on every kind of anomalies: scores, then figures."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.data.feed import to_float
from gan_jax.evaluation.detection import Detection, detection, subsample
from gan_jax.evaluation.measure import measure
from gan_jax.evaluation.outliers import BASELINES
from gan_jax.programs.anomalies import Anomalies, Images8, normal_images
from gan_jax.programs.assembly import Run
from gan_jax.programs.detector import Detector, Scorer, validation_images
from gan_jax.programs.history import Snapshots
from gan_jax.programs.latents import found_for, prepare_search
from gan_jax.programs.measurements import as_task
from gan_jax.programs.prior import Prior
from gan_jax.programs.signals import Signals
from gan_jax.programs.targets import Target
from gan_jax.report import detection as pages
from gan_jax.report.page import Card, Figure, Table
from gan_jax.training.history import weights
from gan_jax.training.state import Variables

Scores = Float[np.ndarray, " _"]
Scoring: TypeAlias = Callable[[Images8], Scores]
"""From images to how anomalous they are."""

DETECTOR = "D_TV"
_NOISE = tuple(np.linspace(0, 1, 11))  # standard deviations, of the range of 2
_PAIRS, _STEPS = 200, 11  # latents that are joined, images on the way
_TRACED = 500  # images of each kind that are scored by every critic of the history


class Tested(NamedTuple):
    """What a method says of one kind of anomalies."""

    method: str
    anomalies: str
    figures: Detection
    images: int
    """Of both kinds."""


class Course(NamedTuple):
    """Scores along a line: of many images at each place."""

    at: Float[np.ndarray, " places"]
    scores: Float[np.ndarray, "places images"]


class CriticsScores(NamedTuple):
    """What the critics of a history say of normal images and anomalies."""

    steps: list[int]
    normal: Float[np.ndarray, "snapshots images"]
    anomalous: Float[np.ndarray, "snapshots images"]
    mean_of_scores: Scores
    """Weighted, of both kinds of images."""
    score_of_mean: Scores
    """Of the critic of averaged weights."""


class Outcome(NamedTuple):
    """What a detector came to, for the report and the summary."""

    kinds: list[str]
    metrics: dict[str, float | None]
    failed: dict[str, str]
    cards: list[Card]
    tables: list[Table]
    pictures: list[Figure]


def detect(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    detector: Detector,
    kinds: Mapping[str, Anomalies],
    signals: Signals,
) -> Outcome:
    """Measure and draw what a detector says of normal images and anomalies."""
    scorings = methods(config, this, prior, snapshots, detector)
    rows, scores = measured(config, this, scorings, kinds)
    ours = scores[DETECTOR]
    if config.baselines.searched:
        rows += measured_searches(config, this, prior, kinds, ours, signals)
    noise = with_noise(scorings[DETECTOR], this, config.seed)
    path = between_latents(scorings[DETECTOR], prior, config.seed)
    first = next(iter(kinds))
    course = through_history(config, this, prior, snapshots, kinds[first].images)
    threshold = detector.threshold(config.anomaly.false_positive_rate)
    trends = {
        "noise_rank_correlation": _trend(noise),
        "interpolation_middle": float(path.scores[len(path.at) // 2].mean()),
        "interpolation_ends": float(path.scores[[0, -1]].mean()),
        "mean_critic_correlation": float(
            np.corrcoef(course.mean_of_scores, course.score_of_mean)[0, 1]
        ),
    }
    found = measure(
        {name: functools.partial(float, value) for name, value in trends.items()}
        | {
            name: functools.partial(float, value)
            for row in rows
            for name, value in _named(row, alone=len(kinds) == 1).items()
        }
    )
    shown = {
        name: (images[: len(values)], values)
        for (name, values) in ours.items()
        for images in [_images(this, kinds, name)]
    }
    ours_rows = [row for row in rows if row.method == DETECTOR]
    cards = [
        Card(
            f"AUPRC, {row.anomalies}",
            row.figures.auprc,
            f"base rate {row.figures.base_rate:.2f}; AUROC {row.figures.auroc:.3f}",
            row.figures.auprc > row.figures.base_rate,
        )
        for row in ours_rows
    ]
    pictures = [
        Figure(
            "Scores of test images",
            pages.histograms(ours, threshold),
            "Of normal images and of anomalies; neither was learned from.",
        ),
        pages.plate(
            "Extremes",
            pages.extremes(shown),
            "The images that are found most and least normal.",
        ),
        Figure(
            "Noise",
            pages.bands({"": (noise.at, noise.scores)}, "noise added, of the range"),
            "Normal images with noise of this standard deviation: mean and quarters.",
            half=True,
        ),
        Figure(
            "Between latents",
            pages.bands({"": (path.at, path.scores)}, "share of the way"),
            "Generated images on arcs between two latents: mean and quarters.",
            half=True,
        ),
        Figure(
            "Through training",
            pages.bands(
                {
                    "normal": (np.array(course.steps), course.normal),
                    first: (np.array(course.steps), course.anomalous),
                },
                "generator updates",
            ),
            "What each saved critic says, by minus its score.",
            half=True,
        ),
        Figure(
            "Mean critic",
            pages.agreement(
                course.mean_of_scores,
                course.score_of_mean,
                "mean of the critics' scores",
                "score of the mean critic",
            ),
            "The critic of averaged weights beside the average of all critics.",
            half=True,
        ),
    ]
    return Outcome(
        list(kinds), found.metrics, found.failed, cards, [_table(rows)], pictures
    )


def _images(this: Run, kinds: Mapping[str, Anomalies], name: str) -> Images8:
    return normal_images(this, "test") if name == "normal" else kinds[name].images


def _trend(course: Course) -> float:
    """Give the rank correlation of a line's places with its mean scores."""
    from scipy.stats import spearmanr

    return float(spearmanr(course.at, course.scores.mean(axis=1)).statistic)


def _named(row: Tested, alone: bool) -> dict[str, float]:
    """Give a row's measures by their names in the summary."""
    prefix = "" if alone else f"{row.anomalies}/"
    if row.method != DETECTOR:
        prefix += f"{row.method}/"
    return {f"{prefix}{key}": value for key, value in row.figures._asdict().items()}


def _table(rows: Sequence[Tested]) -> Table:
    names = [name.replace("_", " ") for name in Detection._fields]
    return Table(
        "Detection",
        ["method", "anomalies", "images", *names],
        [[row.method, row.anomalies, row.images, *row.figures] for row in rows],
        "A random score's AUPRC is the base rate. Rates are at the threshold that "
        "each method's scores of validation images give; searches have none.",
    )


def methods(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    detector: Detector,
) -> dict[str, Scoring]:
    """Give the detector and what it is compared with, by name."""
    score = Scorer(prior.recipe)
    sign = -1.0 if recipes.gives_energies(prior.config) else 1.0

    def of(critic: Variables) -> Scoring:
        return lambda images: -sign * score(critic, images)

    last = jax.tree.map(lambda leaf: leaf[-1], snapshots.critics)
    _, mean = snapshots.weighted(config.detector.alpha, config.detector.beta)
    found: dict[str, Scoring] = {
        DETECTOR: lambda images: score.anomaly(detector, images),
        "last critic": of(last),
        "mean of the critics": of(mean),
    }
    if config.baselines.shallow:
        normal = normal_images(this, "train")
        draw = np.random.default_rng(config.seed)
        some = normal[draw.permutation(len(normal))]
        for name, fit in BASELINES.items():
            found[name] = fit(some, config.seed)
    return found


def measured(
    config: ConfigDict,
    this: Run,
    scorings: Mapping[str, Scoring],
    kinds: Mapping[str, Anomalies],
) -> tuple[list[Tested], dict[str, dict[str, Scores]]]:
    """Score unseen images by every method.

    A method's threshold is chosen on validation images, for the stated share of them.

    Returns:
        The figures, and the detector's scores by kind of images.
    """
    normal, validation = normal_images(this, "test"), validation_images(this)
    rate = config.anomaly.false_positive_rate
    rows: list[Tested] = []
    scores: dict[str, dict[str, Scores]] = {}
    for method, scoring in scorings.items():
        threshold = float(np.quantile(scoring(validation), 1 - rate))
        scores[method] = {"normal": scoring(normal)}
        for name, (images, base_rate) in kinds.items():
            scores[method][name] = scoring(images)
            chosen = subsample(len(normal), len(images), base_rate, config.seed)
            sides = [
                scores[method][kind][mask]
                for kind, mask in zip(("normal", name), chosen, strict=True)
            ]
            figures = detection(sides[0], sides[1], threshold)
            rows.append(Tested(method, name, figures, sum(map(len, sides))))
    return rows, scores


def measured_searches(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    kinds: Mapping[str, Anomalies],
    scores: Mapping[str, Scores],
    signals: Signals,
) -> list[Tested]:
    """Score images by how badly the generator can make them, as AnoGAN does.

    Schlegl et al. 2017 (arXiv 1703.05921), with our search and loss; the detector's
    figures on the same images stand beside.

    Args:
        config: `baselines.searched` of it: so many images of each test are searched.
        this: the run on normal images.
        prior: whose latents are searched.
        kinds: of anomalies.
        scores: the detector's, by kind of images.
        signals: that interrupt it.
    """
    normal = normal_images(this, "test")
    prepared = prepare_search(
        prior, config.reconstruction, config.search, "reconstruction"
    )
    rows: list[Tested] = []
    for name, (images, base_rate) in kinds.items():
        both = np.concatenate([normal, images])
        masks = subsample(len(normal), len(images), base_rate, config.seed)
        places = np.flatnonzero(np.concatenate(masks))
        draw = np.random.default_rng(config.seed)
        some = np.sort(draw.permutation(places)[: config.baselines.searched])
        whole = np.ones(both.shape[1:3], bool)
        given = [Target(f"{at:06d}", f"{at:06d}", both[at], whole) for at in some]
        task, _ = as_task(prior, "none", given, prior.config.data.size)
        path = this.workdir / "searches" / f"{name.replace(' ', '_')}.npz"
        found = found_for(config, prior, task, prepared, path, name, signals).found
        is_normal = some < len(normal)
        ours = np.concatenate([scores["normal"], scores[name]])[some]
        for method, values in (
            ("latent search (AnoGAN)", found.loss),
            (f"{DETECTOR}, the same images", ours),
        ):
            figures = detection(values[is_normal], values[~is_normal], np.inf)
            rows.append(Tested(method, name, figures, len(some)))
    return rows


def with_noise(detector: Scoring, this: Run, seed: int) -> Course:
    """Score normal images with more and more noise added, in [-1, 1]."""
    images = np.asarray(to_float(normal_images(this, "test", _TRACED)))
    draw = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    scores = [
        detector((images + 2 * level * draw).clip(-1, 1).astype(np.float32))
        for level in _NOISE
    ]
    return Course(np.array(_NOISE), np.stack(scores))


def between_latents(detector: Scoring, prior: Prior, seed: int) -> Course:
    """Score what lies between generated images, on arcs between their latents.

    On arcs, and not on straight lines, because in many dimensions a normal prior has
    nothing near its centre.
    """
    keys = jax.random.split(jax.random.key(seed), 2)
    ends = [prior.recipe.latent(key, _PAIRS) for key in keys]
    lengths = [jnp.linalg.norm(end, axis=1, keepdims=True) for end in ends]
    cosine = (ends[0] * ends[1]).sum(1, keepdims=True) / (lengths[0] * lengths[1])
    angle = jnp.arccos(cosine.clip(-1, 1))
    generate = jax.jit(prior.recipe.generator.apply)
    places = np.linspace(0, 1, _STEPS)
    scores = []
    for place in places:
        parts = [
            jnp.sin(share * angle) / jnp.sin(angle) for share in (1 - place, place)
        ]
        latents = parts[0] * ends[0] + parts[1] * ends[1]
        images = generate(prior.networks.generator, latents)
        scores.append(detector(np.asarray(images)))
    return Course(places, np.stack(scores))


def through_history(
    config: ConfigDict,
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    anomalous: Images8,
) -> CriticsScores:
    """Score images by every critic that the run has kept."""
    sign = -1.0 if recipes.gives_energies(prior.config) else 1.0
    score = Scorer(prior.recipe)
    normal = normal_images(this, "test", _TRACED)
    both = np.concatenate([normal, anomalous[:_TRACED]])
    every = np.stack(
        [
            -sign * score(jax.tree.map(lambda leaf: leaf[at], snapshots.critics), both)  # noqa: B023
            for at in range(len(snapshots.steps))
        ]
    )
    settings = config.detector
    shares = weights(snapshots.steps, settings.alpha, settings.beta)
    _, mean = snapshots.weighted(settings.alpha, settings.beta)
    return CriticsScores(
        snapshots.steps,
        every[:, : len(normal)],
        every[:, len(normal) :],
        shares @ every,
        -sign * score(mean, both),
    )
