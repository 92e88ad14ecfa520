"""One training step for every objective and every task.

Each critic update draws its own fakes; then the generator is updated. The step knows
no method by name. Closures hold modules and functions only; every array is an argument.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from gan_jax.data.feed import ImagesByRole
from gan_jax.losses.overfitting import Overfitting, validation_shift
from gan_jax.networks.stages import image_of
from gan_jax.training.method import Augmentation, Batch, Method
from gan_jax.training.schedules import WINDOW, adaptive, adjusted
from gan_jax.training.state import (
    Adaptive,
    Player,
    TrainState,
    Variables,
    moving_average,
)
from gan_jax.training.updates import (
    Log,
    critic_scores,
    critic_update,
    critic_view,
    finite,
    generate,
    generator_update,
)

# `fori_loop` needs the carry's shapes before it runs; jit caches the trace, so the body
# is traced once, not twice.
_traced_once = partial(jax.jit, inline=True)

VALIDATION = "validation"
"""Key of the validation images among the frozen arrays: all of them by role, as the
feed holds images. An adaptive probability needs them where scores have no sign."""

State = TypeVar("State")
"""The state that a step updates: of a run, or of one network."""

Updated = TypeVar("Updated")
"""The value that an update returns again: a player, or more."""


def initial_state(
    method: Method, key: PRNGKeyArray, images: ImagesByRole, step: int = 0
) -> TrainState:
    """Return the state of a run before its first step.

    Of `images` only the shapes matter; `step` is the number of steps taken as done.
    """
    keys = jax.random.split(key, 4)
    batch = method.present(keys[0], images)
    count = len(jax.tree.leaves(batch.real)[0])
    generator = method.generator.init(
        keys[1], method.latent(keys[0], count), batch.condition, train=True
    )
    critic = method.critic.init(keys[2], batch.real, batch.real_condition, train=True)
    zero = jnp.zeros((), jnp.int32) + step
    return TrainState(
        step=zero,
        critic_step=zero,
        key=keys[3],
        generator=_player(dict(generator), method.generator_optimizer),
        critic=_player(dict(critic), method.critic_optimizer),
        average=jax.tree.map(jnp.copy, dict(generator)),
        weights={
            player: {name: jnp.float32(term.weight) for name, term in terms.items()}
            for player, terms in (
                ("generator", method.generator_terms),
                ("critic", method.critic_terms),
            )
        },
        augmentation=adaptive() if method.is_adaptive else None,
    )


def _player(variables: Variables, optimizer: optax.GradientTransformation) -> Player:
    statistics = {key: value for key, value in variables.items() if key != "params"}
    statistics.pop("codes", None)
    return Player(variables["params"], statistics, optimizer.init(variables["params"]))


def make_step(
    method: Method,
    images_of_batch: Callable[[PyTree, Int[Array, ""]], ImagesByRole],
    shard: Callable[[PyTree], PyTree] = lambda tree: tree,
) -> Callable[[TrainState, PyTree, PyTree], tuple[TrainState, Log]]:
    """Return the step: updates of the critic, then of the generator.

    The critic has as many updates as `method.critic_steps` says, each on the next batch
    of the feed. The generator has `method.generator_steps`, all under the conditions of
    the critic's last batch, each with new latents. The moving average follows each.

    Args:
        method: The method of training.
        images_of_batch: `batch` of the feed, whose numbers are those of critic updates.
        shard: Constrains the arrays of a batch to their place on a mesh of devices.

    Returns:
        `step(state, arrays, frozen) -> (state, log)`, pure and compilable, with the
        `arrays` of the feed. Values logged are those of each network's last update.
        A tensor counts as finite only if it was in every update.
    """

    def batch_of(state: TrainState, arrays: PyTree, critic_step: Array) -> Batch:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 0), critic_step)
        return shard(method.present(key, images_of_batch(arrays, critic_step)))

    @_traced_once
    def update_critic(
        state: TrainState,
        arrays: PyTree,
        frozen: PyTree,
        learner: tuple[Player, Adaptive | None],
        critic_step: Array,
    ) -> tuple[tuple[Player, Adaptive | None], Log]:
        critic, augmentation = learner
        key = jax.random.fold_in(jax.random.fold_in(state.key, 1), critic_step)
        latent_key, term_key = jax.random.split(key)
        batch = batch_of(state, arrays, critic_step)
        count = len(jax.tree.leaves(batch.real)[0])
        generated, _ = generate(
            method,
            state.generator.parameters,
            state.generator.statistics,
            shard(method.latent(latent_key, count)),
            batch.condition,
            jax.random.fold_in(key, 1),
        )
        view_key = jax.random.fold_in(key, 2)
        chance = _probability(augmentation)
        seen, fake = critic_view(method, batch, image_of(generated), view_key, chance)
        updated, log = critic_update(
            method, critic, state.weights["critic"], seen, fake, term_key, frozen
        )
        log = Log(log.values, finite("critic batch", batch) | log.finite)
        if augmentation is not None and method.augmentation is not None:
            values = log.values
            if method.objective.boundary is None:
                keys = [jax.random.fold_in(key, number) for number in (3, 4)]
                unseen = _validation_batch(method, frozen[VALIDATION], count, keys[0])
                view, _ = critic_view(method, unseen, unseen.real, keys[1], chance)
                scores = critic_scores(method, critic, view.real, view.real_condition)
                values["critic/validation_score"] = scores.mean()
            augmentation = _adapted(
                method, method.augmentation, augmentation, values, critic_step, count
            )
            values["augmentation/probability"] = augmentation.probability
        return (updated, augmentation), log

    @_traced_once
    def update_generator(
        state: TrainState,
        batch: Batch,
        frozen: PyTree,
        critic: Player,
        augmentation: Adaptive | None,
        learner: tuple[Player, Variables],
        update: Array,
    ) -> tuple[tuple[Player, Variables], Log]:
        generator, average = learner
        generator, log = generator_update(
            method,
            generator,
            critic,
            state.weights["generator"],
            batch,
            jax.random.fold_in(jax.random.fold_in(state.key, 2), update),
            frozen,
            _probability(augmentation),
        )
        average = moving_average(
            average, generator.variables, update, method.average_decay
        )
        return (generator, average), log

    def step(
        state: TrainState, arrays: PyTree, frozen: PyTree = None
    ) -> tuple[TrainState, Log]:
        critic_updates = method.critic_steps(state.step)
        (critic, augmentation), log = _repeated(
            partial(update_critic, state, arrays, frozen),
            (state.critic, state.augmentation),
            state.critic_step,
            critic_updates,
        )
        critic_step = state.critic_step + critic_updates
        (generator, average), generator_log = _repeated(
            partial(
                update_generator,
                state,
                batch_of(state, arrays, critic_step - 1),
                frozen,
                critic,
                augmentation,
            ),
            (state.generator, state.average),
            method.generator_steps * state.step,
            method.generator_steps,
        )
        all_finite = log.finite | generator_log.finite
        for name in ("generator", "critic"):
            player: Player = getattr(state, name)
            all_finite |= finite(f"{name} parameter", player.parameters)
            all_finite |= finite(f"{name} statistic", player.statistics)
        state = state._replace(
            step=state.step + 1,
            critic_step=critic_step,
            generator=generator,
            critic=critic,
            average=average,
            augmentation=augmentation,
        )
        return state, Log(log.values | generator_log.values, all_finite)

    return step


def _probability(augmentation: Adaptive | None) -> Array | float:
    return 1.0 if augmentation is None else augmentation.probability


def _adapted(
    method: Method,
    settings: Augmentation,
    before: Adaptive,
    values: Mapping[str, Array],
    critic_step: Array,
    count: int,
) -> Adaptive:
    """Return a probability of augmentation after a critic update on `count` images.

    `values` are those that the update has logged.
    """
    if method.objective.boundary is not None:
        seen = Overfitting(values["critic/real_sign"], jnp.ones(()))
    else:
        kinds = ("real", "fake", "validation")
        seen = validation_shift(*(values[f"critic/{kind}_score"] for kind in kinds))
    change = WINDOW * count / settings.ramp
    return adjusted(before, seen, critic_step, change, settings.target)


def _validation_batch(
    method: Method, images: ImagesByRole, count: int, key: PRNGKeyArray
) -> Batch:
    """Return a batch of `count` validation images, drawn from all of them."""
    drawn: ImagesByRole = {}
    for place, (role, stored) in enumerate(sorted(images.items())):
        role_key = jax.random.fold_in(key, place)
        at = jax.random.randint(role_key, (count,), 0, len(stored.image))
        drawn[role] = jax.tree.map(lambda leaf, at=at: leaf[at], stored)
    return method.present(jax.random.fold_in(key, len(images)), drawn)


def _repeated(
    update: Callable[[Updated, Array], tuple[Updated, Log]],
    value: Updated,
    first: Array,
    times: Array | int,
) -> tuple[Updated, Log]:
    """Return a value after `times` updates, numbered from `first`, and their log.

    The log has the values of the last update; a tensor is finite where it is so in all.
    """

    def again(index: Array, carry: tuple[Updated, Log]) -> tuple[Updated, Log]:
        value, before = carry
        value, log = update(value, first + index)
        all_finite = jax.tree.map(jnp.logical_and, before.finite, log.finite)
        return value, Log(log.values, all_finite)

    _, shapes = jax.eval_shape(update, value, first)
    blank = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, times, again, (value, blank))


def make_stretch(
    step: Callable[[State, PyTree, PyTree], tuple[State, Log]], longest: int
) -> Callable[..., tuple[State, Log]]:
    """Return a function that makes several steps, to be compiled as one program.

    It is `stretch(state, arrays, count, frozen) -> (state, logs)`, where `logs` has a
    leading axis of `longest`, filled up to `count`. The number of steps is traced: one
    program serves every `count`, and results do not depend on how a run is divided.
    """
    step = _traced_once(step)

    def stretch(
        state: State, arrays: PyTree, count: Int[Array, ""], frozen: PyTree = None
    ) -> tuple[State, Log]:
        def again(index: Array, carry: tuple[State, Log]) -> Any:
            state, logs = carry
            state, log = step(state, arrays, frozen)
            return state, jax.tree.map(
                lambda rows, row: rows.at[index].set(row), logs, log
            )

        shapes = jax.eval_shape(step, state, arrays, frozen)[1]
        logs = jax.tree.map(
            lambda leaf: jnp.ones((longest, *leaf.shape), leaf.dtype), shapes
        )
        return jax.lax.fori_loop(0, count, again, (state, logs))

    return stretch
