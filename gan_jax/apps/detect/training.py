"""The training of a detector D_TV."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree
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
from gan_jax.config.errors import InputError
from gan_jax.losses import anomaly
from gan_jax.networks.compilation import compiled
from gan_jax.report.journal import Journal
from gan_jax.report.terminal import say
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
from gan_jax.training.step import make_stretch
from gan_jax.training.updates import Log

_VALIDATION = "validation/total_variation"


class _Progress(NamedTuple):
    """The content of a checkpoint."""

    origin: Array
    """Hash of the prior, as bytes."""
    state: DetectorState
    best: Variables
    best_step: Array
    best_value: Array


def train_detector(
    run: Run,
    prior: Prior,
    snapshots: Snapshots,
    score: CriticScorer,
    config: ConfigDict,
    signals: Signals,
) -> tuple[Detector, float]:
    """Train D_TV, or continue training it.

    Every `detector.every` steps the total variation is estimated on validation images
    and on images of the history that are not trained on. The best critic is kept, and
    training ends after `detector.patience` estimates without a better one. No anomaly
    is used. The state lies in `<workdir>/checkpoints`; the same call continues from
    there and returns the same detector.

    Args:
        run: Data of normal images, and the workdir.
        prior: The GAN, with a critic of the detector's kind.
        snapshots: Snapshots of the GAN.
        score: Scores by critics of the detector's kind.
        config: Config of the program.
        signals: Signals that interrupt training.

    Returns:
        The detector, and its estimate of the total variation between normal images and
        the history's, in [0, 1]: the highest of all on validation images, and at least
        the 0 of a constant critic.

    Raises:
        InputError: If the checkpoints in the workdir belong to another prior, or no
            snapshot is late enough.
        DivergedError: If a value is not finite; the last good checkpoint is kept.
        Interrupted: If a signal was received, after saving.
        OSError: If the disk failed.
    """
    settings = config.detector
    history = snapshots.history(settings.alpha, settings.beta)
    everywhere = NamedSharding(run.mesh, PartitionSpec())
    history = jax.device_put(history, everywhere)
    normal = validation_images(run)
    unseen = history_images(prior.method, history, len(normal), config.seed)
    start = STARTS[settings.start]
    critic = start.begin(run, prior, snapshots, settings.beta)
    scale = detector_scale(
        prior.config, settings, score(critic, normal), score(critic, unseen)
    )
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    method = detector_method(
        prior.method, methods.optimizer(config.optimizer, rate), settings.bound, scale
    )
    form: Form = "map" if jax.default_backend() == "cpu" else "vmap"
    step_of = make_detector_step(method, run.feed.batch, settings.groups, form)
    stretch = compiled(
        make_stretch(step_of, config.fused_steps), out_shardings=everywhere
    )

    def validate(critic: Variables) -> dict[str, float]:
        real, fake = (
            jnp.asarray(scale(score(critic, images))) for images in (normal, unseen)
        )
        return {
            _VALIDATION: float(anomaly.distance(real, fake)),
            "validation/normal": float(-real.mean()),
            "validation/history": float(-fake.mean()),
        }

    begun = jax.device_put(
        _Progress(
            jnp.asarray(np.frombuffer(bytes.fromhex(prior.digest), np.uint8)),
            initial_detector_state(method, critic, jax.random.key(config.seed)),
            critic,
            jnp.int32(0),
            jnp.float32(validate(critic)[_VALIDATION]),
        ),
        everywhere,
    )
    with Checkpoints(run.workdir / "checkpoints") as checkpoints:
        progress = checkpoints.restore(begun, say) or begun
        if not np.array_equal(progress.origin, begun.origin):
            raise InputError(
                f"{run.workdir} holds a detector of another prior: {prior.workdir} "
                "was trained anew; choose another --workdir"
            )
        step, end = int(progress.state.step), settings.steps
        if 0 < step < end:
            say(f"{run.workdir} continues at step {step} of {end}")
        with Journal(run.workdir, step if step else None) as journal:

            def read(step: int) -> tuple[int, PyTree]:
                left = steps_left(step, settings.every)
                count = min(config.fused_steps, end - step, left)
                return count, run.feed.load(step, count, config.fused_steps)

            def advance(
                progress: _Progress, arrays: PyTree, count: int
            ) -> tuple[_Progress, Log]:
                state, logs = stretch(progress.state, arrays, np.int32(count), history)
                return progress._replace(state=state), logs

            def record(step: int, progress: _Progress) -> _Progress:
                if not (due(step, settings.every) or step == end):
                    return progress
                critic = progress.state.critic.variables
                measured = validate(critic)
                journal.write(step, measured)
                if measured[_VALIDATION] > progress.best_value:
                    progress = progress._replace(
                        best=critic,
                        best_step=jnp.int32(step),
                        best_value=jnp.float32(measured[_VALIDATION]),
                    )
                return progress

            def ended(progress: _Progress) -> bool:
                waited = int(progress.state.step - progress.best_step)
                return waited >= settings.patience * settings.every

            progress, _ = iterate(
                progress,
                step,
                end,
                title="detector",
                read=read,
                compile_advance=lambda progress, arrays: advance,
                log=lambda logs, first, count: write_logs(
                    journal, logs, first, count, config.log_every
                ),
                record=record,
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
    detector = Detector(progress.best, scale, np.zeros(QUANTILES, np.float32))
    scores = score.anomaly_scorer(detector.critic, scale)(normal)
    places = np.linspace(0, 1, QUANTILES)
    quantiles = np.quantile(scores, places).astype(np.float32)
    detector = detector._replace(quantiles=quantiles)
    return detector, max(0.0, float(progress.best_value))
