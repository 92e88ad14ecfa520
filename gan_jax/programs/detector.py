"""The detector D_TV of a run: its training loop, and the artefact that is left."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.config import flatten, nested
from gan_jax.data.feed import read, to_float
from gan_jax.errors import InputError, Interrupted
from gan_jax.evaluation.outliers import leading_components
from gan_jax.losses import anomaly
from gan_jax.names import look_up
from gan_jax.networks import perceptron
from gan_jax.networks.compilation import compiled
from gan_jax.programs.anomalies import normal_images
from gan_jax.programs.assembly import Run, say
from gan_jax.programs.chunks import chunks, taken
from gan_jax.programs.history import Snapshots
from gan_jax.programs.prior import Prior
from gan_jax.programs.record import due, write_logs
from gan_jax.programs.signals import Signals
from gan_jax.report import files
from gan_jax.report.journal import Journal
from gan_jax.report.progress import Progress
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.detection import (
    DetectorState,
    Scale,
    initial_detector,
    make_detector_step,
    recipe_of_detector,
    scale_of,
    scale_of_energies,
)
from gan_jax.training.history import History, sample
from gan_jax.training.method import Recipe
from gan_jax.training.population import Form
from gan_jax.training.state import Variables
from gan_jax.training.step import initial_state, make_stretch

_FOLDER, _CONFIG = "detector", "gan.json"
_CHUNK = 250  # images scored at once
_COMPARED = 2048  # images of the history that validation images are compared with
_QUANTILES = 1001  # of the scores of validation images, which a detector remembers
_VALIDATION = "validation/total_variation"


class Detector(NamedTuple):
    """What scores images."""

    critic: Variables
    scale: Scale
    quantiles: Float[Array | np.ndarray, "quantiles"]
    """Of the scores of validation images, from the lowest to the highest."""

    def percentiles(
        self, scores: Float[np.ndarray, " images"]
    ) -> Float[np.ndarray, " images"]:
        """Give the percentage of validation images that score lower."""
        places, first = np.unique(np.asarray(self.quantiles), return_index=True)
        percentages = 100 * first / (len(self.quantiles) - 1)
        within = np.interp(scores, places, percentages)
        found: np.ndarray = np.where(scores > places[-1], 100.0, within)
        return found

    def threshold(self, false_positive_rate: float) -> float:
        """Give the score above which that share of validation images lies."""
        place = 1 - false_positive_rate
        return float(np.quantile(np.asarray(self.quantiles), place))


class Scorer:
    """A critic as a function of many images, in chunks of one compiled program."""

    def __init__(self, recipe: Recipe):
        """Prepare."""
        self._apply = compiled(recipe.critic.apply)

    def __call__(
        self, critic: Variables, images: np.ndarray
    ) -> Float[np.ndarray, " count"]:
        """Give a critic's raw scores of images in [-1, 1], or of 8 bits."""
        scores = [
            np.asarray(self._apply(critic, to_float(images[at])))
            for at in chunks(len(images), _CHUNK)
        ]
        flat = [one.reshape(len(one), -1).mean(axis=1) for one in scores]
        return np.concatenate(flat)[: len(images)]

    def of(
        self, critic: Variables, scale: Scale
    ) -> Callable[[np.ndarray], Float[np.ndarray, " count"]]:
        """Give how anomalous a critic finds images: minus its scaled score."""
        return lambda images: -scale(self(critic, images))


def plain_scale(prior: Prior) -> Scale:
    """Give the scale of a run's own critics: their scores, or minus their energies."""
    return Scale(0.0, -1.0 if recipes.gives_energies(prior.config) else 1.0)


class _Course(NamedTuple):
    """What a checkpoint holds."""

    origin: Array
    """The hash of the prior."""
    state: DetectorState
    best: Variables
    best_step: Array
    best_value: Array


def train_detector(
    this: Run, prior: Prior, snapshots: Snapshots, config: ConfigDict, signals: Signals
) -> Detector:
    """Train D_TV, or go on with it; the loop, read top to bottom.

    Every `detector.every` steps the total variation is estimated on validation images
    and on images of the history that are not learned from; the best critic is kept,
    and training ends when none has been better for `detector.patience` such looks. No
    anomaly is ever seen. The state lies in `<workdir>/checkpoints`; the same call goes
    on from there and comes to the same detector.

    Args:
        this: the data of normal images, and the workdir.
        prior: the run whose history it is.
        snapshots: of that run.
        config: `detector`, `optimizer` and how to log.
        signals: that interrupt it.

    Raises:
        InputError: what lies in the workdir is of another prior, or no snapshot is
            left.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by a signal, after saving.
        OSError: the disk failed.
    """
    settings = config.detector
    history, mean = snapshots.weighted(settings.alpha, settings.beta)
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    history = jax.device_put(history, everywhere)
    normal = validation_images(this)
    unseen = of_history(prior.recipe, history, len(normal), config.seed)
    score = Scorer(prior.recipe)
    critic = _beginning(this, prior, snapshots, mean, settings.start)
    if recipes.gives_energies(prior.config):
        scale = scale_of_energies(settings.margin)
    elif settings.start == "scratch":
        scale = Scale()
    else:
        scale = scale_of(score(critic, normal), score(critic, unseen))
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    recipe = recipe_of_detector(
        prior.recipe, recipes.optimizer(config.optimizer, rate), settings.bound, scale
    )
    form: Form = "map" if jax.default_backend() == "cpu" else "vmap"
    step_of = make_detector_step(recipe, this.feed.batch, settings.groups, form)
    advance = compiled(
        make_stretch(step_of, config.fused_steps), out_shardings=everywhere
    )

    def look(critic: Variables) -> dict[str, float]:
        real, fake = (
            jnp.asarray(scale(score(critic, images))) for images in (normal, unseen)
        )
        return {
            _VALIDATION: float(anomaly.distance(real, fake)),
            "validation/normal": float(-real.mean()),
            "validation/history": float(-fake.mean()),
        }

    begun = jax.device_put(
        _Course(
            jnp.asarray(np.frombuffer(bytes.fromhex(prior.digest), np.uint8)),
            initial_detector(recipe, critic, jax.random.key(config.seed)),
            critic,
            jnp.int32(0),
            jnp.float32(look(critic)[_VALIDATION]),
        ),
        everywhere,
    )
    with Checkpoints(this.workdir / "checkpoints") as checkpoints:
        course = checkpoints.restore(begun, say) or begun
        if not np.array_equal(course.origin, begun.origin):
            raise InputError(
                f"{this.workdir} holds a detector of another prior: {prior.workdir} "
                "was trained anew; choose another --workdir"
            )
        state, step, best_step = course.state, int(course.state.step), course.best_step
        end = settings.steps
        if 0 < step < end:
            say(f"{this.workdir} continues at step {step} of {end}")
        with (
            Journal(this.workdir, step if step else None) as journal,
            Progress(end, step, "detector") as progress,
        ):
            while step < end and step - best_step < settings.patience * settings.every:
                count = min(config.fused_steps, end - step, _left(step, settings.every))
                arrays = this.feed.stretch(step, count, config.fused_steps)
                state, logs = advance(state, arrays, np.int32(count), history)
                logs = jax.device_get(logs)
                write_logs(journal, logs, step, count, config.log_every)
                step += count
                values = {name: rows[count - 1] for name, rows in logs.values.items()}
                progress.advance(step, values)
                looking = due(step, settings.every) or step == end
                if looking:
                    measured = look(state.critic.variables)
                    journal.write(step, measured)
                    course = course._replace(state=state)
                    if measured[_VALIDATION] > course.best_value:
                        best_step = step
                        course = course._replace(
                            best=state.critic.variables,
                            best_step=jnp.int32(step),
                            best_value=jnp.float32(measured[_VALIDATION]),
                        )
                stopping = signals.received if step < end else None
                if looking or stopping:
                    journal.flush()
                    checkpoints.save(step, course._replace(state=state))
                if stopping:
                    checkpoints.wait()
                    raise Interrupted(
                        stopping, f"stopped at step {step}; the same command continues"
                    )
    if len(normal) * config.anomaly.false_positive_rate < 1:
        say(
            f"{len(normal)} validation images are too few for a threshold that leaves "
            f"{config.anomaly.false_positive_rate:g} of them above"
        )
    detector = Detector(course.best, scale, np.zeros(_QUANTILES, np.float32))
    scores = score.of(detector.critic, scale)(normal)
    places = np.linspace(0, 1, _QUANTILES)
    quantiles = np.quantile(scores, places).astype(np.float32)
    return detector._replace(quantiles=quantiles)


def _left(step: int, every: int) -> int:
    """Give how many steps are left to the next multiple of `every`."""
    return every - step % every


def _beginning(
    this: Run, prior: Prior, snapshots: Snapshots, mean: Variables, start: str
) -> Variables:
    """Give the critic to begin with."""
    if start == "mean":
        return mean
    if start == "last":
        return taken(snapshots.critics, -1)
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_019)
    batch = this.feed.batch(this.feed.stretch(0, 1, 1), jnp.int32(0))
    fresh = initial_state(prior.recipe, key, batch).critic.variables
    if start == "components":
        return {**fresh, "params": _components(this, fresh["params"])}
    return fresh


def _components(this: Run, like: PyTree[Array]) -> PyTree[Array]:
    """Give a linear autoencoder's parameters between principal components."""
    code, normal = like["Dense_0"]["bias"].size, normal_images(this, "train")
    fitted = leading_components(code, normal, this.config.seed)
    centre, axes = 2 * fitted.mean_ - 1, fitted.components_  # of values in [-1, 1]
    return perceptron.between_components(
        *(jnp.asarray(one, jnp.float32) for one in (centre, axes))
    )


_NEW = ("scratch", "components")
_STARTS = ("mean", "last", *_NEW)


def judge_of(settings: ConfigDict, prior: Prior, own: ConfigDict) -> Prior:
    """Give a prior whose critic is of a detector's kind: another, if that is new.

    Args:
        settings: `detector` of a config.
        prior: the GAN.
        own: the training config that the detector's would be, with its `network`.
    """
    if settings.start not in _NEW:
        return prior
    with (own := own.copy_and_resolve_references()).unlocked():
        own.network.critic = settings.critic or own.network.critic
        # Any that its scores fit: its recipe is to be made of this config alone.
        own.objective = "ebgan" if recipes.gives_energies(own) else "wgan"
    critic = recipes.recipe(own, recipes.task(own), prior.channels).critic
    return prior._replace(config=own, recipe=prior.recipe._replace(critic=critic))


def check_detector(config: ConfigDict, this: Run) -> None:
    """Refuse settings of a detector that make no sense, before anything is begun.

    Args:
        config: of the program.
        this: the data of normal images.

    Raises:
        InputError: names the key.
    """
    start, groups = config.detector.start, config.detector.groups
    look_up(dict.fromkeys(_STARTS), "detector.start", start)
    critic = config.detector.critic or config.network.critic
    look_up(recipes.CRITICS, "detector.critic", critic)
    if start not in _NEW and config.detector.critic:
        raise InputError(
            f"detector.critic {critic} is a new network, and detector.start {start} "
            f"one that was trained: start from {' or '.join(_NEW)}"
        )
    if start == "components" and critic != "linear_autoencoder":
        raise InputError(
            f"detector.start components makes no {critic}: give "
            "--config.detector.critic=linear_autoencoder"
        )
    source, network = this.parts["train"]["real"], config.network
    most = min(len(source), int(np.prod(source.shape)))
    if start == "components" and (network.code or network.critic_width) > most:
        raise InputError(
            f"detector.start components: {len(source)} images of {source.shape} have "
            f"{most} at most; give a smaller --config.network.code"
        )
    batch = this.config.batch_size  # the history's
    if batch % groups:
        raise InputError(
            f"detector.groups {groups} do not divide batch_size {batch}: "
            "give as many times t as share its images evenly"
        )


def validation_images(this: Run) -> np.ndarray:
    """Read normal images that nothing learns from, as they are stored."""
    source = this.parts["validation"]["real"]
    return np.asarray(read(source, np.arange(min(_COMPARED, len(source)))).image)


def of_history(
    recipe: Recipe, history: History, count: int, seed: int
) -> Float[np.ndarray, "count height width channels"]:
    """Generate images of a history that nothing learns from."""
    draw = compiled(
        lambda history, key: sample(
            recipe.generator,
            history,
            recipe.latent(jax.random.fold_in(key, 0), _CHUNK),
            jax.random.fold_in(key, 1),
            _CHUNK // 5,
        )
    )
    key = jax.random.fold_in(jax.random.key(seed), 1_000_033)
    images = [
        np.asarray(draw(history, jax.random.fold_in(key, at[0])))
        for at in chunks(count, _CHUNK)
    ]
    return np.concatenate(images)[:count]


def keep_detector(detector: Detector, prior: Prior, workdir: Path) -> None:
    """Leave a detector for later use: its arrays, and what they are of."""
    files.write_json(workdir / _CONFIG, flatten(prior.config))
    with Checkpoints(workdir / _FOLDER, keep=None) as kept:
        for step in kept.steps:
            kept.delete(step)
        kept.save(0, _arrays(detector))


def read_gan_config(workdir: Path) -> ConfigDict:
    """Read the config of the GAN that a detector's critic is of.

    Raises:
        InputError: it is not there any more.
    """
    try:
        written = json.loads((workdir / _CONFIG).read_text())
        config = ConfigDict(nested(written)).lock()
        recipes.task(config)
        return config
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(_damaged(workdir, error)) from None


def describe_run(workdir: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Tell in a summary which detector was used."""
    return {
        "workdir": str(workdir),
        "config_name": summary["config_name"],
        "parameters_sha256": summary["parameters_sha256"],
    }


def open_detector(workdir: Path, like: Variables) -> Detector:
    """Open what `keep_detector` left.

    Args:
        workdir: of the run.
        like: the variables of a critic of its kind.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    blank = Detector(like, Scale(), np.zeros(_QUANTILES, np.float32))
    try:
        with Checkpoints(workdir / _FOLDER, keep=None) as kept:
            found = kept.restore(_arrays(blank), say)
    except InputError as error:
        raise InputError(_damaged(workdir, error)) from None
    if found is None:
        raise InputError(f"prior {workdir} holds no detector: run it again")
    scale = Scale(*map(float, found["scale"]))
    return Detector(found["critic"], scale, np.asarray(found["quantiles"]))


def _damaged(workdir: Path, error: Exception) -> str:
    return f"prior {workdir} holds a damaged detector ({error}): run it again"


def _arrays(detector: Detector) -> dict[str, Any]:
    return {
        "critic": detector.critic,
        "scale": jnp.array(detector.scale, jnp.float32),
        "quantiles": jnp.asarray(detector.quantiles, jnp.float32),
    }
