"""How a detector D_TV is trained: where it begins, and the loop."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array
from ml_collections import ConfigDict

from gan_jax.apps.detect.data import validation_images
from gan_jax.apps.detect.detector import QUANTILES, CriticScorer, Detector
from gan_jax.apps.detect.history import Snapshots, history_images
from gan_jax.apps.detect.starts import STARTS, detector_scale
from gan_jax.apps.detect.total_variation import (
    DetectorState,
    detector_method,
    initial_detector_state,
    make_detector_step,
)
from gan_jax.apps.train.setup import Run
from gan_jax.build import methods
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.losses import anomaly
from gan_jax.networks.compilation import compiled
from gan_jax.report.journal import Journal
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.logs import due, write_logs
from gan_jax.training.population import Form
from gan_jax.training.state import Variables
from gan_jax.training.step import make_stretch

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
    score: CriticScorer,
    config: ConfigDict,
    signals: Signals,
) -> TrainedDetector:
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
    history = snapshots.history(settings.alpha, settings.beta)
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    history = jax.device_put(history, everywhere)
    normal = validation_images(this)
    unseen = history_images(prior.method, history, len(normal), config.seed)
    start = STARTS[settings.start]
    critic = start.begin(this, prior, snapshots, settings.beta)
    scale = detector_scale(
        prior.config, settings, score(critic, normal), score(critic, unseen)
    )
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    method = detector_method(
        prior.method, methods.optimizer(config.optimizer, rate), settings.bound, scale
    )
    form: Form = "map" if jax.default_backend() == "cpu" else "vmap"
    step_of = make_detector_step(method, this.feed.batch, settings.groups, form)
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
            initial_detector_state(method, critic, jax.random.key(config.seed)),
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
    detector = Detector(course.best, scale, np.zeros(QUANTILES, np.float32))
    scores = score.anomaly_scorer(detector.critic, scale)(normal)
    places = np.linspace(0, 1, QUANTILES)
    quantiles = np.quantile(scores, places).astype(np.float32)
    detector = detector._replace(quantiles=quantiles)
    kind, estimate = prior.config.network.critic, np.maximum(0, course.best_value)
    return TrainedDetector(detector, kind, float(estimate), len(normal))


def _left(step: int, every: int) -> int:
    """Return how many steps are left to the next multiple of `every`."""
    return every - step % every
