"""How a detector D_TV is trained: where it begins, and the loop."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import normal_images, validation_images
from gan_jax.apps.detect.detector import QUANTILES, Detector, Scorer
from gan_jax.apps.detect.snapshots import Snapshots, of_history
from gan_jax.apps.detect.total_variation import (
    DetectorState,
    Scale,
    initial_detector,
    make_detector_step,
    recipe_of_detector,
    scale_of,
    scale_of_energies,
)
from gan_jax.apps.train.setup import Run
from gan_jax.build import methods, tasks
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.evaluation.outliers import leading_components
from gan_jax.losses import anomaly
from gan_jax.networks import perceptron
from gan_jax.networks.compilation import compiled
from gan_jax.report.journal import Journal
from gan_jax.report.terminal import say
from gan_jax.runs.inference import taken
from gan_jax.runs.loop import (
    due,
    iterate,
    save_checkpoint,
    steps_left,
    write_logs,
)
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.population import Form
from gan_jax.training.state import Variables
from gan_jax.training.step import initial_state, make_stretch
from gan_jax.training.updates import Log

_VALIDATION = "validation/total_variation"


class TrainedDetector(NamedTuple):
    """A detector, and how far apart the images are that it was trained to tell."""

    detector: Detector
    kind: str
    """Of its critic, as `network.critic` names it."""
    total_variation: float
    """Between normal images and the history's, in [0, 1]: this critic's estimate, the
    highest of all looks at validation images; 0, which a constant critic gives, where
    it is below."""
    validated: int
    """Validation images that it was estimated on, and as many of the history."""


class _Course(NamedTuple):
    """What a checkpoint holds."""

    origin: Array
    """The hash of the prior."""
    state: DetectorState
    best: Variables
    best_step: Array
    best_value: Array


def train_detector(
    this: Run,
    prior: Prior,
    snapshots: Snapshots,
    score: Scorer,
    config: ConfigDict,
    signals: Signals,
) -> TrainedDetector:
    """Train D_TV, or continue training it.

    Every `detector.every` steps the total variation is estimated on validation images
    and on images of the history that are not learned from; the best critic is kept,
    and training ends when none has been better for `detector.patience` such looks. No
    anomaly is ever seen. The state lies in `<workdir>/checkpoints`; the same call goes
    on from there and comes to the same detector.

    Args:
        this: the data of normal images, and the workdir.
        prior: the run whose history it is.
        snapshots: of that run.
        score: of critics of the prior's kind.
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
    history = snapshots.generated(settings.alpha, settings.beta)
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    history = jax.device_put(history, everywhere)
    normal = validation_images(this)
    unseen = of_history(prior.method, history, len(normal), config.seed)
    start = STARTS[settings.start]
    critic = start.begin(this, prior, snapshots, settings.beta)
    scale = first_scale(
        prior.config, settings, score(critic, normal), score(critic, unseen)
    )
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    method = recipe_of_detector(
        prior.method, methods.optimizer(config.optimizer, rate), settings.bound, scale
    )
    form: Form = "map" if jax.default_backend() == "cpu" else "vmap"
    step_of = make_detector_step(method, this.feed.batch, settings.groups, form)
    stretch = compiled(
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
            initial_detector(method, critic, jax.random.key(config.seed)),
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
        step, end = int(course.state.step), settings.steps
        if 0 < step < end:
            say(f"{this.workdir} continues at step {step} of {end}")
        with Journal(this.workdir, step if step else None) as journal:

            def read(step: int) -> tuple[int, PyTree]:
                left = steps_left(step, settings.every)
                count = min(config.fused_steps, end - step, left)
                return count, this.feed.load(step, count, config.fused_steps)

            def advance(
                course: _Course, arrays: PyTree, first: int, count: int
            ) -> tuple[_Course, Log]:
                state, logs = stretch(course.state, arrays, np.int32(count), history)
                return course._replace(state=state), logs

            def mark(step: int, course: _Course) -> _Course:
                if not (due(step, settings.every) or step == end):
                    return course
                critic = course.state.critic.variables
                measured = look(critic)
                journal.write(step, measured)
                if measured[_VALIDATION] > course.best_value:
                    course = course._replace(
                        best=critic,
                        best_step=jnp.int32(step),
                        best_value=jnp.float32(measured[_VALIDATION]),
                    )
                return course

            def ended(course: _Course) -> bool:
                waited = int(course.state.step - course.best_step)
                return waited >= settings.patience * settings.every

            course, _ = iterate(
                course,
                step,
                end,
                title="detector",
                read=read,
                prepare=lambda course, arrays: advance,
                log=lambda logs, first, count: write_logs(
                    journal, logs, first, count, config.log_every
                ),
                mark=mark,
                ended=ended,
                saves=lambda step: due(step, settings.every),
                save=functools.partial(save_checkpoint, journal, checkpoints),
                signals=signals,
            )
    if len(normal) * config.anomaly.false_positive_rate < 1:
        say(
            f"{len(normal)} validation images are too few for a threshold that leaves "
            f"{config.anomaly.false_positive_rate:g} of them above"
        )
    detector = Detector(course.best, scale, np.zeros(QUANTILES, np.float32))
    scores = score.of(detector.critic, scale)(normal)
    places = np.linspace(0, 1, QUANTILES)
    quantiles = np.quantile(scores, places).astype(np.float32)
    detector = detector._replace(quantiles=quantiles)
    kind, estimate = prior.config.network.critic, np.maximum(0, course.best_value)
    return TrainedDetector(detector, kind, float(estimate), len(normal))


def first_scale(
    config: ConfigDict,
    settings: ConfigDict,
    real_scores: Float[np.ndarray, "real"],
    fake_scores: Float[np.ndarray, "fake"],
) -> Scale:
    """Return the scale under which a detector's scores are learned, and used.

    Args:
        config: of the run that its critic is of.
        settings: `detector` of a config.
        real_scores: of normal images, by the critic that training starts from.
        fake_scores: of the history's images, by the same.
    """
    if architectures.gives_energies(config):
        return scale_of_energies(settings.margin)
    if settings.rescale and not STARTS[settings.start].new:
        return scale_of(real_scores, fake_scores)
    return Scale()


class Start(NamedTuple):
    """Where a detector's critic begins."""

    begin: Callable[[Run, Prior, Snapshots, float], Variables]
    """`begin(this, prior, snapshots, beta)` returns the initial critic; `beta` is how
    fast the weights of the saved critics fall in their mean."""
    new: bool = False
    """Whether it is a new network, in place of one of the run's."""
    check: Callable[[str, ConfigDict, Run], None] = lambda critic, network, this: None
    """`check(critic, network, this)` refuses kinds of critics that it cannot begin."""


def _fresh(this: Run, prior: Prior, snapshots: Snapshots, beta: float) -> Variables:
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_019)
    batch = this.feed.batch(this.feed.load(0, 1, 1), jnp.int32(0))
    return initial_state(prior.method, key, batch).critic.variables


def _between(this: Run, prior: Prior, snapshots: Snapshots, beta: float) -> Variables:
    """Begin a linear autoencoder between principal components of normal images."""
    fresh = _fresh(this, prior, snapshots, beta)
    code, normal = fresh["params"]["Dense_0"]["bias"].size, normal_images(this, "train")
    fitted = leading_components(code, normal, this.config.seed)
    centre, axes = 2 * fitted.mean_ - 1, fitted.components_  # of values in [-1, 1]
    found = perceptron.between_components(
        *(jnp.asarray(one, jnp.float32) for one in (centre, axes))
    )
    return {**fresh, "params": found}


def _check_components(critic: str, network: ConfigDict, this: Run) -> None:
    if critic != "linear_autoencoder":
        raise InputError(
            f"detector.start components makes no {critic}: give "
            "--config.detector.critic=linear_autoencoder"
        )
    source = this.parts["train"]["real"]
    most = min(len(source), int(np.prod(source.shape)))
    if architectures.linear_code(network) > most:
        raise InputError(
            f"detector.start components: {len(source)} images of {source.shape} have "
            f"{most} at most; give a smaller --config.network.code"
        )


STARTS: Mapping[str, Start] = {
    "mean": Start(lambda this, prior, snapshots, beta: snapshots.mean_critic(beta)),
    "last": Start(lambda this, prior, snapshots, beta: taken(snapshots.critics, -1)),
    "scratch": Start(_fresh, new=True),
    "components": Start(_between, new=True, check=_check_components),
}
"""By the names in a config."""


def feature_network_of(settings: ConfigDict, prior: Prior, own: ConfigDict) -> Prior:
    """Return a prior whose critic is of a detector's kind: another, if that is new.

    Args:
        settings: `detector` of a config.
        prior: the GAN.
        own: the training config that the detector's would be, with its `network`.
    """
    if not STARTS[settings.start].new:
        return prior
    with (own := own.copy_and_resolve_references()).unlocked():
        own.network.critic = settings.critic or own.network.critic
        # Any that its scores fit: its recipe is to be made of this config alone.
        own.objective = "ebgan" if architectures.gives_energies(own) else "wgan"
    critic = methods.method(own, tasks.task(own), prior.channels).critic
    return prior._replace(config=own, method=prior.method._replace(critic=critic))


def check_detector(config: ConfigDict, this: Run) -> None:
    """Refuse settings of a detector that make no sense, before anything is begun.

    Args:
        config: of the program.
        this: the data of normal images.

    Raises:
        InputError: names the key.
    """
    settings, groups = config.detector, config.detector.groups
    start: Start = look_up(STARTS, "detector.start", settings.start)
    critic = settings.critic or config.network.critic
    look_up(architectures.CRITICS, "detector.critic", critic)
    if settings.critic and not start.new:
        new = " or ".join(name for name, one in STARTS.items() if one.new)
        raise InputError(
            f"detector.critic {critic} is a new network, and detector.start "
            f"{settings.start} one that was trained: start from {new}"
        )
    kind = critic if start.new else this.config.network.critic  # the history's
    if not settings.rescale and kind in architectures.ENERGY_CRITICS:
        raise InputError(
            f"detector.rescale False leaves scores as they are, and a {kind} has "
            "energies, which become scores by detector.margin: leave it True, or "
            "train a critic of scores (variant published)"
        )
    start.check(critic, config.network, this)
    batch = this.config.batch_size  # the history's
    if batch % groups:
        raise InputError(
            f"detector.groups {groups} do not divide batch_size {batch}: "
            "give as many times t as share its images evenly"
        )
