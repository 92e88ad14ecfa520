"""Shaping of a prior's critic, and the critics by which samples are accepted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.collaborate.lessons import Lessons
from gan_jax.apps.train.setup import Run
from gan_jax.build import methods
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.losses import adversarial
from gan_jax.networks.compilation import compiled
from gan_jax.report.journal import Journal
from gan_jax.report.terminal import say
from gan_jax.runs.loop import due, iterate, save_checkpoint, write_logs
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.search.collaboration import Collaboration
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.method import Method
from gan_jax.training.shaping import shape
from gan_jax.training.state import Player, Variables
from gan_jax.training.step import initial_state
from gan_jax.training.updates import Log


class Snapshot(NamedTuple):
    """A critic during shaping."""

    epoch: float
    """Epochs of shaping; 0 is the critic as it was trained."""
    critic: Variables


def epochs_of(snapshots: str, epochs: float) -> list[float]:
    """Return the epochs after which snapshots are taken, 0 and the last among them.

    Raises:
        InputError: If one is no number, or not between 0 and `epochs`.
    """
    try:
        numbers = {float(part) for part in snapshots.split(",") if part}
    except ValueError as error:
        raise InputError(f"--config.shaping.snapshots='{snapshots}': {error}") from None
    if not all(0 <= epoch <= epochs for epoch in numbers):
        raise InputError(
            f"--config.shaping.snapshots='{snapshots}': give numbers between 0 and "
            f"--config.shaping.epochs, {epochs:g}"
        )
    return sorted(numbers | {0.0, epochs})


def check_shaping(settings: ConfigDict) -> None:
    """Refuse settings of shaping that make no sense, before anything is trained.

    Raises:
        InputError: If a setting makes no sense; names the key.
    """
    epochs_of(settings.snapshots, settings.epochs)
    look_up(_STARTS, "shaping.start", settings.start)


def shape_critic(
    training: Run,
    prior: Prior,
    settings: ConfigDict,
    refinement: Collaboration,
    lessons: Lessons,
    signals: Signals,
    refiner: Variables | None = None,
    annealed: bool = False,
) -> list[Snapshot]:
    """Shape a critic, or continue shaping it.

    Statistics of batch normalisation are the running ones of the updates, half of real
    images and half of refined ones; they are not measured again.

    The state is kept in `<workdir>/checkpoints`, snapshots in `<workdir>/snapshots`;
    the same call continues from there and returns the same critics.

    The settings are the `shaping` of a config. The critic `refiner` refines; None = the
    critic that learns. If `annealed`, the learning rate falls to 0, as a cosine.

    Returns:
        The snapshots, from the trained critic on.

    Raises:
        InputError: If the workdir holds a critic of another prior.
        DivergedError: If a value was not finite; the last good checkpoint is kept.
        Interrupted: By a signal, after saving.
        OSError: If the disk failed.
    """
    epochs = epochs_of(settings.snapshots, settings.epochs)
    snapshot_steps = [round(epoch * lessons.epoch) for epoch in epochs]
    steps = snapshot_steps[-1] if annealed else None
    method, critic = _beginning(training, prior, settings, steps)
    everywhere = NamedSharding(training.mesh, PartitionSpec())
    weights = {
        name: jnp.float32(term.weight) for name, term in method.critic_terms.items()
    }

    def update(
        critic: Player, fixed: PyTree, arrays: PyTree, step: Int[Array, ""]
    ) -> Any:
        generator, refiner = fixed
        lesson = lessons.lesson(arrays, step)
        key = lessons.keys(step)[2]
        return shape(
            method, refinement, generator, critic, weights, lesson, key, refiner
        )

    run = compiled(update, out_shardings=everywhere)
    fixed = jax.device_put((prior.networks.generator, refiner), everywhere)
    origin = np.frombuffer(bytes.fromhex(prior.digest), np.uint8)
    with (
        Checkpoints(training.workdir / "checkpoints") as checkpoints,
        Checkpoints(training.workdir / "snapshots", keep=None) as snapshots,
    ):

        def state(step: int, critic: Player) -> dict[str, Any]:
            return {
                "step": jnp.int32(step),
                "origin": jnp.asarray(origin),
                "critic": critic._asdict(),
            }

        begun = jax.device_put(state(0, critic), everywhere)
        restored = checkpoints.restore(begun, say) or begun
        if not np.array_equal(restored["origin"], origin):
            raise InputError(
                f"{training.workdir} holds a critic of another prior: "
                f"{prior.workdir} was trained anew; choose another --workdir"
            )
        step, critic = int(restored["step"]), Player(**restored["critic"])
        if 0 not in snapshots.steps:
            snapshots.save(0, Player(**begun["critic"]).variables)
            snapshots.wait()
        if 0 < step < snapshot_steps[-1]:
            say(f"{training.workdir} continues at step {step} of {snapshot_steps[-1]}")
        with Journal(training.workdir, step if step else None) as journal:

            def advance(critic: Player, arrays: PyTree, count: int) -> Any:
                return run(critic, fixed, *arrays)

            def record(step: int, critic: Player) -> Player:
                if step in snapshot_steps:
                    snapshots.delete(step)  # may be left by a run that was killed
                    snapshots.save(step, critic.variables)
                    snapshots.wait()
                return critic

            def log(log: Log, first: int, count: int) -> dict[str, Any]:
                logs = jax.tree.map(lambda leaf: np.asarray(leaf)[None], log)
                return write_logs(journal, logs, first, count, settings.log_every)

            critic, _ = iterate(
                critic,
                step,
                snapshot_steps[-1],
                title=training.workdir.name if refiner is not None else "shaping",
                read=lambda step: (1, (lessons.arrays(step), np.int32(step))),
                compile_advance=lambda critic, arrays: advance,
                log=log,
                record=record,
                saves=lambda step: (
                    due(step, settings.checkpoint_every) or step in snapshot_steps
                ),
                save=lambda step, critic, wait: save_checkpoint(
                    journal, checkpoints, step, state(step, critic), wait
                ),
                signals=signals,
            )
        return _snapshots(snapshots, epochs, snapshot_steps, critic)


def acceptance_critics(
    config: ConfigDict,
    training: Run,
    prior: Prior,
    refinement: Collaboration,
    lessons: Lessons,
    signals: Signals,
    shaped: Variables,
) -> dict[str, Variables]:
    """Train critics to tell proposals, and refined samples, from real images.

    A shaped critic has learned from samples at all stages of their refinement, and
    hardly tells refined samples apart. Samples are therefore accepted by critics that
    continue to learn while all else is fixed (as in Azadi 2018, section 3.1), with a
    learning rate that falls to 0: under a constant rate the last updates would decide
    which modes are preferred.
    The critic `shaped` refines. Checkpoints are kept in `<workdir>/acceptance`.

    Returns:
        The critics of `proposals` and of `refined` samples.

    Raises:
        InputError, DivergedError, Interrupted, OSError: As `shape_critic`.
    """
    settings = config.shaping.copy_and_resolve_references()
    with settings.unlocked():
        settings.epochs, settings.snapshots = config.acceptance.epochs, ""
        settings.learning_rate = config.acceptance.learning_rate
        settings.start = "restarted"
    method = prior.method
    if not architectures.gives_energies(prior.config):
        # Only a logistic loss leads to scores that are logarithms of p / q.
        method = method._replace(
            objective=adversarial.nonsaturating,
            critic_terms={},
            critic_projection=lambda parameters: parameters,
        )
    critics: dict[str, Variables] = {}
    for name, first, steps in (
        ("proposals", prior.networks.critic, 0),
        ("refined", shaped, refinement.steps),
    ):
        snapshots = shape_critic(
            training._replace(workdir=training.workdir / "acceptance" / name),
            prior._replace(
                method=method, networks=prior.networks._replace(critic=first)
            ),
            settings,
            refinement._replace(steps=steps),
            lessons,
            signals,
            shaped,
            annealed=True,
        )
        critics[name] = snapshots[-1].critic
    return critics


def _snapshots(
    snapshots: Checkpoints,
    epochs: Sequence[float],
    snapshot_steps: Sequence[int],
    like: Player,
) -> list[Snapshot]:
    snapshots.wait()
    restored_snapshots: list[Snapshot] = []
    for epoch, step in zip(epochs, snapshot_steps, strict=True):
        restored = snapshots.restore(like.variables, say, [step])
        if restored is None:
            raise InputError(
                f"the snapshot of step {step} is not there any more: shape the critic "
                "anew in another --workdir"
            )
        restored_snapshots.append(Snapshot(epoch, restored))
    return restored_snapshots


def _beginning(
    training: Run, prior: Prior, settings: ConfigDict, annealed: int | None = None
) -> tuple[Method, Player]:
    """Return the method by which the critic is trained further, and the critic."""
    optimizer = prior.config.optimizer.copy_and_resolve_references()
    with optimizer.unlocked():
        optimizer.learning_rate = settings.learning_rate
        if settings.start != "trained":
            optimizer.warmup = 0
    rate = (
        optax.cosine_decay_schedule(settings.learning_rate, annealed)
        if annealed
        else None
    )
    method = prior.method._replace(critic_optimizer=methods.optimizer(optimizer, rate))
    start = look_up(_STARTS, "shaping.start", settings.start)
    if start is None:
        key = jax.random.fold_in(jax.random.key(training.config.seed), 1_000_009)
        batch = training.feed.batch(training.feed.load(0, 1, 1), jnp.int32(0))
        return method, initial_state(method, key, batch).critic
    critic = dict(prior.networks.critic)
    parameters = critic.pop("params")
    return method, Player(parameters, critic, start(method, prior, parameters))


_STARTS: Mapping[str, Callable[[Method, Prior, PyTree], PyTree] | None] = {
    "trained": lambda method, prior, parameters: prior.networks.critic_optimizer,
    "restarted": lambda method, prior, parameters: method.critic_optimizer.init(
        parameters
    ),
    "fresh": None,
}
"""The optimiser's state of the critic by `shaping.start`: as training left it, or
reset; None = the critic is initialised anew."""
