"""Shaping a prior's critic: the loop, its snapshots, and what it learns from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.train.setup import Run
from gan_jax.build import methods
from gan_jax.build import networks as architectures
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data.datasets.dataset import ArraySource, in_memory, select
from gan_jax.data.feed import Feed, resident
from gan_jax.losses import adversarial
from gan_jax.networks.compilation import compiled
from gan_jax.report.journal import Journal
from gan_jax.report.terminal import say
from gan_jax.runs.loop import due, iterate, save_checkpoint, write_logs
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.search.collaboration import Collaboration
from gan_jax.search.refinement import Observation
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.mesh import placement_over
from gan_jax.training.method import Method
from gan_jax.training.shaping import Lesson, shape
from gan_jax.training.state import Player, Variables
from gan_jax.training.step import initial_state
from gan_jax.training.updates import Log


class Snapshot(NamedTuple):
    """A critic on its way."""

    epoch: float
    """Of shaping; 0 is the critic as it was trained."""
    critic: Variables


class Lessons(NamedTuple):
    """Where a critic's lessons come from: two functions that go together."""

    arrays: Callable[[int], PyTree]
    """`arrays(step)`: what a step needs, to be passed to a compiled function."""
    lesson: Callable[[PyTree, Int[Array, ""]], Lesson]
    """`lesson(arrays, step)`: inside a compiled function."""
    epoch: int
    """Steps of one."""
    key: PRNGKeyArray
    """Of a step when its number is folded in."""


def drawn_lessons(this: Run, count: int, seed: int) -> Lessons:
    """Return lessons whose proposals are drawn anew.

    Args:
        this: the data of the prior.
        count: of training images; 0 = all.
        seed: of the proposals.
    """
    key = jax.random.key(seed)
    feed, part = this.feed, this.parts["train"]
    if count > 0:
        some = {
            role: select(source, np.arange(min(count, len(source))))
            for role, source in part.items()
        }
        feed, part = _resident(this, some, seed), some
    batch_size = this.config.batch_size

    def lesson(arrays: PyTree, step: Int[Array, ""]) -> Lesson:
        keys = _keys(key, step)
        batch = this.method.present(keys[0], feed.batch(arrays, step))
        latents = this.method.latent(keys[1], batch_size)
        return Lesson(batch, latents, Observation(batch.condition))

    epoch = max(1, len(part["real"]) // batch_size)
    return Lessons(lambda step: feed.load(step, 1, 1), lesson, epoch, key)


def searched_lessons(
    this: Run, images: np.ndarray, masks: np.ndarray, latents: np.ndarray, seed: int
) -> Lessons:
    """Return lessons whose proposals are latents searched for images with holes.

    Args:
        this: the data of the prior.
        images: of 8 bits, whole.
        masks: of each, 1 = known.
        latents: of each.
        seed: of the order.
    """
    key = jax.random.key(seed)
    # What goes with an image is found by its label, which is its number here.
    source = ArraySource("searched", images, np.arange(len(images)), ())
    feed = _resident(this, {"real": source}, seed)
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    beside = jax.device_put((masks, latents), everywhere)

    def lesson(arrays: PyTree, step: Int[Array, ""]) -> Lesson:
        given, (masks, latents) = arrays
        images = feed.batch(given, step)
        batch = this.method.present(_keys(key, step)[0], images)
        at = images["real"].label
        return Lesson(batch, latents[at], Observation(None, batch.real, masks[at]))

    epoch = max(1, len(images) // this.config.batch_size)
    return Lessons(lambda step: (feed.load(step, 1, 1), beside), lesson, epoch, key)


def _resident(this: Run, sources: dict[str, Any], seed: int) -> Feed:
    size = this.config.batch_size
    return resident(
        {role: in_memory(source) for role, source in sources.items()},
        size,
        seed,
        placement_over(this.mesh, size),
    )


def _keys(key: PRNGKeyArray, step: Int[Array, ""]) -> Array:
    return jax.random.split(jax.random.fold_in(key, step), 3)


def epochs_of(snapshots: str, epochs: float) -> list[float]:
    """Read when snapshots are taken, in epochs; the end is always one.

    Raises:
        InputError: one is no number, or not between 0 and the end.
    """
    try:
        found = {float(part) for part in snapshots.split(",") if part}
    except ValueError as error:
        raise InputError(f"shaping.snapshots '{snapshots}': {error}") from None
    if not all(0 <= epoch <= epochs for epoch in found):
        raise InputError(
            f"shaping.snapshots '{snapshots}' are to lie between 0 and shaping.epochs, "
            f"{epochs:g}"
        )
    return sorted(found | {0.0, epochs})


def check_shaping(settings: ConfigDict) -> None:
    """Refuse settings of shaping that make no sense, before anything is begun.

    Raises:
        InputError: names the key.
    """
    epochs_of(settings.snapshots, settings.epochs)
    look_up(_STARTS, "shaping.start", settings.start)


def shape_critic(
    this: Run,
    prior: Prior,
    settings: ConfigDict,
    who: Collaboration,
    lessons: Lessons,
    signals: Signals,
    refiner: Variables | None = None,
    annealed: bool = False,
) -> list[Snapshot]:
    """Shape a critic, or continue shaping it.

    Statistics of batch normalisation are the running ones of its updates, half of real
    images and half of refined ones; they are not taken anew.

    The state lies in `<workdir>/checkpoints`, snapshots in `<workdir>/snapshots`; the
    same call goes on from there and comes to the same critic.

    Args:
        this: the data, and the workdir.
        prior: whose critic it is.
        settings: `shaping` of a config.
        who: refines what the critic learns from.
        lessons: what it learns from.
        signals: that interrupt it.
        refiner: the critic that refines instead of the one that learns.
        annealed: whether the learning rate falls to 0.

    Returns:
        The snapshots, from the trained critic on.

    Raises:
        InputError: what lies in the workdir is of another prior.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by a signal, after saving.
        OSError: the disk failed.
    """
    epochs = epochs_of(settings.snapshots, settings.epochs)
    marks = [round(epoch * lessons.epoch) for epoch in epochs]
    steps = marks[-1] if annealed else None
    method, critic = _beginning(this, prior, settings, steps)
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    weights = {
        name: jnp.float32(term.weight) for name, term in method.critic_terms.items()
    }

    def update(
        critic: Player, others: PyTree, arrays: PyTree, step: Int[Array, ""]
    ) -> Any:
        generator, refiner = others
        lesson = lessons.lesson(arrays, step)
        key = _keys(lessons.key, step)[2]
        return shape(method, who, generator, critic, weights, lesson, key, refiner)

    run = compiled(update, out_shardings=everywhere)
    others = jax.device_put((prior.networks.generator, refiner), everywhere)
    origin = np.frombuffer(bytes.fromhex(prior.digest), np.uint8)
    with (
        Checkpoints(this.workdir / "checkpoints") as checkpoints,
        Checkpoints(this.workdir / "snapshots", keep=None) as kept,
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
                f"{this.workdir} holds a critic of another prior: {prior.workdir} was "
                "trained anew; choose another --workdir"
            )
        step, critic = int(restored["step"]), Player(**restored["critic"])
        if 0 not in kept.steps:
            kept.save(0, Player(**begun["critic"]).variables)
            kept.wait()
        if 0 < step < marks[-1]:
            say(f"{this.workdir} continues at step {step} of {marks[-1]}")
        with Journal(this.workdir, step if step else None) as journal:

            def advance(critic: Player, arrays: PyTree, first: int, count: int) -> Any:
                return run(critic, others, arrays, np.int32(first))

            def mark(step: int, critic: Player) -> Player:
                if step in marks:
                    kept.delete(step)  # may be left by a run that was killed
                    kept.save(step, critic.variables)
                    kept.wait()
                return critic

            def log(log: Log, first: int, count: int) -> dict[str, Any]:
                logs = jax.tree.map(lambda leaf: np.asarray(leaf)[None], log)
                return write_logs(journal, logs, first, count, settings.log_every)

            critic, _ = iterate(
                critic,
                step,
                marks[-1],
                title=this.workdir.name if refiner is not None else "shaping",
                read=lambda step: (1, lessons.arrays(step)),
                prepare=lambda critic, arrays: advance,
                log=log,
                mark=mark,
                saves=lambda step: (
                    due(step, settings.checkpoint_every) or step in marks
                ),
                save=lambda step, critic, wait: save_checkpoint(
                    journal, checkpoints, step, state(step, critic), wait
                ),
                signals=signals,
            )
        return _snapshots(kept, epochs, marks, critic)


def telling_critics(
    this: Run,
    prior: Prior,
    settings: ConfigDict,
    who: Collaboration,
    lessons: Lessons,
    signals: Signals,
    last: Variables,
) -> dict[str, Variables]:
    """Train critics to tell proposals, and refined samples, from real images.

    A critic that refines has learned from samples on their way, and those that it has
    refined all look alike to it. What is accepted is judged by one that went on
    learning while everything else rested (as Azadi 2018, section 3.1, does), to the
    end: what the last updates of a constant rate happen to leave would decide which
    modes are preferred.

    Args:
        this: the data, and the workdir: they are kept in `<workdir>/acceptance`.
        prior: whose critic goes on.
        settings: `shaping` of a config, for so many epochs.
        who: refines.
        lessons: what is learned from.
        signals: that interrupt it.
        last: the shaped critic, which refines.

    Returns:
        The critics of `proposals` and of `refined` samples.

    Raises:
        InputError, DivergedError, Interrupted, OSError: as `shape_critic`.
    """
    settings = settings.copy_and_resolve_references()
    with settings.unlocked():
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
    for name, its_own, steps in (
        ("proposals", prior.networks.critic, 0),
        ("refined", last, who.steps),
    ):
        snapshots = shape_critic(
            this._replace(workdir=this.workdir / "acceptance" / name),
            prior._replace(
                method=method, networks=prior.networks._replace(critic=its_own)
            ),
            settings,
            who._replace(steps=steps),
            lessons,
            signals,
            last,
            annealed=True,
        )
        critics[name] = snapshots[-1].critic
    return critics


def _snapshots(
    kept: Checkpoints, epochs: Sequence[float], marks: Sequence[int], like: Player
) -> list[Snapshot]:
    kept.wait()
    found: list[Snapshot] = []
    for epoch, mark in zip(epochs, marks, strict=True):
        restored = kept.restore(like.variables, say, [mark])
        if restored is None:
            raise InputError(
                f"the snapshot of step {mark} is not there any more: shape the critic "
                "anew in another --workdir"
            )
        found.append(Snapshot(epoch, restored))
    return found


def _beginning(
    this: Run, prior: Prior, settings: ConfigDict, annealed: int | None = None
) -> tuple[Method, Player]:
    """Return the critic that is shaped, and the recipe by which it goes on."""
    how = prior.config.optimizer.copy_and_resolve_references()
    with how.unlocked():
        how.learning_rate = settings.learning_rate
        if settings.start != "trained":
            how.warmup = 0
    rate = (
        optax.cosine_decay_schedule(settings.learning_rate, annealed)
        if annealed
        else None
    )
    method = prior.method._replace(critic_optimizer=methods.optimizer(how, rate))
    start = look_up(_STARTS, "shaping.start", settings.start)
    if start is None:
        key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_009)
        images = this.feed.batch(this.feed.load(0, 1, 1), jnp.int32(0))
        return method, initial_state(method, key, images).critic
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
"""The optimiser's state for the trained critic: as training left it, or anew; or
another critic altogether."""
